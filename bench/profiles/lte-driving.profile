# LTE in a moving car: the rate swings over two decades within seconds, with dead spots.
# Medians: Huang et al., MobiSys 2012 (13 and 6 Mbit/s). That a link goes from several Mbit/s to nothing and back within
# seconds, with standing queues of seconds: Winstein et al., "Stochastic forecasts achieve high throughput and low
# delay over cellular networks", NSDI 2013. Shadowing: Gudmundson, Electronics Letters 27(23), 1991, gives a spread of
# 6 to 8 dB of the signal, of which about two thirds reach the rate. Dead spots are an assumption of ours.
downlink-rate: 12Mbps
uplink-rate: 5Mbps
rate-floor: 100kbps
downlink-rate-ceiling: 75Mbps
uplink-rate-ceiling: 25Mbps
fading-sigma: 5dB
fading-correlation: 4s     # about 50 m of decorrelation distance at 45 km/h
fading-step: 100ms
fading-length: 600s
dead-spot-every: 60s
dead-spot-length: 2s
delay: 25ms
downlink-jitter: 6ms
uplink-jitter: 10ms
downlink-buffer: 2MB
uplink-buffer: 1MB
loss: 0.01%
mtu: 1428
rrc-idle: 11600ms
rrc-delay: 260ms
drx-idle: 100ms
drx-cycle: 40ms
