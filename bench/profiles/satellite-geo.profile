# A geostationary satellite as the second way out: 260 ms one way (ITU-T G.114), 25/3 Mbit/s as sold in the US
# (FCC, "Measuring Broadband America").
downlink-rate: 25Mbps
uplink-rate: 3Mbps
delay: 280ms
jitter: 10ms
downlink-buffer: 2MB
uplink-buffer: 500kB
loss: 0.05%
mtu: 1500
