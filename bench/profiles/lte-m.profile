# LTE-M, category M1, half duplex: 300 kbit/s down and 375 up at best (3GPP TS 36.306), 1 Mbit/s in full duplex.
# Latency of 50 to 100 ms while connected: GSMA, "LTE-M deployment guide". MTU: 1358 octets, 3GPP TS 23.060 annex C.
downlink-rate: 270kbps
uplink-rate: 320kbps
delay: 45ms
jitter: 25ms
buffer: 150kB
loss: 0.05%
mtu: 1358
rrc-idle: 10s
rrc-delay: 300ms
rrc-paging: 1280ms
drx-idle: 200ms
drx-cycle: 320ms
