/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's side of a LAN port: a TAP interface that carries what is addressed to the gateway itself.
 *
 * Shapes:   Ethernet frames. The interface has the LAN port's MAC, address and MTU, so dnsmasq, chrony and sshd serve the LAN
 *           as if it were the wire. A default route of metric 4096 through it (if asked for) lets local programs reach the
 *           uplink through weir.
 * Threads:  tap_set_mac is control's; the worker lets go of the port before its MAC changes.
 */
#ifndef WEIR_PORT_TAP_H
#define WEIR_PORT_TAP_H

#include <weir/port/port.h>

struct tap_params {
	const char *name;   /* of the port */
	const char *device; /* interface to create, at most 15 characters */
	struct mac_addr mac;
	struct ip_prefix address;
	uint32_t mtu;
	bool default_route;
	struct rte_mempool *pool;
};

/* Creates the interface and brings it up. The kernel removes it when the port closes or the process ends. */
int tap_open(const struct tap_params *params, struct port **ret_port, char error[PORT_ERROR_MAX]);

/*
 * The LAN port has another MAC now: the interface takes it too, at a maintain soon after. Nothing
 * happens when it is the same.
 */
void tap_set_mac(struct port *p, const struct mac_addr *mac);

#endif
