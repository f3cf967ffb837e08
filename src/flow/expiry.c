/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/flow/expiry.h>
#include <weir/flow/tcp_track.h>
#include <weir/packet/meta.h>

#include <errno.h>
#include <stdlib.h>

#define SLOT_SHIFT 18 /* 2^18 µs a slot */
#define N_SLOTS    256
#define SLOT_MASK  (N_SLOTS - 1)
#define N_LANES                                                                                    \
	8 /* lists a slot: taken in turn, so that as many flows are on their way from memory at once */
#define LANE_MASK (N_LANES - 1)

#define PROTO_ICMPV6 58

/* A stamp this little ahead of the wheel's clock is a packet since its last turn, not one of 49 days ago. */
#define AHEAD_MAX_MS (UINT32_C(1) << 20)

struct flow_wheel {
	struct flow_table *table;
	uint64_t now_us; /* of the last call */
	uint32_t now_ms; /* the same, as flows are stamped */
	uint64_t next;   /* the slot to look at next, counted from time 0; all before it are done */
	uint32_t lane;   /* to look at next */
	uint32_t heads[N_SLOTS * N_LANES];
};

/* flow_more.wheel_slot is the list's number plus one, so that a zeroed flow is not armed. */
#define SLOT_UNARMED 0

static void set_now(struct flow_wheel *w, uint64_t now_us)
{
	w->now_us = now_us;
	w->now_ms = (uint32_t)(now_us / US_PER_MS);
}

int flow_wheel_create(struct flow_table *t, uint64_t now_us, struct flow_wheel **ret_wheel)
{
	struct flow_wheel *w = malloc(sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->table = t;
	set_now(w, now_us);
	w->next = (now_us >> SLOT_SHIFT) + 1;
	w->lane = 0;
	for (uint32_t i = 0; i < N_SLOTS * N_LANES; i++)
		w->heads[i] = FLOW_NONE;
	*ret_wheel = w;
	return 0;
}

void flow_wheel_destroy(struct flow_wheel *w)
{
	free(w);
}

static uint32_t tcp_timeout_ms(const struct flow_timeouts *to, uint8_t state)
{
	if (tcp_state_is_established(state))
		return to->tcp_established_ms;
	if (state == TCP_STATE_TIME_WAIT)
		return to->tcp_closed_ms;
	return to
		->tcp_transitory_ms; /* opens, closes, or was reset: RFC 5382 REQ-5, RFC 7857 section 2.2 */
}

uint32_t flow_timeout_ms(const struct flow_timeouts *to, const struct flow *f)
{
	switch (f->proto) {
	case PROTO_TCP:
		return tcp_timeout_ms(to, f->state);
	case PROTO_UDP:
		return f->packets[UPLINK] != 0 && f->packets[DOWNLINK] != 0 ? to->udp_ms
									    : to->udp_one_way_ms;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return to->icmp_ms;
	default:
		return to->other_ms;
	}
}

static uint32_t ms_since(const struct flow_wheel *w, uint32_t stamp_ms)
{
	uint32_t span_ms = w->now_ms - stamp_ms;

	return span_ms > UINT32_MAX - AHEAD_MAX_MS ? 0 : span_ms;
}

/*
 * Time since the last packet that keeps the flow alive. RFC 4787 REQ-6: uplink packets do, downlink ones of UDP and
 * ICMP only where configured: a stranger could hold the mapping open. A flow that has had none counts from its start.
 */
static uint32_t idle_ms(
	const struct flow_wheel *w, const struct flow_timeouts *to, uint32_t flow_id)
{
	const struct flow *f = &w->table->flows[flow_id];
	bool is_query = f->proto == PROTO_UDP || f->proto == PROTO_ICMP;
	bool down_refreshes = !is_query || to->inbound_refresh != 0;
	bool down_counts = down_refreshes && f->packets[DOWNLINK] != 0;
	uint64_t start_us = w->table->more[flow_id].start_us;
	uint32_t down_ms = down_counts ? ms_since(w, f->last_ms[DOWNLINK]) : UINT32_MAX;
	uint32_t up_ms;

	if (f->packets[UPLINK] == 0 && down_counts)
		return down_ms;
	if (f->packets[UPLINK] == 0)
		return start_us >= w->now_us ? 0 : (uint32_t)((w->now_us - start_us) / US_PER_MS);
	up_ms = ms_since(w, f->last_ms[UPLINK]);
	return up_ms < down_ms ? up_ms : down_ms;
}

/* Puts a flow into the slot after its deadline, or as far round as the wheel goes. */
static void arm(struct flow_wheel *w, uint32_t flow_id, uint32_t remaining_ms)
{
	struct flow_more *more = w->table->more;
	uint64_t due = ((w->now_us + (uint64_t)remaining_ms * US_PER_MS) >> SLOT_SHIFT) + 1;
	uint32_t list;

	/* Never into the slot at hand: it would be drained without end. */
	if (due <= w->next)
		due = w->next + 1;
	if (due >= w->next + N_SLOTS)
		due = w->next + N_SLOTS - 1;
	list = ((uint32_t)due & SLOT_MASK) * N_LANES + (flow_id & LANE_MASK);
	more[flow_id].wheel_slot = (uint16_t)(list + 1);
	more[flow_id].wheel_prev = FLOW_NONE;
	more[flow_id].wheel_next = w->heads[list];
	if (w->heads[list] != FLOW_NONE)
		more[w->heads[list]].wheel_prev = flow_id;
	w->heads[list] = flow_id;
}

static uint32_t remaining_ms(
	const struct flow_wheel *w, const struct flow_timeouts *to, uint32_t flow_id)
{
	uint32_t timeout_ms = flow_timeout_ms(to, &w->table->flows[flow_id]);
	uint32_t idle = idle_ms(w, to, flow_id);

	return idle >= timeout_ms ? 0 : timeout_ms - idle;
}

void flow_wheel_add(struct flow_wheel *w, const struct flow_timeouts *to, uint32_t flow_id)
{
	assert(w->table->more[flow_id].wheel_slot == SLOT_UNARMED);
	arm(w, flow_id, remaining_ms(w, to, flow_id));
}

void flow_wheel_remove(struct flow_wheel *w, uint32_t flow_id)
{
	struct flow_more *more = w->table->more;
	struct flow_more *m = &more[flow_id];

	if (m->wheel_slot == SLOT_UNARMED)
		return;
	if (m->wheel_prev != FLOW_NONE)
		more[m->wheel_prev].wheel_next = m->wheel_next;
	else
		w->heads[m->wheel_slot - 1] = m->wheel_next;
	if (m->wheel_next != FLOW_NONE)
		more[m->wheel_next].wheel_prev = m->wheel_prev;
	m->wheel_slot = SLOT_UNARMED;
}

/*
 * One round of the wheel meets every flow, so a jump forward skips to the last round before now. After a
 * jump back the wheel goes on from there: flows that it then meets too early are put back.
 */
static void turn_to(struct flow_wheel *w, uint64_t now_us)
{
	uint64_t now_slot = now_us >> SLOT_SHIFT;

	set_now(w, now_us);
	if (w->next > now_slot + 1)
		w->next = now_slot + 1;
	if (w->next + N_SLOTS <= now_slot)
		w->next = now_slot + 1 - N_SLOTS;
}

/* The first flow of the slot at hand, of each list in turn; FLOW_NONE when it is empty. */
static uint32_t first_of_slot(struct flow_wheel *w)
{
	const uint32_t *heads = &w->heads[(w->next & SLOT_MASK) * N_LANES];

	for (uint32_t i = 0; i < N_LANES; i++) {
		uint32_t lane = (w->lane + i) & LANE_MASK;

		if (heads[lane] == FLOW_NONE)
			continue;
		w->lane = (lane + 1) & LANE_MASK;
		return heads[lane];
	}
	return FLOW_NONE;
}

/* The flows of a list lie anywhere in memory: fetch the next while those of the other lists are judged. */
static void prefetch_flow(const struct flow_table *t, uint32_t flow_id)
{
	if (flow_id == FLOW_NONE)
		return;
	__builtin_prefetch(&t->flows[flow_id]);
	__builtin_prefetch(&t->more[flow_id].wheel_next, 1);
}

uint32_t flow_wheel_expire(struct flow_wheel *w, const struct flow_timeouts *to, uint64_t now_us,
	uint32_t budget, uint32_t *expired, uint32_t n_max)
{
	uint64_t now_slot = now_us >> SLOT_SHIFT;
	uint32_t n_expired = 0;

	turn_to(w, now_us);
	while (w->next <= now_slot) {
		uint32_t flow_id = first_of_slot(w);
		uint32_t left_ms;

		if (flow_id == FLOW_NONE) {
			w->next++;
			continue;
		}
		if (budget == 0 || n_expired == n_max)
			break;
		budget--;
		prefetch_flow(w->table, w->table->more[flow_id].wheel_next);
		flow_wheel_remove(w, flow_id);
		left_ms = remaining_ms(w, to, flow_id);
		if (left_ms == 0)
			expired[n_expired++] = flow_id;
		else
			arm(w, flow_id, left_ms);
	}
	return n_expired;
}

bool flow_wheel_is_late(const struct flow_wheel *w)
{
	return w->next <= w->now_us >> SLOT_SHIFT;
}
