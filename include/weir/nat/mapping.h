/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoint-independent mappings of one external address, and who may answer them.
 *
 * Source:   RFC 4787 REQ-1 (mapping), REQ-3 (ports), REQ-8 (filtering); RFC 5382 REQ-1, REQ-3, REQ-7; RFC 5508 REQ-1a;
 *           RFC 7857 section 3.
 * Shapes:   internal endpoint (address, port, protocol) ⇄ external port. A mapping lives as long as it has flows. For the
 *           filter, each pair of mapping and remote endpoint that has flows is remembered and counted, by address and by
 *           address with port, so that the filtering may change at any time.
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

/*
 * The mapping of an internal endpoint; made now where there is none: its own port where that is free (the well-known
 * range 0-1023 and the rest are kept apart, RFC 4787 REQ-3a, but a well-known port that finds none left there gets one from
 * the rest), else a random one, of the same parity where possible (REQ-4). DROP_NAT_NO_PORT, DROP_NAT_NO_MAPPING or
 * DROP_NAT_PROTOCOL (not TCP, UDP or ICMP) when that fails.
 * The caller must follow with nat_hold() for its flow, or nat_forget_unused().
 */
enum drop_reason nat_map(struct nat *n, uint8_t proto, const struct ip_addr *internal,
	uint16_t internal_port, uint8_t lan_port, uint32_t *ret_mapping_id);

/* The mapping that an internal endpoint has now, or POOL_NONE. */
uint32_t nat_find_internal(
	const struct nat *n, uint8_t proto, const struct ip_addr *internal, uint16_t internal_port);

/* The mapping that owns an external port, or POOL_NONE. */
uint32_t nat_find_external(const struct nat *n, uint8_t proto, uint16_t external_port);

/* The mapping of an id that is in use. */
const struct nat_mapping *nat_mapping(const struct nat *n, uint32_t mapping_id);

/* True when the filter admits a packet from `remote` to this mapping. */
bool nat_admits(const struct nat *n, uint32_t mapping_id, const struct ip_addr *remote,
	uint16_t remote_port);

/* A flow to `remote` begins, or ends; the last one ends the mapping and frees its port. nat_hold: DROP_NONE, or
 * DROP_NAT_NO_MAPPING when there is no room for the filter entry. */
enum drop_reason nat_hold(
	struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, uint16_t remote_port);
void nat_release(
	struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, uint16_t remote_port);

/* Ends a mapping that nat_map() made and no flow holds. */
void nat_forget_unused(struct nat *n, uint32_t mapping_id);

uint32_t nat_n_mappings(const struct nat *n);

#endif
