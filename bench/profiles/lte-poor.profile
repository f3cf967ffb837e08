# LTE at the edge of a cell, indoors: one or two Mbit/s down, a few hundred kbit/s up.
# 3GPP TS 36.213 table 7.1.7.2.1-1: the lowest transport block of 10 MHz carries about 1.4 Mbit/s; uplink power limits a
# modem there to a few resource blocks. Many HARQ rounds of 8 ms each (TS 36.321) make the jitter; RLC repairs most loss.
# Radio timers: Huang et al., MobiSys 2012. Deep buffers: Jiang et al., IMC 2012.
downlink-rate: 1400kbps
uplink-rate: 350kbps
rate-floor: 40kbps
fading-sigma: 3dB
fading-correlation: 10s
fading-step: 200ms
delay: 40ms
downlink-jitter: 24ms
uplink-jitter: 32ms
downlink-buffer: 1MB
uplink-buffer: 500kB
loss: 0.1%
mtu: 1428
rrc-idle: 11600ms
rrc-delay: 400ms
rrc-paging: 1280ms         # the common default of TS 36.331's defaultPagingCycle, rf128
drx-idle: 100ms
drx-cycle: 80ms
