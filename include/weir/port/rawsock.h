/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AF_PACKET port: Ethernet interfaces, and raw-IP ones without an Ethernet header (TUN, wwan).
 *
 * Source:   packet(7), Documentation/networking/packet_mmap; virtio_net_hdr for what offloads left unfinished.
 * Shapes:   framing follows the interface's hardware type: ARPHRD_ETHER, or ARPHRD_NONE and ARPHRD_RAWIP.
 */
#ifndef WEIR_PORT_RAWSOCK_H
#define WEIR_PORT_RAWSOCK_H

#include <weir/port/port.h>

struct rawsock_params {
	const char *name;   /* of the port */
	const char *device; /* kernel interface */
	struct rte_mempool *pool;
	/* where offload settings to be put back are remembered: "/run/weir" */
	const char *state_dir;
	uint32_t ring_bytes; /* receive ring; 0: default */
	uint32_t n_senders;  /* that have a lane of their own */
	/* where the device is handed each packet by itself: counters of an uplink are to be what is billed, and count a super-frame
	 * as one */
	bool sends_singly;
};

/* Opens and takes the interface over (port/takeover.h). On success the port is PORT_UP, or PORT_FAILED when the
 * interface is not there or down: it is opened by maintain as soon as it is. Errors: -EINVAL (hardware type is neither
 * Ethernet nor raw IP), -EPERM, -ENOMEM. */
int rawsock_open(
	const struct rawsock_params *params, struct port **ret_port, char error[PORT_ERROR_MAX]);

#endif
