/* SPDX-License-Identifier: BSD-3-Clause */
/* A path: made over open ports, stepped, ended. */
#include "path.h"

#include "link_watch.h"
#include "senders.h"

#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/classify/learner.h>

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MBUF_CACHE        256
#define RECORDS_RING      32768
#define EVENTS_RING       1024
#define NAMES_FOR_HOSTS   32 /* of them */
#define FRAGMENT_HELD_ALL 1024
#define QUEUE_PLACES_MAX  16384
#define QUEUE_PLACES_MIN  64
#define QUEUE_OCTETS_MIN  (64 * 1514) /* however slow: a packet each of many devices */
#define QUEUE_OCTETS_LONG                                                                          \
	(2 * 1024 * 1024) /* where a ceiling alone holds packets, or a rate that was found */
#define HOUSEKEEPING_US 1000
#define LATE_US         100 /* more than a million flows a second may end while no packet comes */
#define IDLE_US         50000
#define VIRTUAL_IDLE_US US_PER_S

/* Rings of packed structs: sizes must be multiples of 4. */
static_assert(sizeof(struct flow_record) % 4 == 0, "fits rte_ring's elements");
static_assert(sizeof(struct path_event) % 4 == 0, "fits rte_ring's elements");
static_assert(sizeof(struct path_name) % 4 == 0, "fits rte_ring's elements");

/* rte_pktmbuf_pool_create() with a choice of flags. */
static struct rte_mempool *pool_create(
	const char *name, uint32_t n_mbufs, uint16_t room_bytes, unsigned int flags)
{
	struct rte_pktmbuf_pool_private layout = {
		.mbuf_data_room_size = (uint16_t)(room_bytes + RTE_PKTMBUF_HEADROOM),
		.mbuf_priv_size = sizeof(struct pkt_meta),
	};
	unsigned int element_bytes = (unsigned int)(sizeof(struct rte_mbuf) + layout.mbuf_priv_size
						    + layout.mbuf_data_room_size);
	struct rte_mempool *pool = rte_mempool_create_empty(
		name, n_mbufs, element_bytes, MBUF_CACHE, sizeof(layout), 0, flags);

	if (pool == NULL)
		return NULL;
	rte_pktmbuf_pool_init(pool, &layout);
	if (rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL) != 0
		|| rte_mempool_populate_default(pool) < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

struct rte_mempool *path_pool_create(
	const char *name, uint32_t n_mbufs, uint16_t room_bytes, bool for_devices)
{
	bool is_packed = !for_devices && rte_eal_iova_mode() == RTE_IOVA_VA;

	return pool_create(name, n_mbufs, room_bytes, is_packed ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0);
}

uint64_t path_rate_bps(const struct path_config *config, uint8_t port, uint32_t direction)
{
	const struct path_port *p = &config->ports[port];

	return direction == UPLINK ? p->uplink_bps : p->downlink_bps;
}

static struct shaper_config shaper_config_of(
	const struct path_config *config, uint8_t port, uint32_t direction)
{
	const struct path_port *p = &config->ports[port];
	uint64_t rate_bps = path_rate_bps(config, port, direction);
	uint64_t limit = rate_bps / 8 * p->queue_us / US_PER_S;
	struct shaper_config shaping = {
		.limit_octets = rate_bps == 0 || p->follows_link
					? QUEUE_OCTETS_LONG
					: RTE_MAX(limit, (uint64_t)QUEUE_OCTETS_MIN),
		.ack_thinning = p->ack_thinning,
		/* A followed rate is told what waits before the link, and senders are told by that. */
		.is_behind = direction == DOWNLINK && !p->follows_link,
		.n_classes = config->n_shaped_classes,
	};

	memcpy(shaping.classes, config->shaped_classes, sizeof(shaping.classes));
	return shaping;
}

static_assert(SHAPER_CLASSES_MAX == CLASSES_MAX, "every class is shaped by its own rules");

/* Tells the shapers of an uplink what differs. */
static void adopt_shaping(struct stage_ctx *ctx, uint8_t port, const struct path_config *config)
{
	const struct path_port *p = &config->ports[port];

	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		struct shaper_config shaping = shaper_config_of(config, port, d);
		uint64_t rate_bps = path_rate_bps(config, port, d);

		ctx->shape_overhead[port][d] =
			(uint16_t)(p->overhead_octets
				   + (p->plan_id == PLAN_NONE
						   ? 0
						   : config->plans[p->plan_id].overhead_octets[d]));
		shaper_set_config(ctx->shapers[port][d], &shaping, ctx->now_us);
		if (p->follows_link)
			continue;
		if (ctx->config == NULL || ctx->followed[port]
			|| path_rate_bps(ctx->config, port, d) != rate_bps)
			shaper_set_rate(ctx->shapers[port][d], rate_bps, ctx->now_us);
	}
	link_watch_adopt(ctx, port, config);
}

void path_find_shaped(struct stage_ctx *ctx)
{
	ctx->any_shaped = false;
	for (uint32_t i = 0; i < ctx->config->n_ports; i++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
			const struct shaper *s = ctx->shapers[i][d];

			ctx->shaped[i][d] = s != NULL && shaper_is_active(s);
			ctx->any_shaped |= ctx->shaped[i][d];
		}
}

/* Rules, groups or admission may differ: every flow is asked about again, in housekeeping's bounded steps. */
static void adopt_policy(struct path *p, const struct path_config *config)
{
	struct stage_ctx *ctx = &p->ctx;

	if (ctx->config != NULL && !ruleset_is_same(ctx->config->rules, config->rules))
		memset(ctx->rule_watches, 0, sizeof(ctx->rule_watches));
	p->reask_left = ctx->flows->n_flows > 0 ? ctx->flows->capacity : 0;
	p->has_denied = false;
}

static void adopt(struct path *p, struct path_config *config)
{
	struct stage_ctx *ctx = &p->ctx;

	adopt_policy(p, config);
	learn_adopt(ctx, config);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		ctx->is_uplink[i] = config->ports[i].role == PORT_UPLINK;
		if (ctx->nats[i] != NULL) {
			nat_set_filtering(ctx->nats[i], config->filtering);
			nat_set_forwards(ctx->nats[i], &config->forwards);
		}
		if (ctx->shapers[i][UPLINK] != NULL)
			adopt_shaping(ctx, (uint8_t)i, config);
	}
	for (uint32_t i = 0; i < config->n_plans; i++)
		meter_set_params(&ctx->plans[i], &config->plans[i]);
	ctx->config = config;
	ctx->networks = networks_of(config);
	for (uint32_t id = 0; id < ctx->devices->n_high; id++)
		ctx->devices->devices[id].known = 0;
	quota_adopt(ctx);
	path_find_shaped(ctx);
	/* Flows that were denied before stay so until they are asked about. */
	policy_find_watched(ctx, p->reask_left > 0);
	pcp_adopt(ctx);
}

void path_adopt_next(struct path *p)
{
	struct path_config *next = atomic_load_explicit(&p->next_config, memory_order_acquire);

	if (next == NULL)
		return;
	adopt(p, next);
	atomic_store_explicit(&p->next_config, NULL, memory_order_release);
}

/* Places of one shaper: half of all buffers wait in shapers at most, so that there are some left to receive into. */
static uint32_t places_of(const struct path *p, const struct path_config *config)
{
	uint32_t n_shapers = 0;
	uint32_t places;

	for (uint32_t i = 0; i < config->n_ports; i++)
		n_shapers += config->ports[i].role == PORT_UPLINK ? N_DIRECTIONS : 0;
	places = p->setup.pool->size / 2 / RTE_MAX(n_shapers, 1u);
	return RTE_MIN(RTE_MAX(places, (uint32_t)QUEUE_PLACES_MIN), (uint32_t)QUEUE_PLACES_MAX);
}

static int create_uplinks(
	struct path *p, const struct path_config *config, const struct flow_hash_key *key)
{
	struct nat_params nat = {
		.capacity = p->setup.flow_capacity,
		.port_min = p->setup.nat_port_min,
		.port_max = p->setup.nat_port_max,
		.filtering = config->filtering,
		.hash_key = *key,
		.n_devices = p->setup.device_capacity,
	};
	struct shaper_params shaping = {
		.n_places = places_of(p, config),
		.n_devices = p->setup.device_capacity,
		.drop = shape_give_up,
		.drop_arg = &p->ctx,
	};

	for (uint8_t i = 0; i < config->n_ports; i++) {
		int err;

		if (config->ports[i].role != PORT_UPLINK)
			continue;
		err = nat_create(&nat, &p->rng, &p->ctx.nats[i]);
		for (uint32_t d = 0; d < N_DIRECTIONS && err == 0; d++)
			err = shaper_create(&shaping, &p->ctx.shapers[i][d]);
		p->ctx.links[i] = link_watch_create();
		if (err == 0 && p->ctx.links[i] == NULL)
			err = -ENOMEM;
		if (err < 0)
			return err;
	}
	return 0;
}

static int create_tables(struct path *p, const struct path_config *config)
{
	const struct path_setup *s = &p->setup;
	struct stage_ctx *ctx = &p->ctx;
	struct flow_hash_key key;
	int err;

	for (int i = 0; i < 3; i++)
		key.words[i] = rng_next(&p->rng) | 1;
	err = flow_table_create(s->flow_capacity, &key, &ctx->flows);
	if (err == 0)
		err = flow_wheel_create(ctx->flows, ctx->now_us, &ctx->wheel);
	if (err == 0)
		err = device_table_create(s->device_capacity, &key, &ctx->devices);
	if (err == 0)
		err = quota_create(ctx, config, &key);
	if (err == 0)
		err = learn_create(ctx, &key, &ctx->learner);
	if (err == 0)
		err = fragment_table_create(s->fragment_capacity, FRAGMENT_HELD_ALL,
			s->fragment_timeout_us, &key, &ctx->fragments);
	if (err == 0)
		err = neighbor_table_create(s->neighbor_capacity, s->neighbor_reachable_us,
			rng_next(&p->rng), &ctx->neighbors);
	if (err == 0)
		err = pcp_create(ctx);
	return err < 0 ? err : create_uplinks(p, config, &key);
}

static int create_rings(struct path *p)
{
	char name[RTE_RING_NAMESIZE];

	int err = record_ring_init(&p->ctx.records, RECORDS_RING);

	if (err < 0)
		return err;
	snprintf(name, sizeof(name), "weir_ev_%p", (void *)p);
	p->events = rte_ring_create_elem(name, sizeof(struct path_event), EVENTS_RING,
		SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "weir_nam_%p", (void *)p);
	p->names = rte_ring_create_elem(name, sizeof(struct path_name), PATH_NAMES_WAITING,
		SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return p->events == NULL || p->names == NULL || p->wake_fd < 0 ? -ENOMEM : 0;
}

int path_create(const struct path_setup *setup, struct path_config *config, uint64_t now_us,
	struct path **ret_path)
{
	struct path *p;
	int err;

	if (config->n_ports == 0 || config->n_ports > PORTS_MAX || setup->pool == NULL
		|| setup->n_senders > SENDERS_MAX)
		return -EINVAL;
	if (posix_memalign((void **)&p, RTE_CACHE_LINE_SIZE, sizeof(*p)) != 0)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->wake_fd = -1;
	p->setup = *setup;
	p->housekept_us = now_us;
	p->ctx.now_us = now_us;
	p->ctx.now_ms = (uint32_t)(now_us / US_PER_MS);
	p->ctx.path = p;
	p->ctx.ports = p->setup.ports;
	p->ctx.setup = &p->setup;
	p->ctx.profile = setup->profile;
	p->ctx.rng = &p->rng;
	for (uint32_t i = 0; i < PORTS_MAX; i++)
		p->ctx.unsolicited[i].since_us = now_us;
	rng_init(&p->rng, setup->seed);
	for (uint32_t i = 0; i < config->n_plans; i++)
		meter_init(&p->ctx.plans[i], &config->plans[i]);
	err = create_tables(p, config);
	if (err == 0)
		err = create_rings(p);
	if (err == 0)
		err = senders_create(p->setup.n_senders, &p->ctx.senders);
	if (err < 0) {
		path_destroy(p);
		return err;
	}
	p->config = config;
	adopt(p, config);
	housekeeping_run(&p->ctx);
	*ret_path = p;
	return 0;
}

static void free_packets(void *const *packets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free(packets[i]);
}

static void empty_queues(struct stage_ctx *ctx)
{
	void *packets[BURST_MAX];
	uint32_t n;

	for (uint32_t i = 0; i < PORTS_MAX; i++)
		link_watch_destroy(ctx->links[i]);
	for (uint32_t i = 0; i < PORTS_MAX; i++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
			if (ctx->shapers[i][d] == NULL)
				continue;
			while ((packets[0] = shaper_take_any(ctx->shapers[i][d])) != NULL)
				free_packets(packets, 1);
			shaper_destroy(ctx->shapers[i][d]);
		}
	while (ctx->neighbors != NULL
		&& (n = neighbor_flush(ctx->neighbors, PORT_NONE, packets, BURST_MAX)) > 0)
		free_packets(packets, n);
	while (ctx->fragments != NULL
		&& (n = fragment_expire(ctx->fragments, UINT64_MAX, packets, BURST_MAX)) > 0)
		free_packets(packets, n);
}

void path_destroy(struct path *p)
{
	if (p == NULL)
		return;
	empty_queues(&p->ctx);
	senders_destroy(p->ctx.senders);
	pcp_destroy(&p->ctx);
	for (uint32_t i = 0; i < PORTS_MAX; i++)
		nat_destroy(p->ctx.nats[i]);
	neighbor_table_destroy(p->ctx.neighbors);
	fragment_table_destroy(p->ctx.fragments);
	learner_destroy(p->ctx.learner);
	quota_destroy(&p->ctx);
	device_table_destroy(p->ctx.devices);
	flow_wheel_destroy(p->ctx.wheel);
	flow_table_destroy(p->ctx.flows);
	rte_ring_free(p->names);
	rte_ring_free(p->events);
	record_ring_clean(&p->ctx.records);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	path_config_destroy(p->config);
	free(p);
}

void path_config_destroy(struct path_config *config)
{
	if (config == NULL)
		return;
	ruleset_destroy(config->rules);
	groups_destroy(config->groups);
	classes_destroy(config->classes);
	name_set_destroy(config->names);
	free(config);
}

/* Fragments whose first has come walk the rest of the path. All are later ones: none of them adds to the list. */
static void run_requeued(struct stage_ctx *ctx)
{
	uint32_t n = ctx->n_requeued;

	for (uint32_t done = 0; done < n; done += BURST_MAX)
		pipeline_resume(ctx, STAGE_flow, ctx->requeue + done,
			(uint16_t)RTE_MIN(n - done, (uint32_t)BURST_MAX));
	assert(ctx->n_requeued == n);
	ctx->n_requeued = 0;
}

static uint64_t queues_next_us(const struct path *p)
{
	uint64_t next_us = UINT64_MAX;

	for (uint32_t i = 0; i < p->ctx.config->n_ports; i++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++)
			if (p->ctx.shaped[i][d])
				next_us = RTE_MIN(next_us, shaper_next_us(p->ctx.shapers[i][d]));
	return next_us;
}

uint32_t path_step(struct path *p, uint64_t now_us)
{
	struct stage_ctx *ctx = &p->ctx;
	uint32_t n_received = 0;
	bool takes_more = true;

	ctx->now_us = now_us;
	ctx->now_ms = (uint32_t)(now_us / US_PER_MS);
	p->loops++;
	if (unlikely(ctx->senders != NULL)) {
		senders_collect(ctx);
		takes_more = !senders_are_behind(ctx->senders);
	}
	if (unlikely(atomic_load_explicit(&p->next_config, memory_order_relaxed) != NULL))
		path_adopt_next(p);
	for (uint8_t i = 0; takes_more && i < ctx->config->n_ports; i++) {
		ctx->rx_port = i;
		n_received += pipeline_run(ctx);
		if (unlikely(ctx->n_requeued > 0))
			run_requeued(ctx);
	}
	if (now_us - p->housekept_us >= HOUSEKEEPING_US || unlikely(ctx->must_ask))
		housekeeping_run(ctx);
	else if (unlikely(ctx->expiry_is_late))
		housekeeping_expire(ctx);
	if (ctx->n_asides > 0 || ctx->n_resolved > 0 || queues_next_us(p) <= now_us)
		pipeline_resume(ctx, STAGE_shape, NULL, 0);
	if (unlikely(
		    atomic_load_explicit(&p->listing.state, memory_order_relaxed) == LISTING_ASKED))
		path_serve_listing(p);
	return n_received;
}

void path_send(struct path *p, uint32_t id)
{
	sender_run(&p->ctx, id + 1);
}

uint64_t path_next_us(const struct path *p)
{
	uint64_t next_us = p->ctx.now_us + (p->setup.virtual_clock ? VIRTUAL_IDLE_US : IDLE_US);

	/* On a virtual clock nothing happens by itself where nothing can expire: a gap of years is one step. */
	if (p->setup.virtual_clock && p->ctx.flows->n_flows == 0
		&& fragment_n_held(p->ctx.fragments) == 0 && p->ctx.syn_hold.n == 0
		&& !pcp_is_waiting(&p->ctx))
		next_us = UINT64_MAX;
	if (p->reask_left > 0 || (p->ctx.senders != NULL && senders_n_out(p->ctx.senders) > 0))
		next_us = p->ctx.now_us + HOUSEKEEPING_US;
	if (p->ctx.expiry_is_late)
		next_us = p->ctx.now_us + LATE_US;
	return RTE_MIN(next_us, queues_next_us(p));
}

/* What still waits is not sent any more: it is dropped, and so taken back, before the flows report what they used. */
static void drop_waiting(struct stage_ctx *ctx)
{
	void *packets[BURST_MAX];
	uint32_t n;

	ctx->stage = STAGE_shape;
	for (uint32_t i = 0; i < PORTS_MAX; i++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++)
			while (ctx->shapers[i][d] != NULL
				&& (packets[0] = shaper_take_any(ctx->shapers[i][d])) != NULL) {
				ctx->stages[STAGE_shape].taken++;
				stage_drop(ctx, packets[0], DROP_STOPPED);
			}
	ctx->stage = STAGE_tx;
	while ((n = neighbor_flush(ctx->neighbors, PORT_NONE, packets, BURST_MAX)) > 0)
		for (uint32_t i = 0; i < n; i++) {
			ctx->stages[STAGE_tx].taken++;
			stage_drop(ctx, packets[i], DROP_STOPPED);
		}
	ctx->stage = STAGE_flow;
	while ((n = fragment_expire(ctx->fragments, UINT64_MAX, packets, BURST_MAX)) > 0)
		for (uint32_t i = 0; i < n; i++) {
			ctx->stages[STAGE_flow].taken++;
			stage_drop(ctx, packets[i], DROP_STOPPED);
		}
}

bool path_end_flows(struct path *p, enum flow_end_reason why, uint64_t now_us)
{
	struct stage_ctx *ctx = &p->ctx;

	ctx->now_us = now_us;
	ctx->now_ms = (uint32_t)(now_us / US_PER_MS);
	if (ctx->senders != NULL)
		senders_settle(ctx);
	drop_waiting(ctx);
	pcp_end(ctx);
	for (uint32_t id = 0; id < ctx->flows->capacity && ctx->flows->n_flows > 0; id++) {
		if (!ctx->flows->more[id].in_use)
			continue;
		flow_wheel_remove(ctx->wheel, id);
		if (!flow_end(ctx, id, why)) {
			flow_wheel_add(ctx->wheel, &ctx->config->timeouts, id);
			return false;
		}
	}
	return true;
}

void stage_name(struct stage_ctx *ctx, const struct path_name *name)
{
	struct rte_ring *ring = ctx->path->names;
	struct path_name n = *name;

	/* However many remotes are named, hosts' names find room. */
	if (name->kind == PATH_NAME_REMOTE && rte_ring_free_count(ring) <= NAMES_FOR_HOSTS)
		return;
	rte_ring_sp_enqueue_elem(ring, &n, sizeof(n));
}

void stage_event(struct stage_ctx *ctx, const struct path_event *event)
{
	struct path_event e = *event;

	e.at_us = ctx->now_us;
	/* full: control is told by the counters */
	rte_ring_sp_enqueue_elem(ctx->path->events, &e, sizeof(e));
}
