/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_shaper.h"

#include <weir/base/clock.h>

#include <math.h>

#define QUANTUM     1514
#define TARGET_US   5000 /* RFC 8289 */
#define INTERVAL_US 100000
#define BURST_US    1000 /* a step of the simulation */
#define LIST_NEW    0
#define LIST_OLD    1

void sim_shaper_set_rate(struct sim_shaper *s, uint64_t rate_bps, uint64_t now_us)
{
	int64_t most;

	if (now_us > s->credited_us)
		s->credit_bits_us += (int64_t)(s->rate_bps * (now_us - s->credited_us));
	s->credited_us = now_us;
	s->rate_bps = rate_bps;
	most = (int64_t)(rate_bps * BURST_US) + 1514 * 8 * (int64_t)US_PER_S;
	if (s->credit_bits_us > most)
		s->credit_bits_us = most;
}

static void list_put(struct sim_shaper *s, int list, uint8_t flow)
{
	s->lists[list][(s->head[list] + s->n[list]++) % SIM_SHAPER_FLOWS] = flow;
}

static void list_take(struct sim_shaper *s, int list)
{
	s->head[list] = (s->head[list] + 1) % SIM_SHAPER_FLOWS;
	s->n[list]--;
}

static uint8_t flow_of(const struct sim_packet *p)
{
	return (uint8_t)(2 * p->flow + (p->kind == SIM_ACK));
}

void sim_shaper_put(struct sim_shaper *s, const struct sim_packet *p, uint64_t now_us)
{
	uint8_t flow = flow_of(p);
	struct sim_shaper_flow *f = &s->flows[flow];
	struct sim_packet entered = *p;

	entered.queued_us = now_us;
	sim_queue_put(&f->queue, &entered);
	s->octets += p->octets;
	if (!f->is_listed) {
		f->is_listed = true;
		f->deficit = QUANTUM;
		list_put(s, LIST_NEW, flow);
	}
}

/* RFC 8289's target is at least the time of one and a half packets. */
static uint64_t target_us(const struct sim_shaper *s)
{
	uint64_t packets_us = s->rate_bps == 0 ? 0 : 1500 * 12 * US_PER_S / s->rate_bps;
	uint64_t least_us = s->target_us == 0 ? TARGET_US : s->target_us;

	return packets_us > least_us ? packets_us : least_us;
}

static uint64_t interval_us(const struct sim_shaper *s)
{
	return s->interval_us == 0 ? INTERVAL_US : s->interval_us;
}

static bool take_front(struct sim_shaper *s, struct sim_shaper_flow *f, uint64_t now_us,
	struct sim_packet *p, bool *ret_ok_to_drop)
{
	uint64_t sojourn_us;

	*ret_ok_to_drop = false;
	if (f->queue.n == 0) {
		f->codel.first_above_us = 0;
		return false;
	}
	*p = sim_queue_take(&f->queue);
	s->octets -= p->octets;
	sojourn_us = now_us - p->queued_us + s->hidden_us;
	if (sojourn_us < target_us(s) || f->queue.octets <= 1514)
		f->codel.first_above_us = 0;
	else if (f->codel.first_above_us == 0)
		f->codel.first_above_us = now_us + interval_us(s);
	else
		*ret_ok_to_drop = now_us >= f->codel.first_above_us;
	return true;
}

static uint64_t control_law(const struct sim_shaper *s, uint64_t t_us, uint32_t count)
{
	return t_us + (uint64_t)((double)interval_us(s) / sqrt((double)count));
}

static void drop(struct sim_shaper *s, struct sim_codel *c)
{
	c->count++;
	s->n_dropped++;
}

/* RFC 8289 section 4.4. */
static bool codel_take(
	struct sim_shaper *s, struct sim_shaper_flow *f, uint64_t now_us, struct sim_packet *p)
{
	struct sim_codel *c = &f->codel;
	bool ok_to_drop;
	bool any = take_front(s, f, now_us, p, &ok_to_drop);

	if (c->is_dropping) {
		if (!ok_to_drop)
			c->is_dropping = false;
		while (any && now_us >= c->drop_next_us && c->is_dropping) {
			drop(s, c);
			any = take_front(s, f, now_us, p, &ok_to_drop);
			if (!ok_to_drop)
				c->is_dropping = false;
			else
				c->drop_next_us = control_law(s, c->drop_next_us, c->count);
		}
	} else if (ok_to_drop) {
		uint32_t delta = c->count - c->last_count;

		drop(s, c);
		any = take_front(s, f, now_us, p, &ok_to_drop);
		c->is_dropping = true;
		c->count = delta > 1 && now_us - c->drop_next_us < 16 * interval_us(s) ? delta : 1;
		c->drop_next_us = control_law(s, now_us, c->count);
		c->last_count = c->count;
	}
	return any;
}

bool sim_shaper_take_any(struct sim_shaper *s, uint64_t now_us, struct sim_packet *ret_packet)
{
	for (;;) {
		int list = s->n[LIST_NEW] > 0 ? LIST_NEW : LIST_OLD;
		uint8_t flow;
		struct sim_shaper_flow *f;

		if (s->n[list] == 0)
			return false;
		flow = s->lists[list][s->head[list]];
		f = &s->flows[flow];
		if (f->deficit <= 0) {
			f->deficit += QUANTUM;
			list_take(s, list);
			list_put(s, LIST_OLD, flow);
			continue;
		}
		if (!codel_take(s, f, now_us, ret_packet)) {
			list_take(s, list);
			if (list == LIST_NEW)
				list_put(s, LIST_OLD, flow);
			else
				f->is_listed = false;
			continue;
		}
		f->deficit -= ret_packet->octets;
		ret_packet->waited_us += now_us - ret_packet->queued_us;
		return true;
	}
}

bool sim_shaper_take(struct sim_shaper *s, uint64_t now_us, struct sim_packet *ret_packet)
{
	if (s->rate_bps != 0) {
		sim_shaper_set_rate(s, s->rate_bps, now_us);
		if (s->credit_bits_us <= 0)
			return false;
	}
	if (!sim_shaper_take_any(s, now_us, ret_packet))
		return false;
	if (s->rate_bps != 0)
		s->credit_bits_us -= (int64_t)ret_packet->octets * 8 * (int64_t)US_PER_S;
	return true;
}

void sim_shaper_clean(struct sim_shaper *s)
{
	for (uint32_t i = 0; i < SIM_SHAPER_FLOWS; i++)
		sim_queue_clean(&s->flows[i].queue);
}
