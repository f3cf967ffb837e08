/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/direction.h>
#include <weir/shape/bucket.h>
#include <weir/shape/codel.h>
#include <weir/shape/flow_queue.h>
#include <weir/shape/shaper.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_OCTETS_PLACE 1514 /* until a configuration says otherwise */
#define DELAY_SMOOTHING    16
#define VTIME_UNIT         1024 /* of an octet at SHAPER_WEIGHT_UNIT */
#define FIRST_SHARE_OF     8    /* all first shares together: seven of so many parts of the rate */
#define HIGH_PARTS         2 /* a high class that names no rate goes first with half of the port's */
#define LOW_PARTS          16 /* a low one with a sixteenth: it never stands still */
#define BEHIND_PARTS                                                                               \
	4 /* what is dropped behind the link counts up to so much of the rate: a flood never stops all */
/* On a link whose rate is followed: as much as may stand at the radio anyway. A worker whose processor others use sleeps for
 * longer than a bucket of 2 ms holds; what it then does not send looks to who follows the rate as if the radio carried less. */
#define LINK_BURST_US 20000
#define DEVICE_QUEUES 4 /* a device: it may have flows of so many classes at once */

enum lane_id {
	LANE_GENERAL,
	LANE_RESERVED,
	N_LANES
};

/* A rate that holds packets, and what CoDel makes of it. */
struct ceiling {
	struct bucket bucket;
	struct codel_params codel;
};

struct class
{
	struct shaper_class config;
	struct lane lanes[N_LANES];
	struct bucket first;    /* what it sends before all others; no rate: nothing */
	struct ceiling ceiling; /* no rate: none */
	uint64_t vtime;         /* what it has sent beyond its first share, by weight */
	uint64_t vtime_octet;
};

struct shaper {
	struct shaper_params params;
	struct flow_queues *queues;
	struct ceiling link;
	uint64_t waited_us; /* before packets came here */
	struct ceiling general;
	struct ceiling *devices; /* params.n_devices of them */
	bool has_ceilings;
	uint32_t n_devices_held;
	uint32_t n_classes_held;
	uint64_t limit_octets;
	bool ack_thinning;
	struct bucket behind; /* what may be counted of drops; no rate: nothing is */
	bool is_behind;
	uint32_t ready;    /* classes with packets that are not parked */
	uint64_t vtime[2]; /* of the class that was served last by weight; of the low ones apart */
	uint64_t next_us;
	uint64_t busy_since_us;
	uint64_t sent_octets;
	uint64_t delay_sum_us; /* smoothed, times DELAY_SMOOTHING */
	uint64_t delays[SHAPER_DELAY_SLOTS];
	uint64_t marked;
	uint64_t dropped[SHAPER_DROPS];
	uint64_t thinned_octets;
	struct class classes[SHAPER_CLASSES_MAX];
};

static void ceiling_set(struct ceiling *c, uint64_t bps, uint64_t now_us)
{
	bucket_set(&c->bucket, bps, now_us);
	c->codel = codel_params_of(bps);
}

/* --- rates --- */

/* The rate that classes share: that of the port, or what is less of it for traffic in general. */
static uint64_t shared_bps(const struct shaper *s)
{
	uint64_t link = s->link.bucket.bps;
	uint64_t general = s->general.bucket.bps;

	return link == 0 || (general != 0 && general < link) ? general : link;
}

static uint64_t first_wanted(const struct shaper_class *c, uint64_t bps)
{
	if (c->guaranteed_bps != 0)
		return c->guaranteed_bps;
	if (c->priority == SHAPER_NORMAL)
		return 0;
	return bps / (c->priority == SHAPER_HIGH ? HIGH_PARTS : LOW_PARTS);
}

/* Classes go first with what they are guaranteed. Where that is more than there is, as on a radio that has become slow, each gets its
 * part of seven eighths, so that the others never stand still. */
static void share_first(struct shaper *s, uint64_t now_us)
{
	uint64_t bps = shared_bps(s);
	uint64_t there_is = bps - bps / FIRST_SHARE_OF;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SHAPER_CLASSES_MAX; i++)
		sum += first_wanted(&s->classes[i].config, bps);
	for (uint32_t i = 0; i < SHAPER_CLASSES_MAX; i++) {
		unsigned __int128 wanted = first_wanted(&s->classes[i].config, bps);

		if (bps != 0 && sum > there_is)
			wanted = wanted * there_is / sum;
		bucket_set(&s->classes[i].first, (uint64_t)wanted, now_us);
	}
}

/* What was held until a time that another rate has changed is asked about again. */
static void begin_anew(struct shaper *s)
{
	s->has_ceilings = (s->general.bucket.bps | s->n_devices_held | s->n_classes_held) != 0;
	while (device_queue_unpark(s->queues, UINT64_MAX) != NULL)
		;
	s->ready = 0;
	for (uint32_t i = 0; i < SHAPER_CLASSES_MAX; i++) {
		const struct class *c = &s->classes[i];

		if (c->lanes[LANE_GENERAL].n_packets + c->lanes[LANE_RESERVED].n_packets > 0)
			s->ready |= UINT32_C(1) << i;
	}
	s->next_us = flow_queues_n_packets(s->queues) > 0 ? 0 : UINT64_MAX;
}

static void link_set(struct shaper *s, uint64_t bps, uint64_t burst_us, uint64_t now_us)
{
	assert(bps <= SHAPER_RATE_MAX_BPS);
	bucket_set_burst(&s->link.bucket, bps, burst_us, now_us);
	s->link.codel = codel_params_of(bps);
	bucket_set(&s->behind, s->is_behind ? bps / BEHIND_PARTS : 0, now_us);
	s->waited_us = 0;
	share_first(s, now_us);
	begin_anew(s);
}

void shaper_set_rate(struct shaper *s, uint64_t bps, uint64_t now_us)
{
	link_set(s, bps, BUCKET_BURST_US, now_us);
}

void shaper_set_link(struct shaper *s, const struct shaper_link *link, uint64_t now_us)
{
	struct codel_params *codel = &s->link.codel;

	link_set(s, link->bps, LINK_BURST_US, now_us);
	s->waited_us = link->waited_us;
	if (codel->target_us < link->target_us)
		codel->target_us = link->target_us;
	if (codel->interval_us < link->interval_us)
		codel->interval_us = link->interval_us;
}

void shaper_set_general(struct shaper *s, uint64_t bps, uint64_t now_us)
{
	assert(bps <= SHAPER_RATE_MAX_BPS);
	ceiling_set(&s->general, bps, now_us);
	share_first(s, now_us);
	begin_anew(s);
}

/* Apart, so that to find that nothing has changed is quick. */
__attribute__((noinline)) static void change_device(
	struct shaper *s, struct ceiling *c, uint64_t bps, uint64_t now_us)
{
	s->n_devices_held += c->bucket.bps == 0;
	s->n_devices_held -= bps == 0;
	ceiling_set(c, bps, now_us);
	begin_anew(s);
}

void shaper_set_device(struct shaper *s, uint16_t device_id, uint64_t bps, uint64_t now_us)
{
	assert(bps <= SHAPER_RATE_MAX_BPS);
	if (device_id < s->params.n_devices && s->devices[device_id].bucket.bps != bps)
		change_device(s, &s->devices[device_id], bps, now_us);
}

void shaper_set_config(struct shaper *s, const struct shaper_config *config, uint64_t now_us)
{
	static const struct shaper_class normal = {
		.priority = SHAPER_NORMAL, .weight = SHAPER_WEIGHT_UNIT};

	s->limit_octets = config->limit_octets;
	s->ack_thinning = config->ack_thinning;
	s->is_behind = config->is_behind;
	bucket_set(&s->behind, s->is_behind ? s->link.bucket.bps / BEHIND_PARTS : 0, now_us);
	memset(s->vtime, 0, sizeof(s->vtime));
	s->n_classes_held = 0;
	for (uint32_t i = 0; i < SHAPER_CLASSES_MAX; i++) {
		struct class *c = &s->classes[i];

		c->config = i < config->n_classes ? config->classes[i] : normal;
		assert(c->config.weight != 0);
		c->vtime = 0;
		c->vtime_octet = VTIME_UNIT * SHAPER_WEIGHT_UNIT / c->config.weight;
		ceiling_set(&c->ceiling, c->config.ceiling_bps, now_us);
		s->n_classes_held += c->config.ceiling_bps != 0;
	}
	share_first(s, now_us);
	begin_anew(s);
}

bool shaper_is_active(const struct shaper *s)
{
	return s->link.bucket.bps != 0 || s->has_ceilings || flow_queues_n_packets(s->queues) > 0;
}

/* --- begin and end --- */

int shaper_create(const struct shaper_params *params, struct shaper **ret_shaper)
{
	struct shaper_config config = {
		.limit_octets = (uint64_t)params->n_places * LIMIT_OCTETS_PLACE};
	struct shaper *s;
	int err = -ENOMEM;

	if (params->n_places == 0 || params->drop == NULL)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->params = *params;
	s->next_us = UINT64_MAX;
	s->busy_since_us = UINT64_MAX;
	s->devices = calloc((size_t)params->n_devices + 1, sizeof(*s->devices));
	if (s->devices == NULL)
		goto err_shaper;
	/* One more than may wait, so that a newcomer is taken in before the fattest pays; devices take part in a few classes. */
	err = flow_queues_create(
		params->n_places + 1, DEVICE_QUEUES * (params->n_devices + 1), &s->queues);
	if (err < 0)
		goto err_devices;
	for (uint32_t i = 0; i < SHAPER_CLASSES_MAX; i++)
		for (uint32_t l = 0; l < N_LANES; l++)
			lane_init(&s->classes[i].lanes[l]);
	shaper_set_config(s, &config, 0);
	*ret_shaper = s;
	return 0;

err_devices:
	free(s->devices);
err_shaper:
	free(s);
	return err;
}

void shaper_destroy(struct shaper *s)
{
	if (s == NULL)
		return;
	assert(flow_queues_n_packets(s->queues) == 0);
	flow_queues_destroy(s->queues);
	free(s->devices);
	free(s);
}

/* --- in --- */

void shaper_pass_begin(struct shaper *s, uint64_t now_us, struct shaper_pass *ret_pass)
{
	*ret_pass = (struct shaper_pass){.room = -1};
	if (s->next_us != UINT64_MAX || s->has_ceilings)
		return;
	bucket_refill(&s->link.bucket, now_us);
	ret_pass->room = bucket_room(&s->link.bucket);
	ret_pass->room_first = ret_pass->room;
}

void shaper_pass_end(struct shaper *s, const struct shaper_pass *pass)
{
	uint64_t octets = (uint64_t)(pass->room_first - pass->room);

	if (pass->packets == 0)
		return;
	bucket_pay(&s->link.bucket, octets);
	s->sent_octets += octets;
	s->delays[0] += pass->packets;
}

bool shaper_pass(struct shaper *s, uint32_t octets, uint64_t now_us)
{
	struct shaper_pass pass;
	bool passes;

	shaper_pass_begin(s, now_us, &pass);
	passes = shaper_pass_take(&pass, octets);
	shaper_pass_end(s, &pass);
	return passes;
}

static uint32_t class_of(const struct shaper *s, const struct lane *lane)
{
	return (uint32_t)(((uintptr_t)lane - (uintptr_t)s->classes) / sizeof(s->classes[0]));
}

static bool is_general(const struct shaper *s, const struct lane *lane)
{
	return lane == &s->classes[class_of(s, lane)].lanes[LANE_GENERAL];
}

static uint64_t *vtime_of(struct shaper *s, const struct class *c)
{
	return &s->vtime[c->config.priority == SHAPER_LOW];
}

/* After its lanes may have got or lost their packets. One that begins anew has no claim on the time when it had nothing to send. */
static void update_ready(struct shaper *s, uint32_t id)
{
	struct class *c = &s->classes[id];
	uint32_t bit = UINT32_C(1) << id;

	if (c->lanes[LANE_GENERAL].n_packets + c->lanes[LANE_RESERVED].n_packets == 0) {
		s->ready &= ~bit;
	} else if ((s->ready & bit) == 0) {
		s->ready |= bit;
		if (c->vtime < *vtime_of(s, c))
			c->vtime = *vtime_of(s, c);
	}
}

/*
 * Behind the link a drop makes no room on it: counted as sent, it makes what leaves, and so what senders see acknowledged, less than
 * what comes, until the queue before the link has drained. Its device pays with its turns. Who listens to nothing sends
 * no less for it.
 */
static void count_behind(
	struct shaper *s, struct flow_queue *f, const struct queued_packet *packet, uint64_t now_us)
{
	if (s->behind.bps == 0 || (packet->flags & SHAPER_GIVES_WAY) == 0)
		return;
	flow_queue_charge(f, packet->octets);
	bucket_refill(&s->behind, now_us);
	if (!bucket_is_ready(&s->behind))
		return;
	bucket_pay(&s->behind, packet->octets);
	bucket_pay(&s->link.bucket, packet->octets);
}

static void give_up(struct shaper *s, const struct queued_packet *packet, enum shaper_drop why)
{
	s->dropped[why]++;
	s->params.drop(s->params.drop_arg, packet->packet, why);
}

/* True when a ceiling, not the rate of all, is what holds the packets of a queue. */
static bool is_held(const struct shaper *s, const struct flow_queue *f)
{
	const struct lane *lane = f->device->lane;

	if (f->device->is_parked || !bucket_is_ready(&s->classes[class_of(s, lane)].ceiling.bucket))
		return true;
	return is_general(s, lane) && !bucket_is_ready(&s->general.bucket);
}

/* RFC 8290 section 4.1: while there is too much, the fattest queue loses its oldest packet. */
static void make_room(struct shaper *s, uint64_t now_us)
{
	while (flow_queues_n_packets(s->queues) > s->params.n_places
		|| flow_queues_n_octets(s->queues) > s->limit_octets) {
		struct flow_queue *f = flow_queue_fattest(s->queues);
		uint32_t class_id = class_of(s, f->device->lane);
		bool is_for_ceiling = is_held(s, f);
		struct queued_packet packet = flow_queue_pop(s->queues, f);

		give_up(s, &packet, is_for_ceiling ? SHAPER_DROP_CEILING : SHAPER_DROP_FULL);
		count_behind(s, f, &packet, now_us);
		update_ready(s, class_id);
	}
}

/* A cumulative acknowledgement says all that an older one says that still waits right before it. One that repeats an older one
 * says more: that a segment was lost (RFC 5681 section 3.2). */
static bool thin(struct shaper *s, struct flow_queue *f, const struct queued_packet *newer)
{
	struct queued_packet older;

	if (f->n_packets == 0 || (newer->flags & f->tail->flags & SHAPER_PURE_ACK) == 0
		|| (int32_t)(newer->ack - f->tail->ack) <= 0)
		return false;
	older = flow_queue_replace(s->queues, f, newer);
	s->thinned_octets += older.octets;
	give_up(s, &older, SHAPER_DROP_ACK);
	return true;
}

void shaper_put(struct shaper *s, const struct shaper_packet *p, uint64_t now_us)
{
	struct queued_packet packet = {.packet = p->packet,
		.put_us = now_us,
		.octets = p->octets,
		.ack = p->ack,
		.flags = p->flags};
	enum lane_id lane = (p->flags & SHAPER_RESERVED) != 0 ? LANE_RESERVED : LANE_GENERAL;
	uint32_t class_id = p->class_id < SHAPER_CLASSES_MAX ? p->class_id : 0;
	bool has_flow = p->flow_id != FLOW_NONE;
	struct flow_queue *f =
		flow_queue_take(s->queues, &s->classes[has_flow ? class_id : 0].lanes[lane],
			has_flow ? p->device_id : DEVICE_NONE, p->flow_id << 1 | lane);

	assert(p->octets > 0);
	if (f == NULL) {
		give_up(s, &packet, SHAPER_DROP_FULL);
		return;
	}
	s->next_us = 0;
	if (s->ack_thinning && thin(s, f, &packet))
		return;
	flow_queue_push(s->queues, f, &packet);
	update_ready(s, class_of(s, f->device->lane));
	make_room(s, now_us);
}

/* --- out --- */

static bool is_within(struct ceiling *c, uint64_t now_us)
{
	bucket_refill(&c->bucket, now_us);
	return bucket_is_ready(&c->bucket);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The lane of a class that may send, or NULL; then `due_us` is no later than when it may. What a reserve pays for goes first. */
static struct lane *lane_of(struct shaper *s, struct class *c, uint64_t now_us, uint64_t *due_us)
{
	if (!is_within(&c->ceiling, now_us)) {
		*due_us = earlier(*due_us, bucket_ready_us(&c->ceiling.bucket));
		return NULL;
	}
	if (c->lanes[LANE_RESERVED].n_packets > 0)
		return &c->lanes[LANE_RESERVED];
	if (is_within(&s->general, now_us))
		return &c->lanes[LANE_GENERAL];
	*due_us = earlier(*due_us, bucket_ready_us(&s->general.bucket));
	return NULL;
}

/* A high class with its first share, others with theirs; what is left goes by weight, to the low ones last. */
enum rank {
	RANK_HIGH_FIRST,
	RANK_FIRST,
	RANK_SHARED,
	RANK_LOW
};

static enum rank rank_of(struct class *c, uint64_t now_us)
{
	bool is_first = false;

	if (c->first.bps != 0) {
		bucket_refill(&c->first, now_us);
		is_first = bucket_is_ready(&c->first);
	}
	if (is_first)
		return c->config.priority == SHAPER_HIGH ? RANK_HIGH_FIRST : RANK_FIRST;
	return c->config.priority == SHAPER_LOW ? RANK_LOW : RANK_SHARED;
}

struct choice {
	struct class *class;
	struct lane *lane;
	enum rank rank;
};

/* Whose turn it is among the classes; no class: none may send before `due_us`. */
static struct choice choose(struct shaper *s, uint64_t now_us, uint64_t *due_us)
{
	struct choice best = {0};

	for (uint32_t left = s->ready; left != 0; left &= left - 1) {
		struct class *c = &s->classes[__builtin_ctz(left)];
		struct lane *lane = lane_of(s, c, now_us, due_us);
		enum rank rank;

		if (lane == NULL)
			continue;
		rank = rank_of(c, now_us);
		if (best.class == NULL || rank < best.rank
			|| (rank == best.rank && c->vtime < best.class->vtime))
			best = (struct choice){.class = c, .lane = lane, .rank = rank};
	}
	return best;
}

/* The slowest rate that a queue leaves at sets CoDel's patience. */
static const struct codel_params *patience_of(
	const struct shaper *s, const struct class *c, const struct ceiling *device)
{
	const struct codel_params *longest = &s->link.codel;

	if (c->ceiling.codel.target_us > longest->target_us)
		longest = &c->ceiling.codel;
	if (device == NULL)
		return longest;
	if (s->general.codel.target_us > longest->target_us)
		longest = &s->general.codel;
	return device->codel.target_us > longest->target_us ? &device->codel : longest;
}

/* The next packet of a flow, which has some, that CoDel lets go: at the latest the last, since then none is left behind it. */
static struct queued_packet codel_take(struct shaper *s, struct flow_queue *f,
	const struct codel_params *params, uint64_t now_us, bool *ret_mark)
{
	for (;;) {
		struct queued_packet packet = flow_queue_pop(s->queues, f);
		bool is_over = codel_judge(&f->codel, params, now_us - packet.put_us + s->waited_us,
			f->n_octets, now_us);

		if (!is_over || (packet.flags & SHAPER_ECT) != 0) {
			*ret_mark = is_over;
			return packet;
		}
		give_up(s, &packet, SHAPER_DROP_CODEL);
		count_behind(s, f, &packet, now_us);
	}
}

static void count_delay(struct shaper *s, uint64_t delay_us)
{
	uint32_t slot = delay_us == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(delay_us);

	s->delays[slot < SHAPER_DELAY_SLOTS ? slot : SHAPER_DELAY_SLOTS - 1]++;
	s->delay_sum_us += delay_us - s->delay_sum_us / DELAY_SMOOTHING;
}

static void charge(struct shaper *s, const struct choice *choice, struct flow_queue *f,
	struct ceiling *device, uint32_t octets)
{
	struct class *c = choice->class;

	flow_queue_charge(f, octets);
	bucket_pay(&s->link.bucket, octets);
	bucket_pay(&c->ceiling.bucket, octets);
	if (choice->rank < RANK_SHARED) {
		bucket_pay(&c->first, octets);
	} else {
		*vtime_of(s, c) = c->vtime;
		c->vtime += octets * c->vtime_octet;
	}
	if (device != NULL) {
		bucket_pay(&s->general.bucket, octets);
		bucket_pay(&device->bucket, octets);
	}
	s->sent_octets += octets;
}

/* The ceiling of the device whose queue it is, where one can hold it; else NULL. */
static struct ceiling *device_ceiling(struct shaper *s, const struct device_queue *d)
{
	if (!is_general(s, d->lane))
		return NULL;
	return &s->devices[d->device_id < s->params.n_devices ? d->device_id : s->params.n_devices];
}

/* The next packet of the lane whose turn it is; NULL when it was the turn of a device that has to wait. */
static void *serve(struct shaper *s, const struct choice *choice, uint64_t now_us, bool *ret_mark)
{
	struct flow_queue *f = lane_pick(s->queues, choice->lane);
	struct ceiling *device = device_ceiling(s, f->device);
	struct queued_packet packet;

	if (device != NULL && !is_within(device, now_us)) {
		device_queue_park(s->queues, f->device, bucket_ready_us(&device->bucket));
		return NULL;
	}
	packet = codel_take(s, f, patience_of(s, choice->class, device), now_us, ret_mark);
	s->marked += *ret_mark;
	charge(s, choice, f, device, packet.octets);
	count_delay(s, now_us - packet.put_us);
	return packet.packet;
}

static void unpark_due(struct shaper *s, uint64_t now_us)
{
	struct device_queue *d;

	while ((d = device_queue_unpark(s->queues, now_us)) != NULL)
		update_ready(s, class_of(s, d->lane));
}

/* Nothing goes before `next_us`. */
static void *rest(struct shaper *s, uint64_t next_us, bool is_busy, uint64_t now_us)
{
	if (!is_busy)
		s->busy_since_us = UINT64_MAX;
	else if (s->busy_since_us == UINT64_MAX)
		s->busy_since_us = now_us;
	s->next_us = next_us;
	return NULL;
}

void *shaper_take(struct shaper *s, uint64_t now_us, bool *ret_mark)
{
	*ret_mark = false;
	if (flow_queues_n_packets(s->queues) == 0)
		return rest(s, UINT64_MAX, false, now_us);
	if (!is_within(&s->link, now_us))
		return rest(s, bucket_ready_us(&s->link.bucket), true, now_us);
	unpark_due(s, now_us);
	for (;;) {
		uint64_t due_us = flow_queues_due_us(s->queues);
		struct choice choice = choose(s, now_us, &due_us);
		void *packet;

		if (choice.class == NULL)
			return rest(s, due_us, false, now_us);
		packet = serve(s, &choice, now_us, ret_mark);
		update_ready(s, class_of(s, choice.lane));
		if (packet != NULL)
			return packet;
	}
}

void *shaper_take_any(struct shaper *s)
{
	struct flow_queue *f = flow_queue_fattest(s->queues);
	struct queued_packet packet;
	uint32_t class_id;

	if (f == NULL) {
		s->next_us = UINT64_MAX;
		return NULL;
	}
	class_id = class_of(s, f->device->lane);
	packet = flow_queue_pop(s->queues, f);
	update_ready(s, class_id);
	return packet.packet;
}

/* --- figures --- */

uint64_t shaper_next_us(const struct shaper *s)
{
	return s->next_us;
}

bool shaper_holds(const struct shaper *s, uint32_t flow_id)
{
	for (uint32_t lane = 0; lane < N_LANES; lane++) {
		const struct flow_queue *f = flow_queue_find(s->queues, flow_id << 1 | lane);

		if (f != NULL && f->n_packets > 0)
			return true;
	}
	return false;
}

/* Each packet that left is in one slot. */
static uint64_t sent_packets(const struct shaper *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SHAPER_DELAY_SLOTS; i++)
		n += s->delays[i];
	return n;
}

struct shaper_load shaper_load(const struct shaper *s)
{
	return (struct shaper_load){
		.rate_bps = s->link.bucket.bps,
		.backlog_packets = flow_queues_n_packets(s->queues),
		.backlog_octets = flow_queues_n_octets(s->queues),
		.sent_octets = s->sent_octets,
		.sent_packets = sent_packets(s),
		.busy_since_us = s->busy_since_us,
	};
}

void shaper_stats_read(const struct shaper *s, struct shaper_stats *ret_stats)
{
	*ret_stats = (struct shaper_stats){
		.load = shaper_load(s),
		.general_bps = s->general.bucket.bps,
		.delay_us = s->delay_sum_us / DELAY_SMOOTHING,
		.marked = s->marked,
		.thinned_octets = s->thinned_octets,
		.n_flows = flow_queues_n_flows(s->queues),
	};
	memcpy(ret_stats->delays, s->delays, sizeof(s->delays));
	memcpy(ret_stats->dropped, s->dropped, sizeof(s->dropped));
}

uint64_t shaper_delay_percentile(const uint64_t delays[SHAPER_DELAY_SLOTS], uint32_t percent)
{
	uint64_t sum = 0;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < SHAPER_DELAY_SLOTS; i++)
		sum += delays[i];
	for (uint32_t i = 0; i < SHAPER_DELAY_SLOTS; i++) {
		seen += delays[i];
		if (seen * 100 >= sum * percent && seen > 0)
			return i == 0 ? 0 : UINT64_C(1) << i;
	}
	return 0;
}
