/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any DPDK device as a port: AF_XDP on a kernel interface, a NIC by PCI address, memif, ring, null.
 *
 * Source:   DPDK 22.11, rte_ethdev; its drivers' guides for what devargs they take.
 * Shapes:   one queue each way. AF_XDP cannot tell unfinished checksums and super-frames of a veth peer: switch them
 *           off there (`ethtool -K PEER tx off`), or use rawsock. An interface under AF_XDP has one receive queue.
 *           Where it is a veth, the driver's busy polling is off (busy_budget=0) unless the devargs name a budget.
 * Memory:   AF_XDP keeps some 3000 mbufs of the pool in its rings.
 */
#ifndef WEIR_PORT_ETHDEV_H
#define WEIR_PORT_ETHDEV_H

#include <weir/port/port.h>

struct ethdev_params {
	const char *name; /* of the port */
	/* as DPDK writes them: "0000:01:00.0", "net_af_xdp0,iface=eth1", "net_memif0,role=client" */
	const char *devargs;
	/* kernel interface behind it (AF_XDP), to be taken over; NULL without one */
	const char *device;
	struct rte_mempool *pool;
	const char *state_dir;
};

/* Probes, configures one queue each way and starts the device. On success the port is PORT_UP, or PORT_FAILED while its
 * interface is away or it has no link. -ENODEV, -EINVAL, -ENOMEM with a sentence. */
int ethdev_open(
	const struct ethdev_params *params, struct port **ret_port, char error[PORT_ERROR_MAX]);

#endif
