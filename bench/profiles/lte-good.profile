# LTE, good signal, fixed antenna, evening load.
# Rates, round-trip time, promotion, idle timer and DRX: Huang et al., "A close examination of performance and
# power characteristics of 4G LTE networks", MobiSys 2012 (promotion 260 ms, idle after 11.6 s, DRX after 100 ms,
# long cycle 40 ms; RTT about 70 ms). Rates are above its medians of 13 and 6 Mbit/s, as a category 4 modem
# (150/50 Mbit/s at best, 3GPP TS 36.306) now commonly sees; three quarters of the RTT lie beyond the radio.
# Buffers: Jiang et al., "Tackling bufferbloat in 3G/4G networks", IMC 2012. MTU: what US carriers give out.
downlink-rate: 40Mbps
uplink-rate: 12Mbps
delay: 25ms
downlink-jitter: 4ms
uplink-jitter: 8ms         # scheduling request and grant
downlink-buffer: 2MB
uplink-buffer: 1MB
mtu: 1428
rrc-idle: 11600ms
rrc-delay: 260ms
drx-idle: 100ms
drx-cycle: 40ms
