# CDMA2000 1xEV-DO revision A: 3.1 Mbit/s down and 1.8 up at best (3GPP2 C.S0024-A).
# US operators advertised 600 to 1400 kbit/s down and 500 to 800 up. Dormant after about 10 s, and a second or more to set
# up the traffic channel again. PPP to the PDSN carries 1500, less its own framing: MTU 1472 is a common setting.
downlink-rate: 900kbps
uplink-rate: 600kbps
rate-floor: 38kbps
downlink-rate-ceiling: 3100kbps
uplink-rate-ceiling: 1800kbps
fading-sigma: 3dB
fading-correlation: 5s
delay: 70ms
jitter: 20ms
downlink-buffer: 500kB
uplink-buffer: 200kB
mtu: 1472
rrc-idle: 10s
rrc-delay: 1200ms
