# 5G millimetre wave from a car: hundreds of Mbit/s in the beam, LTE or nothing beside it.
# Narayanan et al., "Lumos5G: mapping and predicting commercial mmWave 5G throughput", IMC 2020, and "A variegated look at
# 5G in the wild", SIGCOMM 2021: up to 2 Gbit/s in sight of the panel, strongly varying with motion, blocked by bodies and
# vehicles, with fall-back to LTE in between. The ceiling here is what one core can emulate without distortion.
downlink-rate: 160Mbps
uplink-rate: 25Mbps
rate-floor: 2Mbps
downlink-rate-ceiling: 600Mbps
uplink-rate-ceiling: 80Mbps
fading-sigma: 7dB
fading-correlation: 2s
fading-step: 50ms
fading-length: 600s
dead-spot-every: 30s
dead-spot-length: 1s
delay: 15ms
jitter: 4ms
downlink-buffer: 6MB
uplink-buffer: 2MB
mtu: 1500
rrc-idle: 10s
rrc-delay: 400ms
drx-idle: 100ms
drx-cycle: 40ms
