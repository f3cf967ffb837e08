/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where an IPv4 address lies: on a LAN, at an uplink as its own, at the gateway itself. One walk over the ports tells it, for
 * all who ask about a packet that has no flow.
 *
 * Shapes:   addresses in network order. Networks stand in the order of their ports; those without an IPv4 address and taps,
 *           which have their LAN's, are left out.
 * Threads:  made when a configuration is adopted, read by the same worker.
 */
#ifndef WEIR_PATH_PLACE_H
#define WEIR_PATH_PLACE_H

#include <weir/base/direction.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdint.h>

struct network {
	uint32_t own_be;
	uint32_t mask_be;
	uint8_t port;
	bool is_uplink; /* else a LAN */
};

struct networks {
	uint32_t n;
	struct network all[PORTS_MAX];
};

struct place {
	uint8_t lan;     /* the first one whose prefix it is in; PORT_NONE: none */
	uint8_t uplink;  /* the first one whose own it is; PORT_NONE: none */
	bool is_gateway; /* a LAN port's own */
};

static inline struct networks networks_of(const struct path_config *config)
{
	struct networks all = {0};

	for (uint8_t i = 0; i < config->n_ports; i++) {
		const struct path_port *p = &config->ports[i];

		if (p->role == PORT_TAP || !ip_addr_is_v4(&p->address.addr))
			continue;
		all.all[all.n++] = (struct network){
			.own_be = p->address.addr.words[3],
			.mask_be = ip_v4_mask(p->address.len_bits),
			.port = i,
			.is_uplink = p->role == PORT_UPLINK,
		};
	}
	return all;
}

static inline struct place address_place(const struct networks *networks, uint32_t addr_be)
{
	struct place place = {.lan = PORT_NONE, .uplink = PORT_NONE};

	for (uint32_t i = 0; i < networks->n; i++) {
		const struct network *n = &networks->all[i];

		if (((addr_be ^ n->own_be) & n->mask_be) != 0)
			continue;
		if (!n->is_uplink && place.lan == PORT_NONE)
			place.lan = n->port;
		if (addr_be != n->own_be)
			continue;
		if (!n->is_uplink)
			place.is_gateway = true;
		else if (place.uplink == PORT_NONE)
			place.uplink = n->port;
	}
	return place;
}

#endif
