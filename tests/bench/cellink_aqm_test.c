/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_aqm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS(n)        ((n)*NS_PER_MS)
#define RATE_BPS     12000000 /* a full packet takes a millisecond */
#define FULL_OCTETS  1500
#define SMALL_OCTETS 200
#define BULK_PORT    1
#define CALL_PORT    2

static const struct outages no_outage;
static const struct radio_timers always_on;

struct world {
	struct capacity *capacity;
	struct radio radio;
	struct link link;
	struct aqm *aqm;
	uint64_t n_out, octets_out, last_due_ns;
};

static struct world *world_create(enum aqm_kind kind, struct capacity *capacity)
{
	static const struct link_config config = {.mtu = 1500, .buffer_octets = 1000000};
	struct world *w = calloc(1, sizeof(*w));

	cr_assert_not_null(w);
	w->capacity = capacity;
	if (capacity == NULL)
		cr_assert_eq(capacity_fixed(RATE_BPS, &w->capacity), 0);
	radio_init(&w->radio, &always_on, 1);
	cr_assert_eq(link_init(&w->link, &config, w->capacity, &no_outage, &w->radio, 1), 0);
	cr_assert_eq(aqm_create(kind, &w->link, &w->aqm), 0);
	return w;
}

static void world_destroy(struct world *w)
{
	aqm_destroy(w->aqm);
	link_clean(&w->link);
	capacity_destroy(w->capacity);
	free(w);
}

static enum link_verdict put(struct world *w, uint64_t now_ns, uint8_t port, uint32_t octets)
{
	uint8_t packet[FULL_OCTETS] = {[0] = 0x45, [9] = 17, [21] = port};

	return aqm_put(w->aqm, now_ns, packet, octets);
}

/* The port of the packet that has left by now, or 0. */
static uint8_t take(struct world *w, uint64_t now_ns)
{
	struct aqm_packet *p = aqm_take(w->aqm, now_ns, &w->last_due_ns);
	uint8_t port = p != NULL ? p->bytes[21] : 0;

	if (p != NULL) {
		w->n_out++;
		w->octets_out += p->octets;
		link_count_end(&w->link, now_ns, p->octets, LINK_CARRIED);
	}
	free(p);
	return port;
}

/* Offers twice what can leave until `end_ns`; returns when the first packet was given up, or TIME_NEVER. */
static uint64_t overload(struct world *w, uint64_t end_ns)
{
	uint64_t first_ns = TIME_NEVER;

	for (uint64_t now = 0; now < end_ns; now += MS(1) / 2) {
		while (take(w, now) != 0)
			;
		(void)put(w, now, BULK_PORT, FULL_OCTETS);
		if (first_ns == TIME_NEVER && w->link.stats.fate[LINK_DROP_AQM].packets > 0)
			first_ns = now;
	}
	return first_ns;
}

Test(bench_cellink_aqm, a_packet_alone_leaves_as_through_the_plain_buffer)
{
	struct world *w = world_create(AQM_CODEL, NULL);

	cr_expect_eq(put(w, MS(5), BULK_PORT, FULL_OCTETS), LINK_CARRIED);
	cr_expect_eq(aqm_next_ns(w->aqm), MS(6));
	cr_expect_eq(take(w, MS(6) - 1), 0, "not before its last octet has left");
	cr_expect_eq(take(w, MS(6)), BULK_PORT);
	cr_expect_eq(w->last_due_ns, MS(6));
	cr_expect_eq(aqm_next_ns(w->aqm), TIME_NEVER);
	world_destroy(w);
}

Test(bench_cellink_aqm, drops_begin_when_the_delay_was_above_the_target_for_an_interval)
{
	struct world *w = world_create(AQM_CODEL, NULL);
	uint64_t first_ns = overload(w, MS(400));

	/* At twice the rate the delay passes 5 ms after some 10 ms. */
	cr_expect_geq(first_ns, MS(105), "%llu", (unsigned long long)first_ns);
	cr_expect_leq(first_ns, MS(130), "%llu", (unsigned long long)first_ns);
	world_destroy(w);
}

Test(bench_cellink_aqm, a_burst_that_is_gone_within_the_interval_loses_nothing)
{
	struct world *w = world_create(AQM_CODEL, NULL);

	cr_expect_eq(overload(w, MS(40)), TIME_NEVER);
	for (uint64_t now = MS(40); now < MS(200); now += MS(1)) {
		while (take(w, now) != 0)
			;
	}
	cr_expect_eq(w->n_out, 80);
	cr_expect_eq(w->link.stats.fate[LINK_DROP_AQM].packets, 0);
	world_destroy(w);
}

Test(bench_cellink_aqm, what_is_given_up_uses_no_capacity)
{
	static const uint32_t each_ms[] = {1};
	struct capacity *opportunities = NULL;

	cr_assert_eq(capacity_from_opportunities(each_ms, 1, true, &opportunities), 0);
	for (int round = 0; round < 4; round++) {
		struct world *w = world_create(round % 2 == 0 ? AQM_CODEL : AQM_FQ_CODEL,
			round < 2 ? NULL : opportunities);
		const struct link_stats *s = &w->link.stats;
		struct link_count waiting;

		(void)overload(w, MS(5000));
		waiting = aqm_waiting(w->aqm);
		cr_expect_geq(w->octets_out, 4998 * FULL_OCTETS, "round %d: %llu", round,
			(unsigned long long)w->octets_out);
		cr_expect_leq(w->octets_out, 5000 * FULL_OCTETS);
		cr_expect_gt(s->fate[LINK_DROP_AQM].packets, 0);
		cr_expect_eq(s->offered.packets,
			w->n_out + s->fate[LINK_DROP_AQM].packets
				+ s->fate[LINK_DROP_BUFFER].packets + waiting.packets,
			"offered = delivered + dropped + waiting");
		if (round >= 2)
			w->capacity = NULL; /* shared by two rounds */
		world_destroy(w);
	}
	capacity_destroy(opportunities);
}

Test(bench_cellink_aqm, a_sparse_flow_waits_behind_all_in_one_queue_and_for_a_packet_among_flows)
{
	static const struct {
		enum aqm_kind kind;
		uint64_t least_ns, most_ns;
	} cases[] = {{AQM_CODEL, MS(40), MS(51)}, {AQM_FQ_CODEL, 0, MS(3)}};

	for (size_t i = 0; i < 2; i++) {
		struct world *w = world_create(cases[i].kind, NULL);
		uint64_t now = MS(10) + 1;

		for (int n = 0; n < 60; n++)
			(void)put(w, 0, BULK_PORT, FULL_OCTETS);
		while (take(w, now) != 0)
			;
		(void)put(w, now, CALL_PORT, SMALL_OCTETS);
		while (take(w, now) != CALL_PORT && now < MS(200))
			now += MS(1) / 4;
		cr_expect_geq(now - MS(10), cases[i].least_ns, "case %zu", i);
		cr_expect_leq(now - MS(10), cases[i].most_ns, "case %zu", i);
		world_destroy(w);
	}
}

Test(bench_cellink_aqm, the_buffer_bounds_what_waits)
{
	struct world *w = world_create(AQM_FQ_CODEL, NULL);
	uint64_t refused = 0;

	for (int n = 0; n < 700; n++)
		refused += put(w, 0, BULK_PORT, FULL_OCTETS) == LINK_DROP_BUFFER;
	cr_expect_eq(refused, 700 - 666, "of 1 000 000 octets");
	cr_expect_eq(put(w, 0, BULK_PORT, FULL_OCTETS + 1), LINK_DROP_MTU);
	world_destroy(w);
}

Test(bench_cellink_aqm, names_are_known)
{
	enum aqm_kind kind = AQM_NONE;

	cr_expect_eq(aqm_kind_parse("fq-codel", &kind), 0);
	cr_expect_eq(kind, AQM_FQ_CODEL);
	cr_expect_eq(aqm_kind_parse("red", &kind), -EINVAL);
}
