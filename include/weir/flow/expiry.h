/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timer wheel over the flows of one table; a bounded number of flows per call.
 *
 * Source:   Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987. Lazy: a packet only stamps its flow;
 *           a flow whose slot comes up early is put back at its real deadline.
 * Shapes:   links are flow ids in flow_more. One slot is 2^18 µs (0.26 s); the wheel spans 256 slots (67 s); longer
 *           timeouts go round by being put back. So a flow ends no more than 0.8 s after its timeout, or 67 s where
 *           a change of state has shortened that (remove and add again where it matters).
 * Units:    timeouts in ms.
 * Threads:  owner of the table.
 */
#ifndef WEIR_FLOW_EXPIRY_H
#define WEIR_FLOW_EXPIRY_H

#include <weir/flow/table.h>

#include <stdint.h>

/* Idle timeouts; defaults and lower bounds from RFC 4787 REQ-5, 5382 REQ-5, 5508 REQ-2 are in the config rows. */
struct flow_timeouts {
	uint32_t tcp_established_ms;
	uint32_t tcp_transitory_ms;
	uint32_t tcp_closed_ms; /* after the second FIN was acknowledged */
	uint32_t udp_ms;
	/* until a reply came; RFC 4787 REQ-5 demands 120 s for any mapping */
	uint32_t udp_one_way_ms;
	uint32_t icmp_ms;
	uint32_t other_ms;
	uint32_t inbound_refresh; /* RFC 4787 REQ-6 (a): 1 when UDP and ICMP from outside do too */
};

struct flow_wheel;

/* Returns 0 or -ENOMEM. */
int flow_wheel_create(struct flow_table *t, uint64_t now_us, struct flow_wheel **ret_wheel);

void flow_wheel_destroy(struct flow_wheel *w);

/* Arms an inserted flow, whose start_us is set; its deadline counts from its last packet or, before any was counted
 * (packets of either direction), from its start. */
void flow_wheel_add(struct flow_wheel *w, const struct flow_timeouts *to, uint32_t flow_id);

/* Disarms a flow that is about to be removed; one that is not armed is left alone. */
void flow_wheel_remove(struct flow_wheel *w, uint32_t flow_id);

/*
 * Looks at no more than `budget` armed flows whose slot has come up by now and writes the ids of those
 * that are idle beyond their timeout into `expired` (at most `n_max`); they are disarmed and the caller ends them.
 * Returns how many. Time may jump by any amount.
 */
uint32_t flow_wheel_expire(struct flow_wheel *w, const struct flow_timeouts *to, uint64_t now_us,
	uint32_t budget, uint32_t *expired, uint32_t n_max);

/* True when the last call left flows unlooked at whose slot has come up. */
bool flow_wheel_is_late(const struct flow_wheel *w);

/* The idle timeout that applies to a flow in its present state, in ms. */
uint32_t flow_timeout_ms(const struct flow_timeouts *to, const struct flow *f);

#endif
