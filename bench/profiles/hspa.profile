# 3G HSPA, category 8 down (7.2 Mbit/s at best, 3GPP TS 25.306), HSUPA up.
# Promotion from idle 2 s, demotion after 5 + 12 s: Qian et al., "Characterizing radio resource allocation for 3G
# networks", IMC 2010; cell FACH between the two timers is left out. Buffers that hold seconds: Jiang et al., IMC 2012.
downlink-rate: 2500kbps
uplink-rate: 900kbps
rate-floor: 64kbps
downlink-rate-ceiling: 7200kbps
uplink-rate-ceiling: 2Mbps
fading-sigma: 3dB
fading-correlation: 5s
delay: 55ms
jitter: 15ms
downlink-buffer: 1MB
uplink-buffer: 400kB
mtu: 1500
rrc-idle: 17s
rrc-delay: 2s
