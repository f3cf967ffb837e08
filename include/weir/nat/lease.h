/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings that hosts ask for: the server behind PCP and NAT-PMP.
 *
 * Source:   RFC 6887 sections 8.5 (epoch), 11.3 (MAP), 12.3 (PEER), 13 (options), 15 (lifetimes); RFC 6886 section 3.
 * Shapes:   a lease is one host's hold on a mapping until a time: of MAP for whoever asks, or whom its filters name; of
 *           PEER for one remote endpoint. Its id is that of its pin. All leases are of one uplink; when it is another's
 *           turn they end, and the epoch begins anew. A port below 1024 is never given, nor one that is forwarded.
 * Units:    lifetimes in seconds, times in microseconds of the path's clock.
 * Errors:   results of RFC 6887 section 7.4. Whoever does not show the nonce that made a lease cannot change it.
 * Threads:  one owner; control may read lease_at() while it moves.
 * Memory:   NAT_PINS_MAX leases, fixed at create.
 */
#ifndef WEIR_NAT_LEASE_H
#define WEIR_NAT_LEASE_H

#include <weir/base/addr.h>
#include <weir/nat/mapping.h>
#include <weir/packet/pcp.h>

#include <stdbool.h>
#include <stdint.h>

#define LEASE_LIFETIME_MIN_S 120 /* RFC 6887 section 15 */
#define LEASE_NONE           UINT16_MAX

struct lease {
	struct ip_addr internal;
	struct ip_addr remote; /* of a PEER */
	uint64_t expires_us;
	struct mac_addr mac; /* of the host, as it asked */
	uint8_t nonce[PCP_NONCE_BYTES];
	uint32_t mapping_id;
	uint16_t internal_port;
	uint16_t external_port;
	uint16_t remote_port; /* of a PEER */
	uint8_t proto;
	uint8_t lan_port;
	bool is_peer;
	bool in_use;
	struct nat_pin pin;
};

/* Who asks. */
struct lease_client {
	struct ip_addr addr;
	struct mac_addr mac;
	uint8_t lan_port;
};

struct lease_limits {
	uint32_t per_device;
	uint32_t lifetime_max_s; /* at least LEASE_LIFETIME_MIN_S */
};

enum lease_change {
	LEASE_OPENED,
	LEASE_ENDED,
};

/* Is told of each lease that begins or ends. */
typedef void lease_told(void *context, const struct lease *l, enum lease_change change);

struct lease_table;

/* Returns 0 or -ENOMEM. There is no uplink yet. */
int lease_table_create(lease_told *tell, void *context, struct lease_table **ret_table);

/* The mappings are the nat's, which must end after this. NULL is fine. */
void lease_table_destroy(struct lease_table *t);

void lease_table_set_limits(struct lease_table *t, const struct lease_limits *limits);

/* From now on leases are of this uplink: those there are end, and the epoch is 0. `nat` NULL: of none. */
void lease_table_begin(
	struct lease_table *t, struct nat *nat, const struct ip_addr *external, uint64_t now_us);

/* Does what a request that was read without error asks, and says what to answer. `is_up`: the uplink is. */
void lease_table_answer(struct lease_table *t, const struct pcp_request *request,
	const struct lease_client *client, bool is_up, uint64_t now_us,
	struct pcp_reply *ret_reply);

/* Ends leases whose time has come; looks at `n_looks` of them and goes on there with the next call. */
void lease_table_expire(struct lease_table *t, uint64_t now_us, uint32_t n_looks);

/* Ends one lease. */
void lease_table_end(struct lease_table *t, uint16_t id);

/* A place of the table, 0 … NAT_PINS_MAX - 1; see in_use. */
const struct lease *lease_at(const struct lease_table *t, uint16_t id);

uint32_t lease_table_n(const struct lease_table *t);

/* Seconds since the table lost its leases last. */
uint32_t lease_table_epoch_s(const struct lease_table *t, uint64_t now_us);

#endif
