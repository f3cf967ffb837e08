# NB-IoT, category NB1, half duplex, normal coverage.
# Peaks of about 26 kbit/s down and 62 up (multi-tone): 3GPP TS 36.306 and 36.213 section 16; latency of 1.6 to 10 s from
# idle: 3GPP TR 45.820's goal and operators' figures. MTU: 1358 octets, TS 23.060 annex C. The two directions share one
# radio in half duplex; cellink has them apart, so a rate here is what each has while the other is quiet.
downlink-rate: 22kbps
uplink-rate: 30kbps
delay: 250ms
jitter: 150ms
buffer: 30kB
loss: 0.2%
mtu: 1358
rrc-idle: 20s
rrc-delay: 1600ms
rrc-paging: 2560ms
