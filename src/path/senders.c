/* SPDX-License-Identifier: BSD-3-Clause */
#include "senders.h"

#include <weir/base/clock.h>

#include <rte_pause.h>
#include <rte_ring.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_PLACES  1024
#define LENT_MAX     (RING_PLACES - 1) /* to one sender: either ring has room for all of it */
#define BURST_WORTH  16                /* a smaller burst is sent before a sender were awake */
#define BEHIND       256  /* frames lent to one sender: enough; about a millisecond's work */
#define CAUGHT_UP    16   /* few enough to go on, and enough to be at work until more come */
#define BUSY         64   /* a sender with a burst to do has no need of more flows */
#define RETURN_SHARE 16   /* of a sender's slots: those that go back when it was behind */
#define EMPTY_POLLS  1024 /* before a sender sleeps: some 30 us */

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_acquire);
}

static struct sender *sender_of(const struct senders *s, uint32_t lane)
{
	return &s->all[lane - 1];
}

/* Frames that a sender is through with: it takes them in order, so they are the first so many. */
static uint64_t n_through(const struct sender *t)
{
	return load(&t->n_sent) + load(&t->n_refused);
}

/* The same, as far as the books know: worker. */
static uint64_t n_settled(const struct sender *t)
{
	return t->n_in_sent + t->n_in_back;
}

static uint64_t n_out(const struct sender *t)
{
	return t->n_out - n_settled(t);
}

/* --- making --- */

static struct rte_ring *ring_create(const char *what, const void *owner)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "weir_%s_%p", what, owner);
	return rte_ring_create(name, RING_PLACES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int sender_init(struct sender *t)
{
	t->lent = ring_create("lent", t);
	t->refused = ring_create("back", t);
	t->wake_fd = eventfd(0, EFD_CLOEXEC);
	return t->lent == NULL || t->refused == NULL || t->wake_fd < 0 ? -ENOMEM : 0;
}

int senders_create(uint32_t n, struct senders **ret_senders)
{
	struct senders *s;
	int err = 0;

	*ret_senders = NULL;
	if (n == 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->all = aligned_alloc(RTE_CACHE_LINE_SIZE, n * sizeof(*s->all));
	if (s->all == NULL) {
		free(s);
		return -ENOMEM;
	}
	memset(s->all, 0, n * sizeof(*s->all));
	s->n = n;
	for (uint32_t i = 0; i < n; i++)
		s->all[i].wake_fd = -1;
	for (uint32_t i = 0; i < n && err == 0; i++)
		err = sender_init(&s->all[i]);
	for (uint32_t i = 0; i < SENDER_SLOTS; i++)
		s->slots[i].home = (uint8_t)(i % (n + 1));
	if (err < 0) {
		senders_destroy(s);
		return err;
	}
	*ret_senders = s;
	return 0;
}

static void free_left(struct rte_ring *ring)
{
	void *pkt;

	while (ring != NULL && rte_ring_sc_dequeue(ring, &pkt) == 0)
		rte_pktmbuf_free(pkt);
}

void senders_destroy(struct senders *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n; i++) {
		free_left(s->all[i].lent);
		free_left(s->all[i].refused);
		rte_ring_free(s->all[i].lent);
		rte_ring_free(s->all[i].refused);
		if (s->all[i].wake_fd >= 0)
			close(s->all[i].wake_fd);
	}
	free(s->all);
	free(s);
}

/* --- worker: lending --- */

static void wake(struct sender *t)
{
	uint64_t one = 1;

	if (!atomic_exchange(&t->sleeps, false))
		return;
	t->n_wakes++;
	if (write(t->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is awake: the counter is full */
}

/* False when the worker is to send all by itself: nobody serves, or all are idle and the burst is not worth a wake-up. */
static bool begin(struct sharing *x, const struct senders *s, uint32_t n_lanes, uint16_t n)
{
	uint64_t n_lent = 0;

	x->n_lanes = 1;
	x->idle = 0;
	for (uint32_t lane = 1; lane < n_lanes && lane <= s->n; lane++) {
		struct sender *t = sender_of(s, lane);

		if (!atomic_load_explicit(&t->serves, memory_order_acquire))
			break;
		x->done[lane] = n_settled(t);
		x->backlog[lane] = (uint32_t)(t->n_out - x->done[lane]);
		x->n_pending[lane] = 0;
		x->n_lanes++;
		n_lent += x->backlog[lane];
		if (x->backlog[lane] == 0 && x->idle == 0)
			x->idle = (uint8_t)lane;
	}
	x->is_worth = n >= BURST_WORTH;
	return n_lent > 0 || (x->is_worth && x->n_lanes > 1);
}

static void move(struct senders *s, struct sender_slot *slot, uint8_t lane)
{
	slot->home = lane;
	s->n_moved++;
}

/*
 * The lane that sends a frame of this slot now, nothing of the slot being lent. Loads are evened out one slot at a time: a sender
 * with nothing to do gets one that was the worker's, or a busy sender's; the worker gets some of one that fell behind.
 */
static uint32_t choose(struct senders *s, struct sharing *x, struct sender_slot *slot)
{
	if (!x->is_worth || slot->home >= x->n_lanes)
		return 0;
	if (x->idle != 0 && x->idle != slot->home
		&& (slot->home == 0 || x->backlog[slot->home] >= BUSY)) {
		move(s, slot, x->idle);
		x->idle = 0;
	} else if (slot->home != 0 && s->returns > 0 && x->backlog[slot->home] > 0) {
		move(s, slot, 0);
		s->returns--;
		x->idle = 0; /* what stays behind in this burst is sent after what is lent of it */
	}
	return slot->home;
}

static inline uint32_t lane_of(struct senders *s, struct sharing *x, const struct pkt_meta *m)
{
	struct sender_slot *slot;
	uint32_t lane;

	if (m->flow_id == FLOW_NONE)
		return 0;
	slot = &s->slots[m->flow_id % SENDER_SLOTS];
	lane = slot->home;
	if (lane != 0 && lane < x->n_lanes && slot->last > x->done[lane])
		return lane;
	return choose(s, x, slot);
}

/* Frames beyond what the rings hold are refused, as by a port whose queue is full. */
static void refuse(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		stage_drop(ctx, pkts[i], DROP_TX_REFUSED);
}

/* Hands over what was set apart for one lane. The slots of its frames know already how far they are lent. */
static void hand_over(struct stage_ctx *ctx, struct sharing *x, uint32_t lane, struct port *port)
{
	struct sender *t = sender_of(ctx->senders, lane);
	uint32_t n = x->n_pending[lane];

	atomic_fetch_add_explicit(&port->n_lent, n, memory_order_relaxed);
	rte_ring_sp_enqueue_bulk(t->lent, (void *const *)x->pending[lane], n, NULL);
	t->n_out += n;
	t->n_handovers++;
	t->is_behind = x->backlog[lane] > BEHIND;
	ctx->stages[STAGE_tx].held += n;
	/* In one order with `sleeps`: either the sender sees these frames or the worker that it sleeps. */
	atomic_store(&t->n_lent, t->n_out);
	if (atomic_load(&t->sleeps))
		wake(t);
}

/* Sets a frame apart for a lane; false when the lane's rings hold all they can. */
static inline bool set_apart(
	struct senders *s, struct sharing *x, uint32_t lane, struct rte_mbuf *pkt, uint32_t flow_id)
{
	const struct sender *t = sender_of(s, lane);

	if (unlikely(n_out(t) + x->n_pending[lane] >= LENT_MAX))
		return false;
	x->pending[lane][x->n_pending[lane]++] = pkt;
	x->backlog[lane]++;
	s->slots[flow_id % SENDER_SLOTS].last = t->n_out + x->n_pending[lane];
	return true;
}

/* Of most packets their flow says when they were lent last, for that is when they were counted. */
static inline void note_age(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	if (unlikely((uint32_t)ctx->now_us != m->rx_us
		     || (m->flags & (PKT_ICMP_ERROR | PKT_PROVES_NOTHING)) != 0))
		ctx->senders->slots[m->flow_id % SENDER_SLOTS].late_ms = ctx->now_ms;
}

uint16_t senders_lend(struct stage_ctx *ctx, uint8_t port_id, struct rte_mbuf **pkts, uint16_t n,
	struct edge *ret_lent)
{
	struct senders *s = ctx->senders;
	struct port *port = ctx->ports[port_id];
	struct sharing *x = &s->sharing;
	uint16_t n_own = 0;

	*ret_lent = (struct edge){0};
	if (!port_is_up(port) || !begin(x, s, port->n_lanes, n))
		return n;
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);
		uint32_t lane = lane_of(s, x, m);

		if (lane == 0) {
			pkts[n_own++] = pkts[i];
			continue;
		}
		ret_lent->octets += m->ip_octets;
		ret_lent->packets += m->ip_octets != 0;
		note_age(ctx, m);
		if (unlikely(!set_apart(s, x, lane, pkts[i], m->flow_id)))
			refuse(ctx, &pkts[i], 1);
	}
	for (uint32_t lane = 1; lane < x->n_lanes; lane++)
		if (x->n_pending[lane] > 0)
			hand_over(ctx, x, lane, port);
	return n_own;
}

/* --- worker: the books --- */

/* Frames that came back are dropped, and so taken back where they were billed. */
static void take_back(struct stage_ctx *ctx, struct sender *t, uint64_t n)
{
	struct rte_mbuf *pkts[BURST_MAX];

	while (n > 0) {
		uint32_t got = rte_ring_sc_dequeue_burst(t->refused, (void **)pkts,
			(unsigned int)RTE_MIN(n, (uint64_t)BURST_MAX), NULL);

		ctx->stages[STAGE_tx].taken += got;
		for (uint32_t i = 0; i < got; i++)
			stage_drop(ctx, pkts[i],
				port_is_up(ctx->ports[stage_meta(pkts[i])->out_port])
					? DROP_TX_REFUSED
					: DROP_TX_PORT_DOWN);
		t->n_in_back += got;
		n -= got;
	}
}

static void collect_edges(struct stage_ctx *ctx, struct sender *t)
{
	for (uint32_t i = 0; i < ctx->config->n_ports; i++) {
		struct edge *edge = &ctx->edge[i][ctx->is_uplink[i] ? UPLINK : DOWNLINK];
		struct edge sent = {
			.packets = atomic_load_explicit(&t->sent[i].packets, memory_order_relaxed),
			.octets = atomic_load_explicit(&t->sent[i].octets, memory_order_relaxed),
		};

		edge->packets += sent.packets - t->edges[i].packets;
		edge->octets += sent.octets - t->edges[i].octets;
		t->edges[i] = sent;
	}
}

static void collect_one(struct stage_ctx *ctx, struct sender *t)
{
	uint64_t n_sent = load(&t->n_sent);
	uint64_t n_refused = load(&t->n_refused);

	if (n_sent != t->n_in_sent) {
		ctx->stages[STAGE_tx].taken += n_sent - t->n_in_sent;
		ctx->stages[STAGE_tx].out += n_sent - t->n_in_sent;
		t->n_in_sent = n_sent;
		collect_edges(ctx, t);
	}
	if (unlikely(n_refused != t->n_in_back))
		take_back(ctx, t, n_refused - t->n_in_back);
	if (t->is_behind && n_out(t) <= CAUGHT_UP) {
		t->is_behind = false;
		ctx->senders->returns = SENDER_SLOTS / (ctx->senders->n + 1) / RETURN_SHARE + 1;
	}
}

/* Moves clear_ms on: what was lent up to a mark is in the books, so is all that was lent before the mark's time. */
static void move_mark(struct senders *s, uint32_t now_ms)
{
	if (s->has_mark)
		for (uint32_t i = 0; i < s->n; i++)
			if (n_settled(&s->all[i]) < s->all[i].mark)
				return;
	if (s->has_mark)
		s->clear_ms = s->mark_ms;
	for (uint32_t i = 0; i < s->n; i++)
		s->all[i].mark = s->all[i].n_out;
	s->mark_ms = now_ms;
	s->has_mark = true;
}

void senders_collect(struct stage_ctx *ctx)
{
	struct senders *s = ctx->senders;

	ctx->stage = STAGE_tx;
	for (uint32_t i = 0; i < s->n; i++)
		if (n_out(&s->all[i]) > 0)
			collect_one(ctx, &s->all[i]);
	if (s->mark_ms != ctx->now_ms)
		move_mark(s, ctx->now_ms);
}

void senders_settle(struct stage_ctx *ctx)
{
	while (senders_n_out(ctx->senders) > 0) {
		senders_collect(ctx);
		sched_yield();
	}
}

uint64_t senders_n_out(const struct senders *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += n_out(&s->all[i]);
	return n;
}

bool senders_are_behind(const struct senders *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->all[i].is_behind)
			return true;
	return false;
}

bool senders_may_hold(const struct senders *s, const struct flow *f, uint32_t flow_id)
{
	const struct sender_slot *slot = &s->slots[flow_id % SENDER_SLOTS];
	uint32_t last_ms = slot->late_ms;

	if (slot->home == 0 || slot->last <= n_settled(sender_of(s, slot->home)))
		return false;
	for (uint32_t d = 0; d < N_DIRECTIONS; d++)
		if ((int32_t)(f->last_ms[d] - last_ms) > 0)
			last_ms = f->last_ms[d];
	return (int32_t)(last_ms - s->clear_ms) >= 0;
}

/* --- sender --- */

static void add(_Atomic uint64_t *counter, uint64_t n, memory_order order)
{
	/* One writer: no need of a locked addition. */
	atomic_store_explicit(
		counter, atomic_load_explicit(counter, memory_order_relaxed) + n, order);
}

/* Sends frames of one port. The books learn of them when all else is done with them. */
static void send_run(struct stage_ctx *ctx, uint32_t lane, struct rte_mbuf **pkts, uint16_t n)
{
	struct sender *t = sender_of(ctx->senders, lane);
	uint8_t port_id = stage_meta(pkts[0])->out_port;
	struct port *port = ctx->ports[port_id];
	uint64_t octets = 0, packets = 0;
	uint16_t n_sent;

	for (uint16_t i = 0; i < n; i++) {
		octets += stage_meta(pkts[i])->ip_octets;
		packets += stage_meta(pkts[i])->ip_octets != 0;
	}
	n_sent = port_is_up(port) ? port->ops->tx_lane(port, lane, pkts, n) : 0;
	for (uint16_t i = n_sent; i < n; i++) {
		octets -= stage_meta(pkts[i])->ip_octets;
		packets -= stage_meta(pkts[i])->ip_octets != 0;
	}
	atomic_fetch_sub_explicit(&port->n_lent, n, memory_order_release);
	add(&t->sent[port_id].packets, packets, memory_order_relaxed);
	add(&t->sent[port_id].octets, octets, memory_order_relaxed);
	add(&t->n_sent, n_sent, memory_order_release);
	if (likely(n_sent == n))
		return;
	rte_ring_sp_enqueue_bulk(
		t->refused, (void *const *)(pkts + n_sent), (unsigned int)(n - n_sent), NULL);
	add(&t->n_refused, (uint64_t)(n - n_sent), memory_order_release);
}

/* Sends up to a burst of the `n_told` frames that it was told of; returns how many. */
static uint32_t send_burst(struct stage_ctx *ctx, uint32_t lane, uint64_t n_told)
{
	struct sender *t = sender_of(ctx->senders, lane);
	struct rte_mbuf *pkts[BURST_MAX];
	uint32_t n = rte_ring_sc_dequeue_burst(
		t->lent, (void **)pkts, (unsigned int)RTE_MIN(n_told, (uint64_t)BURST_MAX), NULL);
	uint64_t start_us = clock_now_us();
	uint32_t first = 0;

	for (uint32_t i = 1; i <= n; i++) {
		if (i < n && stage_meta(pkts[i])->out_port == stage_meta(pkts[first])->out_port)
			continue;
		send_run(ctx, lane, pkts + first, (uint16_t)(i - first));
		first = i;
	}
	add(&t->busy_us, clock_now_us() - start_us, memory_order_relaxed);
	return n;
}

static void sleep_until_lent(struct sender *t, uint64_t n_done)
{
	uint64_t count;

	atomic_store(&t->sleeps, true);
	if (atomic_load(&t->n_lent) == n_done && !atomic_load(&t->stopping)) {
		add(&t->n_sleeps, 1, memory_order_relaxed);
		if (read(t->wake_fd, &count, sizeof(count)) < 0)
			sched_yield(); /* a signal's: look again */
	}
	atomic_store(&t->sleeps, false);
}

void sender_run(struct stage_ctx *ctx, uint32_t lane)
{
	struct sender *t = sender_of(ctx->senders, lane);
	uint64_t n_done = n_through(t);
	uint32_t n_empty = 0;

	atomic_store_explicit(&t->serves, true, memory_order_release);
	for (;;) {
		uint64_t n_told = load(&t->n_lent) - n_done;

		if (n_told > 0) {
			n_done += send_burst(ctx, lane, n_told);
			n_empty = 0;
		} else if (atomic_load_explicit(&t->stopping, memory_order_acquire)) {
			break;
		} else if (++n_empty > EMPTY_POLLS) {
			sleep_until_lent(t, n_done);
			n_empty = 0;
		} else {
			rte_pause();
		}
	}
	atomic_store_explicit(&t->serves, false, memory_order_release);
}

void senders_stop(struct senders *s)
{
	uint64_t one = 1;

	for (uint32_t i = 0; i < s->n; i++) {
		atomic_store(&s->all[i].stopping, true);
		if (write(s->all[i].wake_fd, &one, sizeof(one)) < 0)
			continue; /* it is awake: the counter is full */
	}
}
