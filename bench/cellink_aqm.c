/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_aqm.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS        1024u             /* RFC 8290 section 5.2 */
#define QUANTUM      1514              /* RFC 8290 section 5.2.1: a packet of the largest size */
#define TARGET_NS    (5 * NS_PER_MS)   /* RFC 8289 section 4.4 */
#define INTERVAL_NS  (100 * NS_PER_MS) /* RFC 8289 section 4.3 */
#define FORGET_NS    (16 * INTERVAL_NS) /* RFC 8289 section 5.6: how long a drop rate is remembered */
#define IPV4_HEADER  20u
#define PROTOCOL_AT  9u
#define ADDRESSES_AT 12u
#define ADDRESSES    8u
#define FNV_OFFSET   2166136261u
#define FNV_PRIME    16777619u
#define LIST_NEW     0
#define LIST_OLD     1
#define N_LISTS      2
#define NO_FLOW      UINT32_MAX

struct codel {
	uint64_t first_above_ns; /* 0: below the target */
	uint64_t drop_next_ns;
	uint32_t count;
	uint32_t last_count;
	bool dropping;
};

struct flow {
	struct aqm_packet *first, *last;
	uint64_t octets;
	int64_t deficit;
	uint32_t next; /* in its list */
	bool listed;
	struct codel codel;
};

struct flow_list {
	uint32_t first, last;
};

struct aqm {
	enum aqm_kind kind;
	struct link *link;
	uint64_t target_ns;
	uint64_t busy_ns; /* since when there has been something to send */
	uint64_t next_ns; /* when the head would leave */
	struct link_count waiting;
	struct flow_list list[N_LISTS];
	struct flow flows[FLOWS];
};

int aqm_kind_parse(const char *name, enum aqm_kind *ret_kind)
{
	static const char *const names[N_AQM_KINDS] = {"none", "codel", "fq-codel"};

	for (int i = 0; i < N_AQM_KINDS; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_kind = (enum aqm_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

int aqm_create(enum aqm_kind kind, struct link *link, struct aqm **ret_aqm)
{
	uint64_t mean_bps = capacity_mean_bps(link->capacity);
	struct aqm *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->kind = kind;
	a->link = link;
	a->target_ns = TARGET_NS;
	if (mean_bps > 0 && QUANTUM * 12 * NS_PER_S / mean_bps > TARGET_NS)
		a->target_ns = QUANTUM * 12 * NS_PER_S / mean_bps;
	a->next_ns = TIME_NEVER;
	for (int i = 0; i < N_LISTS; i++)
		a->list[i] = (struct flow_list){NO_FLOW, NO_FLOW};
	*ret_aqm = a;
	return 0;
}

void aqm_destroy(struct aqm *a)
{
	if (a == NULL)
		return;
	for (uint32_t i = 0; i < FLOWS; i++) {
		while (a->flows[i].first != NULL) {
			struct aqm_packet *p = a->flows[i].first;

			a->flows[i].first = p->next;
			free(p);
		}
	}
	free(a);
}

/* Addresses, protocol and, of what has them, ports: FNV-1a over them. */
static uint32_t flow_of(const struct aqm *a, const uint8_t *packet, uint32_t octets)
{
	uint32_t hash = FNV_OFFSET, ports, header;

	if (a->kind != AQM_FQ_CODEL || octets < IPV4_HEADER)
		return 0;
	for (uint32_t i = 0; i < ADDRESSES; i++)
		hash = (hash ^ packet[ADDRESSES_AT + i]) * FNV_PRIME;
	hash = (hash ^ packet[PROTOCOL_AT]) * FNV_PRIME;
	header = (packet[0] & 0xfu) * 4;
	ports = packet[PROTOCOL_AT] == 6 || packet[PROTOCOL_AT] == 17 ? 4 : 0;
	for (uint32_t i = 0; i < ports && header + i < octets; i++)
		hash = (hash ^ packet[header + i]) * FNV_PRIME;
	return (hash ^ hash >> 16) % FLOWS;
}

static void list_append(struct aqm *a, int which, uint32_t flow)
{
	struct flow_list *l = &a->list[which];

	a->flows[flow].next = NO_FLOW;
	if (l->first == NO_FLOW)
		l->first = flow;
	else
		a->flows[l->last].next = flow;
	l->last = flow;
}

static void list_remove_first(struct aqm *a, int which)
{
	struct flow_list *l = &a->list[which];

	l->first = a->flows[l->first].next;
	if (l->first == NO_FLOW)
		l->last = NO_FLOW;
}

/* RFC 8290 section 4.2: whose turn it is; a flow that ran empty while new has to queue up once among the old. */
static struct flow *flow_turn(struct aqm *a)
{
	while (a->waiting.packets > 0) {
		int which = a->list[LIST_NEW].first != NO_FLOW ? LIST_NEW : LIST_OLD;
		uint32_t id = a->list[which].first;
		struct flow *f = &a->flows[id];

		if (f->first != NULL && f->deficit > 0)
			return f;
		list_remove_first(a, which);
		if (f->first != NULL)
			f->deficit += QUANTUM;
		if (f->first != NULL || (which == LIST_NEW && a->list[LIST_OLD].first != NO_FLOW))
			list_append(a, LIST_OLD, id);
		else
			f->listed = false;
	}
	return NULL;
}

/* When the packet would leave, and the capacity's state then. */
static uint64_t departure(
	const struct aqm *a, const struct aqm_packet *p, struct capacity_cursor *ret_at)
{
	uint64_t when;

	*ret_at = a->link->at;
	when = capacity_serve(a->link->capacity, a->link->outages, ret_at, a->busy_ns, p->octets);
	return when < p->arrival_ns ? p->arrival_ns : when;
}

static uint64_t control_law(uint64_t from_ns, uint32_t count)
{
	return from_ns + (uint64_t)((double)INTERVAL_NS / sqrt((double)count));
}

/* RFC 8289 section 5.5: has the delay been above the target for an interval? */
static bool codel_is_above(
	struct codel *c, uint64_t sojourn_ns, uint64_t target_ns, uint64_t now_ns)
{
	if (sojourn_ns < target_ns) {
		c->first_above_ns = 0;
		return false;
	}
	if (c->first_above_ns == 0) {
		c->first_above_ns = now_ns + INTERVAL_NS;
		return false;
	}
	return now_ns >= c->first_above_ns;
}

/* RFC 8289 section 5.6, a packet at a time. */
static bool codel_drops(struct codel *c, bool above, uint64_t now_ns)
{
	uint32_t delta = c->count - c->last_count;

	if (!above) {
		c->dropping = false;
		return false;
	}
	if (c->dropping) {
		if (now_ns < c->drop_next_ns)
			return false;
		c->count++;
		c->drop_next_ns = control_law(c->drop_next_ns, c->count);
		return true;
	}
	c->dropping = true;
	c->count = delta > 1 && now_ns - c->drop_next_ns < FORGET_NS ? delta : 1;
	c->last_count = c->count;
	c->drop_next_ns = control_law(now_ns, c->count);
	return true;
}

static void flow_pop(struct aqm *a, struct flow *f)
{
	struct aqm_packet *p = f->first;

	f->first = p->next;
	if (f->first == NULL)
		f->last = NULL;
	f->octets -= p->octets;
	a->waiting.packets--;
	a->waiting.octets -= p->octets;
}

static void next_update(struct aqm *a)
{
	struct capacity_cursor at;
	const struct flow *f = flow_turn(a);

	a->next_ns = f != NULL ? departure(a, f->first, &at) : TIME_NEVER;
}

enum link_verdict aqm_put(struct aqm *a, uint64_t now_ns, const uint8_t *packet, uint32_t octets)
{
	enum link_verdict verdict = link_admit(a->link, now_ns, octets, a->waiting.octets);
	uint64_t ready_ns = radio_ready(a->link->radio, a->link->config.direction, now_ns);
	uint32_t id = flow_of(a, packet, octets);
	struct flow *f = &a->flows[id];
	struct aqm_packet *p = NULL;

	if (verdict == LINK_CARRIED)
		p = malloc(sizeof(*p) + octets);
	if (p == NULL) {
		verdict = verdict == LINK_CARRIED ? LINK_DROP_MEMORY : verdict;
		link_count_end(a->link, now_ns, octets, verdict);
		return verdict;
	}
	*p = (struct aqm_packet){.arrival_ns = now_ns, .octets = octets};
	memcpy(p->bytes, packet, octets);
	if (a->waiting.packets == 0)
		a->busy_ns = ready_ns;
	if (f->last != NULL)
		f->last->next = p;
	else
		f->first = p;
	f->last = p;
	f->octets += octets;
	a->waiting.packets++;
	a->waiting.octets += octets;
	if (a->waiting.octets > a->link->stats.max_backlog_octets)
		a->link->stats.max_backlog_octets = a->waiting.octets;
	if (!f->listed) {
		f->listed = true;
		f->deficit = QUANTUM;
		list_append(a, LIST_NEW, id);
	}
	next_update(a);
	return LINK_CARRIED;
}

struct aqm_packet *aqm_take(struct aqm *a, uint64_t now_ns, uint64_t *ret_due_ns)
{
	struct flow *f;

	while ((f = flow_turn(a)) != NULL) {
		struct aqm_packet *p = f->first;
		struct capacity_cursor at;
		uint64_t depart_ns = departure(a, p, &at);
		/* The last packet is let go: RFC 8289 section 5.5. */
		bool alone = f->octets <= QUANTUM;
		uint64_t sojourn_ns = depart_ns - p->arrival_ns;

		if (depart_ns > now_ns)
			break;
		flow_pop(a, f);
		if (codel_drops(&f->codel,
			    codel_is_above(
				    &f->codel, alone ? 0 : sojourn_ns, a->target_ns, depart_ns),
			    depart_ns)) {
			link_count_end(a->link, depart_ns, p->octets, LINK_DROP_AQM);
			free(p);
			continue;
		}
		f->deficit -= p->octets;
		a->link->at = at;
		if (link_sent(a->link, p->arrival_ns, depart_ns, p->octets, ret_due_ns)
			== LINK_CARRIED) {
			next_update(a);
			return p;
		}
		free(p);
	}
	next_update(a);
	return NULL;
}

uint64_t aqm_next_ns(const struct aqm *a)
{
	return a->next_ns;
}

struct link_count aqm_waiting(const struct aqm *a)
{
	return a->waiting;
}
