# 5G in low band (n71, n28), standing or walking.
# Narayanan et al., "A variegated look at 5G in the wild", SIGCOMM 2021: low-band 5G carries somewhat more than LTE, tens
# of Mbit/s to about 100, and the connection falls idle after about 10 s as in LTE. 20 MHz of FDD with two layers carries
# some 200 Mbit/s at best (3GPP TS 38.306 section 4.1.2).
downlink-rate: 80Mbps
uplink-rate: 25Mbps
rate-floor: 3Mbps
downlink-rate-ceiling: 200Mbps
uplink-rate-ceiling: 60Mbps
fading-sigma: 2dB
fading-correlation: 5s
delay: 20ms
jitter: 4ms
downlink-buffer: 4MB
uplink-buffer: 1500kB
mtu: 1500
rrc-idle: 10s
rrc-delay: 350ms
drx-idle: 100ms
drx-cycle: 40ms
