/* SPDX-License-Identifier: BSD-3-Clause */
/* What control can reach: see doors.h. */
#include "link_watch.h"
#include "path.h"
#include "senders.h"

#include <weir/base/clock.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_NS 200000
#define WAIT_STEPS   5000 /* a second */

#define LISTING_IDS_MAX 4096 /* places looked at in one turn of the worker */

static const char *const stage_names[N_STAGES] = {
#define STAGE(name) #name,
#include "stages.def"
#undef STAGE
};

static void wake(struct path *p)
{
	uint64_t one = 1;

	if (write(p->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is awake: the counter is full */
}

static void wait_a_step(void)
{
	struct timespec step = {.tv_nsec = WAIT_STEP_NS};

	nanosleep(&step, NULL);
}

static bool try_own(struct path *p, enum path_owner owner)
{
	uint32_t nobody = OWNER_NONE;

	return atomic_compare_exchange_strong(&p->owner, &nobody, owner);
}

void path_own(struct path *p, enum path_owner owner)
{
	while (!try_own(p, owner))
		wait_a_step();
}

void doors_stop(struct path *p)
{
	atomic_store(&p->stopping, true);
	wake(p);
}

void doors_senders_stop(struct path *p)
{
	if (p->ctx.senders != NULL)
		senders_stop(p->ctx.senders);
}

void doors_publish(struct path *p, struct path_config *config)
{
	struct path_config *old = p->config;

	p->config = config;
	atomic_store_explicit(&p->next_config, config, memory_order_release);
	wake(p);
	while (atomic_load_explicit(&p->next_config, memory_order_acquire) != NULL) {
		if (try_own(p, OWNER_CONTROL)) {
			path_adopt_next(p);
			atomic_store(&p->owner, OWNER_NONE);
		} else {
			wait_a_step();
		}
	}
	path_config_destroy(old);
}

const struct path_config *doors_config(const struct path *p)
{
	return p->config;
}

static void read_stages(const struct stage_ctx *ctx, struct path_stats *s)
{
	s->n_stages = N_STAGES;
	for (uint32_t i = 0; i < N_STAGES; i++) {
		const struct stage_counters *c = &ctx->stages[i];

		s->stages[i] = (struct path_stage_stats){
			.name = stage_names[i],
			.in = c->in,
			.out = c->out,
			.dropped = c->dropped,
			.aside = c->aside,
			.held = (int64_t)(c->held - c->taken),
			.ticks = c->ticks,
		};
	}
}

static void read_ports(const struct stage_ctx *ctx, struct path_stats *s)
{
	for (uint32_t i = 0; i < ctx->config->n_ports; i++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
			const struct edge *edge = &ctx->edge[i][d];
			const struct edge *attributed = &ctx->attributed[i][d];
			struct shaper_load load;

			s->edge_packets[i][d] = edge->packets;
			s->edge_octets[i][d] = edge->octets;
			/* Packets between edge and account make these a little high while they move. */
			if (ctx->is_uplink[i] && edge->octets >= attributed->octets) {
				s->unattributed_packets[i][d] = edge->packets - attributed->packets;
				s->unattributed_octets[i][d] = edge->octets - attributed->octets;
			}
			if (d == DOWNLINK) {
				s->unsolicited_octets[i] = ctx->unsolicited[i].sum.octets;
				s->unsolicited_packets[i] = ctx->unsolicited[i].sum.packets;
			}
			if (ctx->shapers[i][d] == NULL)
				continue;
			load = shaper_load(ctx->shapers[i][d]);
			s->queue_packets[i][d] = load.backlog_packets;
			s->queue_octets[i][d] = load.backlog_octets;
		}
}

uint32_t doors_senders_read(const struct path *p, struct path_sender_stats ret_stats[SENDERS_MAX])
{
	const struct senders *all = p->ctx.senders;

	if (all == NULL)
		return 0;
	for (uint32_t i = 0; i < all->n; i++) {
		const struct sender *t = &all->all[i];

		ret_stats[i] = (struct path_sender_stats){
			.packets = atomic_load_explicit(&t->n_sent, memory_order_relaxed),
			.refused = atomic_load_explicit(&t->n_refused, memory_order_relaxed),
			.handovers = t->n_handovers,
			.wakes = t->n_wakes,
			.sleeps = atomic_load_explicit(&t->n_sleeps, memory_order_relaxed),
			.busy_us = atomic_load_explicit(&t->busy_us, memory_order_relaxed),
			.lent = (uint32_t)(t->n_out - t->n_in_sent - t->n_in_back),
		};
	}
	for (uint32_t i = 0; i < SENDER_SLOTS; i++)
		if (all->slots[i].home != 0)
			ret_stats[all->slots[i].home - 1].slots++;
	return all->n;
}

static void read_plan(const struct meter *m, struct plan_stats *s)
{
	memcpy(s->billed_octets, m->billed_octets, sizeof(s->billed_octets));
	memcpy(s->octets, m->octets, sizeof(s->octets));
	memcpy(s->packets, m->packets, sizeof(s->packets));
}

void doors_stats_read(const struct path *p, struct path_stats *ret_stats)
{
	const struct stage_ctx *ctx = &p->ctx;
	struct path_stats *s = ret_stats;

	memset(s, 0, sizeof(*s));
	read_stages(ctx, s);
	read_ports(ctx, s);
	memcpy(s->drops, ctx->drops, sizeof(s->drops));
	memcpy(s->drop_octets, ctx->drop_octets, sizeof(s->drop_octets));
	for (uint32_t i = 0; i < ctx->config->n_plans; i++)
		read_plan(&ctx->plans[i], &s->plans[i]);
	s->flows_created = ctx->flows_created;
	s->flows_ended = ctx->flows_ended;
	s->records_lost = p->records_lost;
	s->loops = p->loops;
	s->sleeps = p->sleeps;
	s->conservation_errors = ctx->conservation_errors;
	s->n_flows = ctx->flows->n_flows;
	s->flow_capacity = ctx->flows->capacity;
	s->n_devices = ctx->devices->n_devices;
	s->n_leases = lease_table_n(ctx->pcp.leases);
	for (uint32_t i = 0; i < PORTS_MAX; i++)
		if (ctx->nats[i] != NULL)
			s->n_mappings += nat_n_mappings(ctx->nats[i]);
}

bool doors_shaper_read(const struct path *p, uint8_t port, enum direction direction,
	struct shaper_stats *ret_stats)
{
	const struct shaper *s = p->ctx.shapers[port][direction];

	if (s != NULL)
		shaper_stats_read(s, ret_stats);
	return s != NULL;
}

bool doors_link_read(const struct path *p, uint8_t port, struct link_stats *ret_stats)
{
	if (!p->ctx.followed[port])
		return false;
	link_watch_read(p->ctx.links[port], ret_stats);
	return true;
}

bool doors_link_hint(
	struct path *p, uint8_t port, const struct link_rate_hint *hint, uint64_t now_us)
{
	if (port >= p->config->n_ports || !p->config->ports[port].follows_link)
		return false;
	link_watch_tell(p->ctx.links[port], hint, now_us);
	return true;
}

void doors_probe_limit_set(struct path *p, uint8_t port, uint64_t octets)
{
	if (p->ctx.links[port] != NULL)
		link_watch_set_probe_limit(p->ctx.links[port], octets);
}

/* The flow's totals, in the shape of a record. */
static void view_of(const struct stage_ctx *ctx, uint32_t id, struct flow_view *view)
{
	struct flow f = ctx->flows->flows[id];
	struct flow_more more = ctx->flows->more[id];
	const struct device *device =
		f.device_id == DEVICE_NONE ? NULL : &ctx->devices->devices[f.device_id];
	uint64_t now_us = ctx->now_us;

	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		uint64_t reported = more.reported_octets[d];

		view->unreported_octets[d] = f.octets[d] > reported ? f.octets[d] - reported : 0;
		view->unreported_packets[d] = f.packets[d] - more.reported_packets[d];
	}
	/* Copies, so that nothing is marked as reported; from zero, so that totals come out. */
	memset(more.reported_octets, 0, sizeof(more.reported_octets));
	memset(more.reported_packets, 0, sizeof(more.reported_packets));
	record_take(&view->record, &f, &more, id, device, FLOW_END_NONE, now_us);
	view->idle_us = now_us > view->record.end_us ? now_us - view->record.end_us : 0;
	view->timeout_us = flow_timeout_ms(&ctx->config->timeouts, &f) * US_PER_MS;
}

void path_serve_listing(struct path *p)
{
	struct listing *l = &p->listing;
	const struct flow_table *t = p->ctx.flows;
	uint32_t asked = LISTING_ASKED;
	uint32_t id, end;

	if (!atomic_compare_exchange_strong(&l->state, &asked, LISTING_BUSY))
		return; /* withdrawn */
	id = l->cursor;
	end = RTE_MIN(t->capacity, id + LISTING_IDS_MAX);
	l->n = 0;
	for (; id < end && l->n < l->n_max; id++)
		if (t->more[id].in_use)
			view_of(&p->ctx, id, &l->views[l->n++]);
	l->cursor = id >= t->capacity ? FLOW_NONE : id;
	atomic_store_explicit(&l->state, LISTING_DONE, memory_order_release);
}

int doors_flows_read(struct path *p, uint32_t *cursor, struct flow_view *views, uint32_t n)
{
	struct listing *l = &p->listing;

	l->cursor = *cursor;
	l->n_max = n;
	l->views = views;
	atomic_store_explicit(&l->state, LISTING_ASKED, memory_order_release);
	wake(p);
	for (uint32_t i = 0; atomic_load_explicit(&l->state, memory_order_acquire) != LISTING_DONE;
		i++) {
		uint32_t asked = LISTING_ASKED;

		if (i >= WAIT_STEPS
			&& atomic_compare_exchange_strong(&l->state, &asked, LISTING_IDLE))
			return -ETIMEDOUT;
		if (try_own(p, OWNER_CONTROL)) {
			path_serve_listing(p);
			atomic_store(&p->owner, OWNER_NONE);
		} else {
			wait_a_step();
		}
	}
	atomic_store(&l->state, LISTING_IDLE);
	*cursor = l->cursor;
	return (int)l->n;
}

void doors_meter_read(const struct path *p, uint8_t plan_id, struct meter *ret_meter)
{
	*ret_meter = p->ctx.plans[plan_id];
}

void doors_limits_set(struct path *p, uint8_t plan_id, const struct meter_limits *limits)
{
	meter_set_limits(&p->ctx.plans[plan_id], limits);
}

void doors_unsolicited_read(
	const struct path *p, uint8_t uplink, struct unsolicited_lists *ret_lists)
{
	const struct unsolicited *u = &p->ctx.unsolicited[uplink];

	*ret_lists = (struct unsolicited_lists){
		.octets = u->sum.octets, .packets = u->sum.packets, .since_us = u->since_us};
	if (__atomic_load_n(&u->must_restart, __ATOMIC_RELAXED))
		return; /* nothing has come since */
	top_read(&u->senders, &ret_lists->senders);
	top_read(&u->networks, &ret_lists->networks);
	top_read(&u->targets, &ret_lists->targets);
}

void doors_unsolicited_restart(struct path *p, uint8_t uplink)
{
	__atomic_store_n(&p->ctx.unsolicited[uplink].must_restart, true, __ATOMIC_RELAXED);
}

void doors_rule_hits_read(const struct path *p, uint64_t ret_hits[POLICY_RULE_DEFAULT + 1])
{
	for (uint32_t i = 0; i <= POLICY_RULE_DEFAULT; i++)
		ret_hits[i] = __atomic_load_n(&p->ctx.rule_watches[i].n_hits, __ATOMIC_RELAXED);
}

uint32_t doors_devices_read(
	const struct path *p, uint16_t first, struct device *devices, uint32_t n)
{
	const struct device_table *t = p->ctx.devices;
	uint32_t i = 0;

	for (; i < n && first + i < t->n_high; i++)
		devices[i] = t->devices[first + i];
	return i;
}

uint32_t doors_leases_read(const struct path *p, uint16_t first, struct lease *leases, uint32_t n)
{
	uint32_t i = 0;

	for (; i < n && first + i < NAT_PINS_MAX; i++)
		leases[i] = *lease_at(p->ctx.pcp.leases, (uint16_t)(first + i));
	return i;
}

bool doors_mapping_find(const struct path *p, uint8_t proto, const struct ip_addr *internal,
	uint16_t internal_port, struct ip_addr *ret_external, uint16_t *ret_external_port)
{
	for (uint32_t i = 0; i < p->ctx.config->n_ports; i++) {
		uint32_t id = p->ctx.nats[i] == NULL ? POOL_NONE
						     : nat_find_internal(p->ctx.nats[i], proto,
							     internal, internal_port);

		if (id == POOL_NONE)
			continue;
		*ret_external = p->ctx.config->ports[i].address.addr;
		*ret_external_port = nat_mapping(p->ctx.nats[i], id)->external_port;
		return true;
	}
	return false;
}

bool doors_external_find(const struct path *p, const struct flow_key_v4 *up,
	struct ip_addr *ret_external, uint16_t *ret_external_port)
{
	uint32_t ref =
		flow_table_find_v4(p->ctx.flows, flow_hash_v4(&p->ctx.flows->hash_key, up), up);
	const struct flow *f = ref == FLOW_REF_NONE ? NULL : &p->ctx.flows->flows[ref >> 1];
	struct ip_addr internal = ip_addr_v4(up->src_be);

	if (f == NULL || (ref & 1) != UPLINK || (f->flags & FLOW_TRANSLATED) == 0
		|| (f->flags & FLOW_HAIRPIN) != 0)
		return doors_mapping_find(
			p, up->proto, &internal, up->src_port, ret_external, ret_external_port);
	*ret_external = ip_addr_v4(f->external_be);
	*ret_external_port = f->external_port;
	return true;
}

void doors_expect(const struct path *p, const struct flow_key_v4 *ups, uint32_t n)
{
	const struct flow_table *t = p->ctx.flows;
	uint32_t words[DOORS_EXPECT_MAX]; /* hashes, then references */

	for (uint32_t i = 0; i < n; i++) {
		words[i] = flow_hash_v4(&t->hash_key, &ups[i]);
		rte_prefetch0(flow_table_bucket(t, words[i]));
	}
	for (uint32_t i = 0; i < n; i++) {
		words[i] = flow_bucket_candidate(flow_table_bucket(t, words[i]), words[i]);
		if (words[i] == FLOW_REF_NONE)
			continue;
		rte_prefetch0(&t->flows[words[i] >> 1]);
		rte_prefetch0(&t->more[words[i] >> 1].hash);
	}
	for (uint32_t i = 0; i < n; i++)
		if (words[i] != FLOW_REF_NONE)
			rte_prefetch0(flow_table_bucket(t, t->more[words[i] >> 1].hash[DOWNLINK]));
}

uint32_t doors_records_take(struct path *p, struct flow_record *records, uint32_t n)
{
	return record_ring_take(&p->ctx.records, records, n);
}

uint32_t doors_events_take(struct path *p, struct path_event *events, uint32_t n)
{
	return rte_ring_sc_dequeue_burst_elem(p->events, events, sizeof(*events), n, NULL);
}

uint32_t doors_names_take(struct path *p, struct path_name *names, uint32_t n)
{
	return rte_ring_sc_dequeue_burst_elem(p->names, names, sizeof(*names), n, NULL);
}
