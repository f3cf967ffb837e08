/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoint-independent mappings of one external address, and who may answer them.
 *
 * Source:   RFC 4787 REQ-1 (mapping), REQ-3 (ports), REQ-6 (refresh), REQ-8 (filtering); RFC 5382 REQ-1, REQ-3, REQ-7;
 *           RFC 5508 REQ-1a; RFC 6888 REQ-5, REQ-8; RFC 7857 section 3.
 * Shapes:   internal endpoint (address, port, protocol) ⇄ external port. A mapping lives as long as it has flows. For the
 *           filter, each pair of mapping and remote address that has flows is remembered and counted, whatever the
 *           filtering, so that it may change at any time. Remote endpoints need not be: one that was spoken to has a flow,
 *           and a packet that has a flow is not asked about here. A flow that a stranger began and nobody
 *           answered neither opens the filter nor keeps the mapping open for others. Ports of UDP and identifiers of
 *           ICMP that are given up rest for two minutes: their former owner alone may have them back. More than half of
 *           the range never rests, and a port that rests longest is given before a host gets none. A pin keeps a
 *           mapping without flows, and lets in whom it names (RFC 6887).
 * Units:    ports in host byte order; ICMP: identifiers.
 * Errors:   see each function.
 * Threads:  one owner.
 * Memory:   fixed at create, by the number of flows.
 */
#ifndef WEIR_NAT_MAPPING_H
#define WEIR_NAT_MAPPING_H

#include <weir/base/addr.h>
#include <weir/base/pool.h>
#include <weir/base/rng.h>
#include <weir/flow/key.h>
#include <weir/packet/drops.h>

#include <stdbool.h>
#include <stdint.h>

enum nat_filtering {
	NAT_FILTER_ENDPOINT_INDEPENDENT,
	NAT_FILTER_ADDRESS_DEPENDENT,
	NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT,
};

struct nat_params {
	uint32_t capacity; /* of the flow table, 1 to 2^24: so many flows can be held */
	/* of the random choice, default 1024; what is below is for well-known ports alone */
	uint16_t port_min;
	uint16_t port_max; /* default 65535; at least 1024 */
	enum nat_filtering filtering;
	struct flow_hash_key hash_key;
	uint16_t n_devices; /* ids of devices are below; 0: ports are first come, first served */
};

#define NAT_REST_MS (120 * 1000) /* RFC 6888 REQ-8 */

/* Who asks for a mapping. */
struct nat_internal {
	struct ip_addr addr;
	uint16_t port;
	uint8_t proto;
	uint8_t lan_port; /* where it lives */
	uint16_t device_id;
};

#define NAT_FORWARDS_MAX 64

/* External ports that lead to an internal host, for whoever asks (within `source`). */
struct nat_forward {
	uint8_t proto; /* PROTO_TCP or PROTO_UDP; 0: both */
	uint8_t lan_port;
	bool is_dmz; /* all ports that nobody has; 1 … 65535 */
	bool has_source;
	struct ip_prefix source;
	uint16_t port_min;
	uint16_t port_max;
	uint16_t internal_port; /* of port_min; the others follow */
	struct ip_addr internal;
};

/* In the order of the configuration: the first that fits is taken. A DMZ host stands last. */
struct nat_forwards {
	uint32_t n;
	struct nat_forward rows[NAT_FORWARDS_MAX + 1];
};

#define NAT_PINS_MAX      1024
#define NAT_PIN_PEERS_MAX 8

struct nat_peer {
	struct ip_prefix remote;
	uint16_t port; /* 0: any */
};

/* What keeps a mapping open, and for whom. */
struct nat_pin {
	bool is_open; /* to all; else to the peers */
	uint8_t n_peers;
	struct nat_peer peers[NAT_PIN_PEERS_MAX];
};

struct nat_mapping {
	struct ip_addr internal;
	uint16_t internal_port;
	uint16_t external_port;
	uint8_t proto;
	uint8_t lan_port; /* where the internal endpoint lives */
	uint8_t in_use;
	uint8_t spare;
	uint32_t n_flows;
	uint32_t hash_next;
};

struct nat;

/* Returns 0, -EINVAL or -ENOMEM. `rng` is borrowed for the life of the result. */
int nat_create(const struct nat_params *params, struct rng *rng, struct nat **ret_nat);
void nat_destroy(struct nat *n);

/* Changes what may change live. */
void nat_set_filtering(struct nat *n, enum nat_filtering filtering);

/* Copies what is forwarded. The ports are no longer given to others; who has one keeps it as long as his mapping lives. */
void nat_set_forwards(struct nat *n, const struct nat_forwards *forwards);

/* Time goes on: ports have rested. Bounded work. */
void nat_age(struct nat *n, uint64_t now_us);

/*
 * The mapping of an internal endpoint; made now where there is none: the port that is forwarded to it, else its own port
 * where that is free (the well-known range 0-1023 and the rest are kept apart, RFC 4787 REQ-3a, but a well-known port that
 * finds none left there gets one from the rest), else a random one, of the same parity where possible (REQ-4).
 * DROP_NAT_NO_PORT, DROP_NAT_NO_MAPPING or DROP_NAT_PROTOCOL (not TCP, UDP or ICMP) when that fails; DROP_NAT_NO_PORT too
 * when its device has a quarter as many as are free: devices that take all they can leave ports for the next.
 * The caller must follow with nat_hold() for its flow, or nat_forget_unused().
 */
enum drop_reason nat_map(struct nat *n, const struct nat_internal *who, uint32_t *ret_mapping_id);

/* Where a packet from outside to an external port is forwarded to: the first row that fits. `remote` NULL: from a LAN, which
 * no limit of sources is about. The DMZ host is asked for apart. False when there is none; the device is left open. */
bool nat_find_forward(const struct nat *n, uint8_t proto, uint16_t external_port,
	const struct ip_addr *remote, bool is_dmz, struct nat_internal *ret_who);

/* The mapping of an internal endpoint at exactly this external port, found or made, for a flow that is forwarded.
 * DROP_NAT_NO_PORT when the port is another's and not forwarded. As with nat_map(), nat_hold() or nat_forget_unused()
 * must follow. */
enum drop_reason nat_map_at(struct nat *n, const struct nat_internal *who, uint16_t external_port,
	uint32_t *ret_mapping_id);

/*
 * The mapping that an internal endpoint has; made now where there is none: at the external port `wanted` where that is free
 * (0: at its own), else, unless `is_exact`, at another. A new one gets no port below 1024 and none that is forwarded.
 * DROP_NAT_NO_PORT, DROP_NAT_NO_MAPPING or DROP_NAT_PROTOCOL when that fails. nat_pin() or nat_forget_unused() must
 * follow.
 */
enum drop_reason nat_map_wanted(struct nat *n, const struct nat_internal *who, uint16_t wanted,
	bool is_exact, uint32_t *ret_mapping_id);

/* The external port that is forwarded to an internal endpoint; 0 where none is. A DMZ host has none of its own. */
uint16_t nat_forwarded_port(const struct nat *n, const struct nat_internal *who);

/* True when an external port is forwarded, to whomever. */
bool nat_is_forwarded(const struct nat *n, uint8_t proto, uint16_t external_port);

/* Keeps a mapping by the pin of this id (below NAT_PINS_MAX, and free); until nat_unpin(), which ends a mapping that has
 * neither flows nor another pin. Flows that were let in go on. */
void nat_pin(struct nat *n, uint32_t mapping_id, uint16_t pin_id, const struct nat_pin *pin);
void nat_unpin(struct nat *n, uint32_t mapping_id, uint16_t pin_id);

/* Changes whom a pin lets in. */
void nat_set_pin(struct nat *n, uint16_t pin_id, const struct nat_pin *pin);

/* The mapping that an internal endpoint has now, or POOL_NONE. */
uint32_t nat_find_internal(
	const struct nat *n, uint8_t proto, const struct ip_addr *internal, uint16_t internal_port);

/* The mapping that owns an external port, or POOL_NONE. */
uint32_t nat_find_external(const struct nat *n, uint8_t proto, uint16_t external_port);

/* The mapping of an id that is in use. */
const struct nat_mapping *nat_mapping(const struct nat *n, uint32_t mapping_id);

/* True when the filter admits a packet from `remote` to this mapping that is of no flow; so with filtering by address and
 * port none but those that a pin names. A forwarded port's source is judged by
 * nat_find_forward(); here by whom its host spoke to, as long as the port is forwarded. */
bool nat_admits(const struct nat *n, uint32_t mapping_id, const struct ip_addr *remote,
	uint16_t remote_port);

/* A flow to `remote` begins, or ends; the last one ends the mapping and frees its port. `is_inside`: it was begun or
 * answered by the internal endpoint. nat_hold: DROP_NONE, or DROP_NAT_NO_MAPPING when there is no room for the filter
 * entry. */
enum drop_reason nat_hold(
	struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, bool is_inside);
void nat_release(struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, bool is_inside);

/* A flow of this mapping to an IPv4 remote begins or ends soon: what that touches is fetched. */
void nat_expect(const struct nat *n, uint32_t mapping_id, uint32_t remote_be);

/* nat_find_internal() in steps, for many at once: the chain of an endpoint's mapping, to be prefetched; what the chain leads
 * to, once that has come; and the look-up. */
const uint32_t *nat_chain(
	const struct nat *n, uint8_t proto, const struct ip_addr *internal, uint16_t internal_port);
void nat_expect_chain(const struct nat *n, const uint32_t *chain);
uint32_t nat_find_in_chain(const struct nat *n, const uint32_t *chain, uint8_t proto,
	const struct ip_addr *internal, uint16_t internal_port);

/* A flow that was begun outside is answered: from now on it is an inside one. As nat_hold(); on failure nothing changes. */
enum drop_reason nat_answer(struct nat *n, uint32_t mapping_id, const struct ip_addr *remote);

/* Ends a mapping that was made just now, and neither a flow nor a pin holds. */
void nat_forget_unused(struct nat *n, uint32_t mapping_id);

uint32_t nat_n_mappings(const struct nat *n);

#endif
