/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/flow/expiry.h>
#include <weir/flow/tcp_track.h>

#include <criterion/criterion.h>

enum {
	CAPACITY = 2000
};

/* A slot, one that is skipped when the flow comes up in the slot at hand, and the rest of the present one. */
#define LATE_MAX_US (3ull << 18)

#define WRAP_US ((UINT64_C(1) << 32) * US_PER_MS)

static const struct flow_timeouts timeouts = {
	.tcp_established_ms = 7440000, /* beyond the wheel's span of 67 s */
	.tcp_transitory_ms = 240000,
	.tcp_closed_ms = 10000,
	.udp_ms = 300000,
	.udp_one_way_ms = 120000,
	.icmp_ms = 60000,
	.other_ms = 600000,
};

static struct flow_table *create(uint64_t now_us, struct flow_wheel **ret_wheel)
{
	static const struct flow_hash_key key = {{1, 3, 5}};
	struct flow_table *t;

	cr_assert_eq(flow_table_create(CAPACITY, &key, &t), 0);
	cr_assert_eq(flow_wheel_create(t, now_us, ret_wheel), 0);
	return t;
}

static void stamp(struct flow_table *t, uint32_t id, enum direction direction, uint64_t now_us)
{
	t->flows[id].packets[direction]++;
	t->flows[id].last_ms[direction] = (uint32_t)(now_us / US_PER_MS);
}

static uint32_t start(
	struct flow_table *t, struct flow_wheel *w, uint8_t proto, uint8_t state, uint64_t now_us)
{
	uint32_t id = flow_table_take(t);

	t->flows[id].proto = proto;
	t->flows[id].state = state;
	t->more[id].start_us = now_us;
	stamp(t, id, UPLINK, now_us);
	flow_wheel_add(w, &timeouts, id);
	return id;
}

/* Expires with room and budget for everything. */
static uint32_t expire(struct flow_wheel *w, uint64_t now_us, uint32_t *expired)
{
	return flow_wheel_expire(w, &timeouts, now_us, UINT32_MAX, expired, CAPACITY);
}

Test(flow_expiry, knows_the_timeout_of_every_protocol_and_state)
{
	static const struct {
		uint8_t proto;
		uint8_t state;
		uint32_t up;
		uint32_t down;
		uint32_t timeout_ms;
	} rows[] = {
		{PROTO_TCP, TCP_STATE_NONE, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_SYN_SENT, 1, 0, 240000},
		{PROTO_TCP, TCP_STATE_SYN_RECEIVED, 0, 1, 240000},
		{PROTO_TCP, TCP_STATE_SYN_BOTH, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_ESTABLISHED, 1, 1, 7440000},
		{PROTO_TCP, TCP_STATE_FIN_INTERNAL, 1, 1, 7440000},
		{PROTO_TCP, TCP_STATE_FIN_REMOTE, 1, 1, 7440000},
		{PROTO_TCP, TCP_STATE_ACK_INTERNAL, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_EARLY_FIN_REMOTE, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_LAST_ACK_INTERNAL, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_LAST_ACK_REMOTE, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_TIME_WAIT, 1, 1, 10000},
		{PROTO_TCP, TCP_STATE_RESET, 1, 1, 240000},
		{PROTO_TCP, TCP_STATE_RESET_DOUBTED, 1, 1, 240000},
		{PROTO_UDP, 0, 9, 0, 120000},
		{PROTO_UDP, 0, 0, 9, 120000},
		{PROTO_UDP, 0, 1, 1, 300000},
		{PROTO_ICMP, 0, 1, 1, 60000},
		{58, 0, 1, 1, 60000},
		{47, 0, 1, 1, 600000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow f = {.proto = rows[i].proto,
			.state = rows[i].state,
			.packets = {rows[i].up, rows[i].down}};

		cr_expect_eq(flow_timeout_ms(&timeouts, &f), rows[i].timeout_ms, "row %zu", i);
	}
}

/* Steps a clock and returns when the flow expires. */
static uint64_t expires_at(struct flow_wheel *w, uint64_t now_us, uint64_t step_us)
{
	static uint32_t expired[CAPACITY];

	while (expire(w, now_us, expired) == 0)
		now_us += step_us;
	return now_us;
}

Test(flow_expiry, ends_a_flow_at_its_timeout_and_not_before)
{
	/* From the start, near the wrap of the 32-bit milliseconds, and so that it lies between. */
	static const uint64_t starts[] = {0, 1, 123456789, WRAP_US - 1, WRAP_US - 60 * US_PER_S,
		WRAP_US, 7 * WRAP_US - 119 * US_PER_S};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct flow_wheel *w;
		struct flow_table *t = create(starts[i], &w);
		uint32_t id = start(t, w, PROTO_UDP, 0, starts[i]);
		uint64_t due_us = starts[i] / US_PER_MS * US_PER_MS + 120 * US_PER_S;
		uint64_t at_us = expires_at(w, starts[i], 10000);

		cr_expect_geq(at_us, due_us, "start %zu", i);
		cr_expect_leq(at_us, due_us + LATE_MAX_US + 10000, "start %zu", i);
		flow_wheel_remove(w, id);
		flow_wheel_destroy(w);
		flow_table_destroy(t);
	}
}

Test(flow_expiry, follows_a_timeout_longer_than_the_wheel)
{
	struct flow_wheel *w;
	struct flow_table *t = create(5000, &w);
	uint64_t at_us;

	start(t, w, PROTO_TCP, TCP_STATE_ESTABLISHED, 5000);
	at_us = expires_at(w, 5000, 100000);
	cr_assert_geq(at_us, 7440 * US_PER_S + 5000);
	cr_assert_leq(at_us, 7440 * US_PER_S + 5000 + LATE_MAX_US + 100000);
	flow_wheel_destroy(w);
	flow_table_destroy(t);
}

/* Sends a downlink packet after 100 s and returns whether the flow lives at 150 s (UDP timeout here: 120 s). */
static bool survives_by_downlink(uint8_t proto, uint32_t inbound_refresh)
{
	struct flow_timeouts to = timeouts;
	static uint32_t expired[CAPACITY];
	struct flow_wheel *w;
	struct flow_table *t = create(0, &w);
	uint32_t n;

	to.inbound_refresh = inbound_refresh;
	to.udp_ms = to.icmp_ms = to.tcp_transitory_ms = 120000;
	start(t, w, proto, TCP_STATE_NONE, 0);
	stamp(t, 0, DOWNLINK, 100 * US_PER_S);
	n = flow_wheel_expire(w, &to, 150 * US_PER_S, 100, expired, CAPACITY);
	flow_wheel_destroy(w);
	flow_table_destroy(t);
	return n == 0;
}

Test(flow_expiry, lets_downlink_packets_of_udp_and_icmp_refresh_only_where_configured)
{
	cr_expect_not(survives_by_downlink(PROTO_UDP, 0), "RFC 4787 REQ-6: not by default");
	cr_expect(survives_by_downlink(PROTO_UDP, 1), "RFC 4787 REQ-6 (a): where configured");
	cr_expect(survives_by_downlink(PROTO_TCP, 0));
	cr_expect_not(survives_by_downlink(PROTO_ICMP, 0));
	cr_expect(survives_by_downlink(PROTO_ICMP, 1));
}

Test(flow_expiry, counts_from_the_start_of_a_flow_without_packets)
{
	static uint32_t expired[CAPACITY];
	struct flow_wheel *w;
	struct flow_table *t = create(0, &w);
	uint32_t id = flow_table_take(t);

	t->flows[id].proto = PROTO_UDP;
	t->more[id].start_us = 1000 * US_PER_S;
	flow_wheel_add(w, &timeouts, id);
	cr_assert_eq(expire(w, 1119 * US_PER_S, expired), 0);
	cr_assert_eq(expire(w, 1121 * US_PER_S, expired), 1);
	flow_wheel_destroy(w);
	flow_table_destroy(t);
}

/* A packet that is stamped after the wheel's last turn is not one of 49 days ago. */
Test(flow_expiry, takes_a_stamp_ahead_of_its_clock_for_fresh)
{
	static uint32_t expired[CAPACITY];
	struct flow_wheel *w;
	struct flow_table *t = create(1000 * US_PER_S, &w);

	start(t, w, PROTO_UDP, 0, 1000 * US_PER_S);
	stamp(t, 0, UPLINK, 1200 * US_PER_S);
	cr_assert_eq(expire(w, 1150 * US_PER_S, expired), 0);
	flow_wheel_destroy(w);
	flow_table_destroy(t);
}

Test(flow_expiry, leaves_a_flow_alone_that_is_not_armed)
{
	static uint32_t expired[CAPACITY];
	struct flow_wheel *w;
	struct flow_table *t = create(0, &w);
	uint32_t a = start(t, w, PROTO_UDP, 0, 0);
	uint32_t never = flow_table_take(t);
	uint32_t b = start(t, w, PROTO_UDP, 0, 0);

	flow_wheel_remove(w, never);
	flow_wheel_remove(w, a);
	flow_wheel_remove(w, a);
	cr_assert_eq(expire(w, 200 * US_PER_S, expired), 1);
	cr_assert_eq(expired[0], b);
	flow_wheel_remove(w, b);
	cr_assert_eq(expire(w, 400 * US_PER_S, expired), 0);
	flow_wheel_destroy(w);
	flow_table_destroy(t);
}

Test(flow_expiry, spends_no_more_than_its_budget_and_goes_on_where_it_was)
{
	static const struct {
		uint32_t budget;
		uint32_t n_max;
	} rows[] = {{7, CAPACITY}, {1000, 7}, {1, 1}, {0, 10}, {10, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t least = rows[i].budget < rows[i].n_max ? rows[i].budget : rows[i].n_max;
		static uint32_t expired[CAPACITY];
		struct flow_wheel *w;
		struct flow_table *t = create(0, &w);
		uint32_t n_all = 0;

		for (int f = 0; f < 100; f++)
			start(t, w, PROTO_UDP, 0, (uint64_t)f * 100000);
		for (int call = 0; call < 100; call++) {
			uint32_t n = flow_wheel_expire(w, &timeouts, 1000 * US_PER_S,
				rows[i].budget, expired, rows[i].n_max);

			cr_assert_leq(n, least);
			n_all += n;
		}
		cr_assert_eq(n_all, least == 0 ? 0 : 100);
		flow_wheel_destroy(w);
		flow_table_destroy(t);
	}
}

Test(flow_expiry, survives_jumps_of_the_clock)
{
	static const uint64_t jumps_us[] = {3600 * US_PER_S, 86400 * US_PER_S,
		30 * 86400 * US_PER_S, 3653 * 86400 * US_PER_S, UINT64_MAX / 4};

	for (size_t i = 0; i < sizeof(jumps_us) / sizeof(jumps_us[0]); i++) {
		uint64_t now_us = 50 * US_PER_S;
		static uint32_t expired[CAPACITY];
		struct flow_wheel *w;
		struct flow_table *t = create(now_us, &w);
		uint32_t idle = start(t, w, PROTO_UDP, 0, now_us);
		uint32_t active = start(t, w, PROTO_UDP, 0, now_us);

		now_us += jumps_us[i];
		stamp(t, active, UPLINK, now_us);
		cr_expect_eq(expire(w, now_us, expired), 1, "jump %zu", i);
		cr_expect_eq(expired[0], idle, "jump %zu", i);
		cr_expect_eq(expire(w, now_us + 119 * US_PER_S, expired), 0, "jump %zu", i);
		cr_expect_eq(expire(w, now_us + 121 * US_PER_S, expired), 1, "jump %zu", i);
		/* Back again: a new flow lives and dies as ever. */
		expire(w, 50 * US_PER_S, expired);
		start(t, w, PROTO_UDP, 0, 50 * US_PER_S);
		cr_expect_eq(expire(w, 169 * US_PER_S, expired), 0, "jump %zu", i);
		cr_expect_eq(expire(w, 172 * US_PER_S, expired), 1, "jump %zu", i);
		flow_wheel_destroy(w);
		flow_table_destroy(t);
	}
}

/* The model: for every flow in use, when its last packet was. */
struct model {
	uint64_t last_us[CAPACITY];
	bool in_use[CAPACITY];
};

static uint64_t timeout_us(const struct flow_table *t, uint32_t id)
{
	return flow_timeout_ms(&timeouts, &t->flows[id]) * US_PER_MS;
}

static void touch_some(
	struct flow_table *t, struct flow_wheel *w, struct model *m, struct rng *r, uint64_t now_us)
{
	static const uint8_t protos[] = {PROTO_ICMP, PROTO_TCP, PROTO_UDP, 47};

	for (int i = 0; i < 20; i++) {
		uint32_t id = rng_below(r, CAPACITY);

		if (m->in_use[id]) {
			t->flows[id].state = (uint8_t)rng_below(r, N_TCP_STATES);
			stamp(t, id, UPLINK, now_us);
			m->last_us[id] = now_us;
		} else if (t->n_flows < CAPACITY) {
			id = start(t, w, protos[rng_below(r, 4)],
				(uint8_t)rng_below(r, N_TCP_STATES), now_us);
			m->in_use[id] = true;
			m->last_us[id] = now_us;
		}
	}
	for (int i = 0; i < 2; i++) {
		uint32_t id = rng_below(r, CAPACITY);

		if (!m->in_use[id])
			continue;
		flow_wheel_remove(w, id);
		flow_table_give(t, id);
		m->in_use[id] = false;
	}
}

/* A change of state may shorten the timeout; the wheel learns that when it next comes round. */
#define ROUND_US (256ull << 18)

/* Everything that came out was due; everything that is overdue came out. */
static void check_expired(
	struct flow_table *t, struct model *m, const uint32_t *expired, uint32_t n, uint64_t now_us)
{
	for (uint32_t i = 0; i < n; i++) {
		cr_assert(m->in_use[expired[i]]);
		cr_assert_geq(
			now_us + US_PER_MS, m->last_us[expired[i]] + timeout_us(t, expired[i]));
		flow_table_give(t, expired[i]);
		m->in_use[expired[i]] = false;
	}
	for (uint32_t id = 0; id < CAPACITY; id++) {
		uint64_t late_us = LATE_MAX_US + (t->flows[id].proto == PROTO_TCP ? ROUND_US : 0);

		if (m->in_use[id])
			cr_assert_gt(m->last_us[id] + timeout_us(t, id) + late_us, now_us);
	}
}

Test(flow_expiry, agrees_with_a_naive_model_on_random_clocks)
{
	static struct model m;
	uint64_t now_us = WRAP_US - 4000 * US_PER_S;
	static uint32_t expired[CAPACITY];
	struct flow_wheel *w;
	struct flow_table *t = create(now_us, &w);
	uint32_t n_all = 0;
	struct rng r;

	rng_init(&r, 21);
	for (int i = 0; i < 20000; i++) {
		uint32_t n;

		now_us += rng_below(&r, rng_below(&r, 1000) == 0 ? 2000000000 : 700000);
		n = expire(w, now_us, expired);
		n_all += n;
		check_expired(t, &m, expired, n, now_us);
		touch_some(t, w, &m, &r, now_us);
	}
	cr_assert_gt(now_us, WRAP_US);
	cr_assert_gt(n_all, 10000);
	flow_wheel_destroy(w);
	flow_table_destroy(t);
}
