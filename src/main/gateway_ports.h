/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ports of a running gateway: opened by the configuration, looked after, closed.
 *
 * Threads:  the main thread.
 */
#ifndef WEIR_MAIN_GATEWAY_PORTS_H
#define WEIR_MAIN_GATEWAY_PORTS_H

#include <weir/control/config.h>
#include <weir/path/doors.h>
#include <weir/port/port.h>

struct gateway_ports {
	struct port *ports[PORTS_MAX]; /* by id in the path */
	char devices[PORTS_MAX][CONFIG_DEVICE_MAX];
	uint32_t n_ports;
	uint32_t n_configured;      /* those behind are taps */
	uint32_t lan_of[PORTS_MAX]; /* of a tap: the port whose MAC it has */
	uint64_t maintained_us;
	uint64_t looked_us; /* at ports that are up */
};

/* Opens every port of the configuration and the taps of its LANs. On failure all are closed again, and why is said. */
int gateway_ports_open(struct gateway_ports *g, const struct config *config,
	const struct path_config *path_config, struct rte_mempool *pool);

/* Lets ports come back that went down; looks at the others now and then. */
void gateway_ports_maintain(struct gateway_ports *g, uint64_t now_us);

/* Gives every interface back. */
void gateway_ports_close(struct gateway_ports *g);

#endif
