/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two keys, one flow: the table that finds a packet's flow in either direction.
 *
 * Source:   cache-line buckets of short signatures, as in DPDK's and MemC3's cuckoo tables; here without
 *           moves: a full bucket chains to an overflow bucket. The bucket comes from the upper bits of the hash
 *           (Lemire's multiply-shift), the signature from the lower ones.
 * Shapes:   a flow is `struct flow` (one line, all that an established packet needs) and
 *           `struct flow_more` (the rest), both at the same id in two arrays. Uplink key: internal → remote;
 *           downlink key: remote → external. A reference is flow_id << 1 | direction. The keys of a chain
 *           have no gaps: only its last bucket has empty places, and those at its end.
 * Units:    octets are IP header and payload; times in milliseconds of the path clock, 32 bits, wrapping
 *           (compare by difference).
 * Errors:   flow_table_take returns FLOW_NONE when all flows are taken. There are buckets for nearly twice as many overflows
 *           as a keyed hash makes, so that they do not run out before flows do; if ever, flow_table_insert says so.
 * Threads:  one worker owns a table; control reads through the doors.
 * Memory:   fixed at create, about 219 bytes a flow: 192 for the flow itself, 23 for buckets, 4 for pools.
 */
#ifndef WEIR_FLOW_TABLE_H
#define WEIR_FLOW_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#	include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#	include <arm_neon.h>
#endif

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/flow/key.h>
#include <weir/packet/meta.h>

enum flow_flag {
	FLOW_IPV6 = 1 << 0,       /* addresses are in flow_more alone */
	FLOW_TRANSLATED = 1 << 1, /* external differs from internal: apply the deltas */
	FLOW_HAIRPIN = 1 << 2,    /* its remote is the gateway's own external address */
	FLOW_RESERVED = 1 << 3,   /* its class owns a part of the plan */
	FLOW_QUOTA = 1 << 4,      /* its device has a quota of its own */
	FLOW_UNANSWERED =
		1 << 5, /* begun outside, and its internal endpoint has said nothing yet */
	/* TCP, bits 6 and 7: flow_more.tcp_flags has the PSH of uplink; shifted left by one, of downlink */
	FLOW_PUSHED = 1 << 6,
};

struct flow {
	/* IPv4 of the three endpoints, network order. The remote one lies in the middle, so that the source and the
	 * destination of either direction's packets lie side by side: flow_has_key_v4() compares them at once. */
	uint32_t internal_be;
	uint32_t remote_be;
	uint32_t external_be;
	uint16_t internal_port; /* in the same order; host byte order */
	uint16_t remote_port;
	uint16_t external_port;
	uint8_t proto;
	uint8_t state;     /* flow/tcp_track.h for TCP; else enum flow_state */
	uint16_t ip_delta; /* uplink change internal → external; downlink applies the complement */
	uint16_t l4_delta;
	uint64_t octets[N_DIRECTIONS];
	uint32_t packets[N_DIRECTIONS]; /* wrap: records take differences at every interim report */
	uint32_t last_ms[N_DIRECTIONS];
	uint16_t device_id;
	uint8_t flags; /* enum flow_flag */
	uint8_t acked
		[3]; /* flow: upper 24 bits of what the internal side acknowledged last (TCP), as on the wire */
	uint8_t lan_port;
	uint8_t wan_port; /* the uplink, or the other LAN */
} __attribute__((aligned(64)));
static_assert(sizeof(struct flow) == 64, "one cache line");

/* Whether the name in the flow's hello is still to be read. */
enum flow_hello {
	FLOW_HELLO_UNWANTED,
	FLOW_HELLO_WANTED,
	FLOW_HELLO_READ
};

struct flow_more {
	struct ip_addr remote;
	struct ip_addr internal;
	struct ip_addr external;
	uint64_t start_us;
	uint64_t reported_octets[N_DIRECTIONS];  /* account: at the last record */
	uint32_t reported_packets[N_DIRECTIONS]; /* account: at the last record */
	uint32_t reported_ms;                    /* account: when that was */
	uint32_t mapping_id;                     /* nat: POOL_NONE without one */
	uint32_t wheel_next;                     /* expiry */
	uint32_t wheel_prev;                     /* expiry */
	uint16_t wheel_slot;                     /* expiry */
	uint8_t rule_id;                         /* policy: the rule that allowed it */
	uint8_t end_reason;                      /* account: flowEndReason (RFC 5102 5.11.3) */
	uint8_t in_use;
	uint8_t class_id;
	uint8_t tcp_flags[N_DIRECTIONS]; /* flow: all that were seen */
	uint32_t hash[N_DIRECTIONS];     /* of both keys, to remove them */
	uint32_t fin_end;      /* flow: the acknowledgement that the second FIN waits for */
	uint8_t way;           /* policy: enum policy_way, from where to where it began */
	uint8_t is_denied : 1; /* policy: denied since; it ends when none of its packets is queued */
	uint8_t is_inbound : 1; /* flow: begun outside */
	uint8_t hello : 4;      /* classify: enum flow_hello */
	uint8_t kind : 4;       /* classify: enum class_kind */
	uint8_t dscp; /* classify: of the first packet, where the device sent it; else DSCP_NONE */
	uint64_t named; /* classify: rules of classes that a name is proved of, a bit each */
} __attribute__((aligned(64)));
static_assert(sizeof(struct flow_more) == 128, "two cache lines");

#define FLOW_BUCKET_KEYS 10

struct flow_bucket {
	uint16_t signatures[FLOW_BUCKET_KEYS]; /* lower half of the hash; 0 is an empty place */
	uint32_t next; /* overflow bucket; 0 (never one) when there is none */
	uint32_t refs[FLOW_BUCKET_KEYS];
} __attribute__((aligned(64)));
static_assert(sizeof(struct flow_bucket) == 64, "one cache line");

#define FLOW_REF_NONE UINT32_MAX

struct flow_table {
	struct flow_bucket *buckets; /* n_buckets, then the overflow buckets */
	uint32_t n_buckets;
	uint32_t capacity;
	struct flow *flows;
	struct flow_more *more;
	struct flow_hash_key hash_key;
	uint32_t n_flows;
	struct flow_table_private *private; /* pools of flows and overflow buckets */
};

/* Creates a table for `capacity` flows (1 to 2^24). Returns 0, -EINVAL or -ENOMEM. */
int flow_table_create(
	uint32_t capacity, const struct flow_hash_key *key, struct flow_table **ret_table);

/* Frees all; NULL is fine. */
void flow_table_destroy(struct flow_table *t);

/* Takes a flow id, zeroes flow and more (mapping_id POOL_NONE, in_use 1) and returns it; FLOW_NONE when full. The
 * caller fills the endpoints, then calls flow_table_insert. */
uint32_t flow_table_take(struct flow_table *t);

/* Enters both keys of a taken flow, from `more`'s endpoints (all of one family) and the ports and protocol in `flow`;
 * copies IPv4 addresses to the flow line, or sets FLOW_IPV6. Returns 0, -EEXIST when either key is there already
 * or both are the same, or -ENOSPC; on error nothing was entered and the id is still the caller's. */
int flow_table_insert(struct flow_table *t, uint32_t flow_id);

/* The same for an IPv4 flow whose addresses are in its line, and whose key of one direction was just looked for under `hash`
 * and missed. */
int flow_table_insert_missed(
	struct flow_table *t, uint32_t flow_id, enum direction missed, uint32_t hash);

/* Removes both keys and gives the id back. */
void flow_table_remove(struct flow_table *t, uint32_t flow_id);

/* Gives back a taken id that was never inserted. */
void flow_table_give(struct flow_table *t, uint32_t flow_id);

/* Finds by key in either family; FLOW_REF_NONE when there is none. For slow paths and IPv6. */
uint32_t flow_table_find(const struct flow_table *t, const struct flow_key *key);

/* The bucket of a hash, to be prefetched. */
static inline const struct flow_bucket *flow_table_bucket(const struct flow_table *t, uint32_t hash)
{
	return &t->buckets[(uint64_t)hash * t->n_buckets >> 32];
}

/* The signature of a hash: never 0, which marks an empty place. */
static inline uint16_t flow_signature(uint32_t hash)
{
	uint16_t signature = (uint16_t)hash;

	return (uint16_t)(signature + (signature == 0));
}

/* Bit i is set when place i has the signature. The twin without SIMD, and what the others are tested against. */
static inline uint32_t flow_signature_mask_scalar(const struct flow_bucket *b, uint16_t signature)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < FLOW_BUCKET_KEYS; i++)
		mask |= (uint32_t)(b->signatures[i] == signature) << i;
	return mask;
}

/* As flow_signature_mask_scalar(). The second half reads past the signatures, within the line, and is masked. */
static inline uint32_t flow_signature_mask(const struct flow_bucket *b, uint16_t signature)
{
#if defined(__SSE2__)
	const __m128i *line = (const __m128i *)b;
	__m128i wanted = _mm_set1_epi16((short)signature);
	__m128i low = _mm_cmpeq_epi16(_mm_load_si128(line), wanted);
	__m128i high = _mm_cmpeq_epi16(_mm_load_si128(line + 1), wanted);
	uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));

	return mask & ((1u << FLOW_BUCKET_KEYS) - 1);
#elif defined(__aarch64__) && defined(__ARM_NEON)
	static const uint16_t low_bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
	static const uint16_t high_bits[8] = {256, 512};
	uint16x8_t wanted = vdupq_n_u16(signature);
	uint16x8_t low = vceqq_u16(vld1q_u16((const uint16_t *)b), wanted);
	uint16x8_t high = vceqq_u16(vld1q_u16((const uint16_t *)b + 8), wanted);

	low = vandq_u16(low, vld1q_u16(low_bits));
	high = vandq_u16(high, vld1q_u16(high_bits));
	return vaddvq_u16(vorrq_u16(low, high));
#else
	return flow_signature_mask_scalar(b, signature);
#endif
}

/*
 * First reference in the hash's bucket whose signature matches, to prefetch its flow line; FLOW_REF_NONE when
 * none does. A match of the signature is not yet a match of the key.
 */
static inline uint32_t flow_bucket_candidate(const struct flow_bucket *b, uint32_t hash)
{
	uint32_t mask = flow_signature_mask(b, flow_signature(hash));

	return mask == 0 ? FLOW_REF_NONE : b->refs[(uint32_t)__builtin_ctz(mask)];
}

/*
 * True when an IPv4 flow has `key` as its key of this direction. Loads what the direction selects: the directions of a
 * burst are mixed, and a branch on them would be mispredicted half the time.
 */
static inline bool flow_has_key_v4(
	const struct flow *f, uint32_t direction, const struct flow_key_v4 *key)
{
	const uint8_t *at = (const uint8_t *)f + direction * sizeof(f->internal_be);
	uint32_t src_be;
	uint32_t dst_be;
	uint32_t ports;
	uint32_t key_ports;

	memcpy(&src_be, at, sizeof(src_be));
	memcpy(&dst_be, at + sizeof(src_be), sizeof(dst_be));
	memcpy(&ports,
		(const uint8_t *)f + offsetof(struct flow, internal_port)
			+ direction * sizeof(f->internal_port),
		sizeof(ports));
	memcpy(&key_ports, (const uint8_t *)key + offsetof(struct flow_key_v4, src_port),
		sizeof(key_ports));
	return ((src_be ^ key->src_be) | (dst_be ^ key->dst_be) | (ports ^ key_ports)
		       | (uint32_t)(f->proto ^ key->proto) | (f->flags & (uint32_t)FLOW_IPV6))
	       == 0;
}
static_assert(
	offsetof(struct flow, internal_be) == 0 && offsetof(struct flow, external_be) == 8
		&& offsetof(struct flow, external_port) == offsetof(struct flow, internal_port) + 4,
	"uplink: internal, remote; downlink: remote, external");

/* Finds an IPv4 key of known hash: the path's case. FLOW_REF_NONE when there is none. */
static inline uint32_t flow_table_find_v4(
	const struct flow_table *t, uint32_t hash, const struct flow_key_v4 *key)
{
	const struct flow_bucket *b = flow_table_bucket(t, hash);
	uint16_t signature = flow_signature(hash);

	for (;;) {
		for (uint32_t mask = flow_signature_mask(b, signature); mask != 0;
			mask &= mask - 1) {
			uint32_t ref = b->refs[__builtin_ctz(mask)];

			if (flow_has_key_v4(&t->flows[ref >> 1], ref & 1, key))
				return ref;
		}
		if (b->next == 0)
			return FLOW_REF_NONE;
		b = &t->buckets[b->next];
	}
}

#endif
