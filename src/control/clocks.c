/* SPDX-License-Identifier: BSD-3-Clause */
#include "clocks_private.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/packet/meta.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define S ((int64_t)US_PER_S)

#define RECENT_US       (3600 * S) /* what counts as a cause now */
#define SETTLE_US       (600 * S)  /* after a start: devices have yet to be heard */
#define UPDATE_PAUSE_US (600 * S)  /* parts of one update are closer together */
#define UNANSWERED_US   (5 * S)    /* an answer that takes longer is none */
#define SILENT_US       (60 * S)   /* of a link over which packets were sent */
#define SILENT_PACKETS  10

int clocks_create(const struct config *c, int64_t now_us, struct clocks **ret_clocks)
{
	struct clocks *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	memset(k->chains, 0xff, sizeof(k->chains));
	k->started_us = now_us;
	k->answered_us = now_us;
	k->no_link_us = CLOCK_NEVER;
	k->saved_us = now_us;
	clocks_set_config(k, c);
	*ret_clocks = k;
	return 0;
}

void clocks_destroy(struct clocks *k)
{
	free(k);
}

struct clock_rule *clock_rule_of(struct clocks *k, const char *class_name)
{
	for (uint32_t i = 0; i < k->n_rules; i++)
		if (strcmp(k->rules[i].class_name, class_name) == 0)
			return &k->rules[i];
	return NULL;
}

static uint32_t *chain_of(struct clocks *k, const struct ip_addr *addr)
{
	uint32_t host = ip_addr_v4_host(addr);

	return &k->chains[(host ^ host >> 8) % CLOCK_CHAINS];
}

static bool is_of(const struct clock_row *row, const struct clock_row *like)
{
	return ip_addr_equal(&row->addr, &like->addr)
	       && strcmp(row->class_name, like->class_name) == 0
	       && strcmp(row->port, like->port) == 0;
}

static struct clock_entry *find(struct clocks *k, const struct clock_row *like)
{
	uint32_t id = *chain_of(k, &like->addr);

	while (id != CLOCK_NO_ROW && !is_of(&k->entries[id].row, like))
		id = k->entries[id].next;
	return id == CLOCK_NO_ROW ? NULL : &k->entries[id];
}

static void leave_chain(struct clocks *k, uint32_t id)
{
	uint32_t *at = chain_of(k, &k->entries[id].row.addr);

	while (*at != id)
		at = &k->entries[*at].next;
	*at = k->entries[id].next;
}

static void join_chain(struct clocks *k, uint32_t id)
{
	uint32_t *chain = chain_of(k, &k->entries[id].row.addr);

	k->entries[id].next = *chain;
	*chain = id;
}

/* The last row takes the place of the one that ends. */
static void end_row(struct clocks *k, uint32_t id)
{
	uint32_t last = k->n_entries - 1;

	leave_chain(k, id);
	if (last != id) {
		leave_chain(k, last);
		k->entries[id] = k->entries[last];
		join_chain(k, id);
	}
	k->n_entries--;
	k->is_new = true;
}

void clocks_set_config(struct clocks *k, const struct config *c)
{
	struct clock_rule rules[CONFIG_CLASSES_MAX] = {0};
	uint32_t n_rules = 0;

	for (uint32_t i = 0; i < c->n_classes; i++) {
		const struct config_profile *p = config_find_profile(c, c->classes[i].profile);
		const struct clock_rule *before = clock_rule_of(k, c->classes[i].name);
		struct clock_rule *rule = &rules[n_rules];

		if (p == NULL)
			continue;
		*rule = (struct clock_rule){
			.warn_us = (int64_t)p->warn_after_us,
			.overdue_us = (int64_t)p->overdue_after_us,
			.update_octets = p->update_octets,
			.stopped_us = before == NULL ? CLOCK_NEVER : before->stopped_us,
		};
		memcpy(rule->class_name, c->classes[i].name, sizeof(rule->class_name));
		n_rules++;
	}
	memcpy(k->rules, rules, sizeof(rules));
	k->n_rules = n_rules;
	for (uint32_t id = k->n_entries; id-- > 0;)
		if (clock_rule_of(k, k->entries[id].row.class_name) == NULL)
			end_row(k, id);
}

/* Who would be missed least: false when `a` would be missed more than `b`. */
static bool is_lesser(const struct clock_row *a, const struct clock_row *b)
{
	bool has_a = a->last_us[CLASS_KIND_SERVICE] != CLOCK_NEVER;
	bool has_b = b->last_us[CLASS_KIND_SERVICE] != CLOCK_NEVER;

	return has_a != has_b ? has_b : a->heard_us < b->heard_us;
}

static void make_room(struct clocks *k)
{
	uint32_t victim = 0;

	if (k->n_entries < CLOCKS_ROWS_MAX)
		return;
	for (uint32_t id = 1; id < k->n_entries; id++)
		if (is_lesser(&k->entries[id].row, &k->entries[victim].row))
			victim = id;
	end_row(k, victim);
}

static void begin_row(struct clock_entry *e, const struct clock_row *like)
{
	uint32_t next = e->next;

	*e = (struct clock_entry){.row = *like, .next = next, .burst_us = CLOCK_NEVER};
	e->row.state = CLOCK_FINE;
	e->row.cause = CLOCK_CAUSE_NONE;
	e->row.heard_us = e->row.dns_asked_us = e->row.time_asked_us = CLOCK_NEVER;
	for (uint32_t i = 0; i < CLASS_KINDS; i++)
		e->row.last_us[i] = CLOCK_NEVER;
}

static bool is_known(const struct mac_addr *mac)
{
	static const struct mac_addr none = {{0}};

	return !mac_addr_equal(mac, &none);
}

struct clock_entry *clock_entry_take(struct clocks *k, const struct clock_row *like)
{
	struct clock_entry *e = find(k, like);

	if (e != NULL) {
		/* An address that another device has now: its row begins anew. */
		if (is_known(&like->mac) && is_known(&e->row.mac)
			&& !mac_addr_equal(&e->row.mac, &like->mac))
			begin_row(e, like);
		return e;
	}
	make_room(k);
	e = &k->entries[k->n_entries++];
	begin_row(e, like);
	join_chain(k, k->n_entries - 1);
	return e;
}

/* Over TCP a handshake alone is no answer. */
static bool is_answered(const struct flow_record *r)
{
	if (r->octet_delta_count[DOWNLINK] == 0)
		return false;
	return r->proto != PROTO_TCP
	       || (r->tcp_flags[UPLINK] & r->tcp_flags[DOWNLINK] & TCP_PSH) != 0;
}

static void later(int64_t *at_us, int64_t us)
{
	if (us > *at_us)
		*at_us = us;
}

/* A service that has sent so much at a stretch was updating its device. */
static void add_burst(
	const struct clock_rule *rule, struct clock_entry *e, const struct flow_record *r)
{
	int64_t at_us = (int64_t)r->end_us;

	if (e->burst_us == CLOCK_NEVER || at_us - e->burst_us > UPDATE_PAUSE_US)
		e->burst_octets = 0;
	e->burst_octets += r->octet_delta_count[DOWNLINK];
	later(&e->burst_us, at_us);
	if (rule->update_octets > 0 && e->burst_octets >= rule->update_octets)
		later(&e->row.last_us[CLASS_KIND_UPDATE], at_us);
}

static bool begins_row(uint8_t kind)
{
	return kind == CLASS_KIND_SERVICE || kind == CLASS_KIND_UPDATE
	       || kind == CLASS_KIND_PROVISIONING || kind == CLASS_KIND_TIME;
}

void clocks_count(struct clocks *k, const struct path_config *pc, const struct flow_record *r)
{
	struct clock_row like = {
		.addr = r->internal, .mac = r->device_mac, .first_us = (int64_t)r->start_us};
	struct clock_rule *rule;
	struct clock_entry *e;

	if (r->kind == CLASS_KIND_NONE || r->lan_port >= pc->n_ports)
		return;
	rule = clock_rule_of(k, classes_name(pc->classes, r->class_id));
	if (rule == NULL)
		return;
	memcpy(like.class_name, rule->class_name, sizeof(like.class_name));
	memcpy(like.port, pc->ports[r->lan_port].name, sizeof(like.port));
	e = begins_row(r->kind) && is_answered(r) ? clock_entry_take(k, &like) : find(k, &like);
	if (e == NULL)
		return;
	if (r->kind == CLASS_KIND_TIME && r->octet_delta_count[UPLINK] > 0 && !is_answered(r))
		later(&e->row.time_asked_us, (int64_t)r->end_us);
	if (!is_answered(r))
		return;
	k->is_new = true;
	later(&e->row.last_us[r->kind], (int64_t)r->end_us);
	if (r->kind == CLASS_KIND_SERVICE)
		add_burst(rule, e, r);
}

static int64_t us_of(uint32_t s)
{
	return s == 0 ? CLOCK_NEVER : (int64_t)s * S;
}

void clocks_hear(struct clocks *k, const char *port, const struct device *d)
{
	for (uint32_t id = *chain_of(k, &d->addr); id != CLOCK_NO_ROW; id = k->entries[id].next) {
		struct clock_row *row = &k->entries[id].row;

		if (!ip_addr_equal(&row->addr, &d->addr) || strcmp(row->port, port) != 0
			|| (is_known(&d->mac) && is_known(&row->mac)
				&& !mac_addr_equal(&d->mac, &row->mac)))
			continue;
		later(&row->heard_us, (int64_t)d->last_us);
		/* Questions to the gateway itself are of no flow. */
		later(&row->heard_us, us_of(d->dns_asked_s));
		later(&row->dns_asked_us, us_of(d->dns_asked_s));
		later(&row->last_us[CLASS_KIND_DNS], us_of(d->dns_answered_s));
	}
}

void clocks_stopped(struct clocks *k, const char *class_name, int64_t now_us)
{
	struct clock_rule *rule = clock_rule_of(k, class_name);

	if (rule != NULL)
		rule->stopped_us = now_us;
}

static bool is_recent(int64_t at_us, int64_t now_us)
{
	return at_us != CLOCK_NEVER && now_us - at_us < RECENT_US;
}

/* Asked lately, and not answered since, although there was time. */
static bool is_unanswered(int64_t asked_us, int64_t answered_us, int64_t now_us)
{
	return is_recent(asked_us, now_us) && asked_us > answered_us
	       && now_us - asked_us > UNANSWERED_US;
}

static enum clock_cause cause_of(const struct clocks *k, const struct clock_rule *rule,
	const struct clock_row *row, int64_t now_us)
{
	if (!is_recent(row->heard_us, now_us))
		return CLOCK_CAUSE_LAN;
	if (is_recent(k->no_link_us, now_us))
		return CLOCK_CAUSE_LINK;
	if (is_recent(rule->stopped_us, now_us))
		return CLOCK_CAUSE_PLAN;
	if (is_unanswered(row->dns_asked_us, row->last_us[CLASS_KIND_DNS], now_us))
		return CLOCK_CAUSE_DNS;
	if (is_unanswered(row->time_asked_us, row->last_us[CLASS_KIND_TIME], now_us))
		return CLOCK_CAUSE_TIME;
	return CLOCK_CAUSE_SERVICE;
}

static enum clock_state state_of(
	const struct clock_rule *rule, const struct clock_row *row, int64_t now_us)
{
	int64_t last_us = row->last_us[CLASS_KIND_SERVICE];

	if (last_us == CLOCK_NEVER)
		return CLOCK_FINE;
	if (rule->overdue_us > 0 && now_us - last_us >= rule->overdue_us)
		return CLOCK_OVERDUE;
	return rule->warn_us > 0 && now_us - last_us >= rule->warn_us ? CLOCK_LATE : CLOCK_FINE;
}

static void tell(const struct clock_row *row, int64_t now_us)
{
	static const char *const events[] = {[CLOCK_FINE] = "clock.fine",
		[CLOCK_LATE] = "clock.late",
		[CLOCK_OVERDUE] = "clock.overdue"};
	char addr[IP_ADDR_TEXT_MAX];
	char mac[MAC_ADDR_TEXT_MAX];

	log_event(row->state == CLOCK_FINE ? LOG_NOTICE : LOG_WARNING,
		"%s device=%s mac=%s port=%s class=%s service_ago_s=%lld cause=%s",
		events[row->state], ip_addr_format(&row->addr, addr),
		mac_addr_format(&row->mac, mac), row->port, row->class_name,
		(long long)((now_us - row->last_us[CLASS_KIND_SERVICE]) / S),
		clock_cause_name(row->cause));
}

/* Whether the link carries: one over which packets leave and nobody is answered does not. */
static void judge_link(struct clocks *k, const struct clocks_site *site, int64_t now_us)
{
	bool was_used = site->n_up_packets != k->site.n_up_packets;

	if (site->n_down_packets != k->site.n_down_packets
		|| site->n_up_packets == k->n_up_answered) {
		k->answered_us = now_us;
		k->n_up_answered = site->n_up_packets;
	}
	if (!site->has_link
		|| (was_used && now_us - k->answered_us > SILENT_US
			&& site->n_up_packets - k->n_up_answered >= SILENT_PACKETS))
		k->no_link_us = now_us;
	k->site = *site;
}

void clocks_judge(struct clocks *k, const struct clocks_site *site, int64_t now_us)
{
	judge_link(k, site, now_us);
	if (now_us - k->started_us < SETTLE_US)
		return;
	for (uint32_t id = 0; id < k->n_entries; id++) {
		struct clock_row *row = &k->entries[id].row;
		const struct clock_rule *rule = clock_rule_of(k, row->class_name);
		enum clock_state state = state_of(rule, row, now_us);
		bool is_other = state != row->state;

		row->state = state;
		row->cause =
			state == CLOCK_FINE ? CLOCK_CAUSE_NONE : cause_of(k, rule, row, now_us);
		if (is_other)
			tell(row, now_us);
	}
}

const struct clock_row *clocks_row(const struct clocks *k, uint32_t i)
{
	return i < k->n_entries ? &k->entries[i].row : NULL;
}

const char *clock_state_name(enum clock_state state)
{
	static const char *const names[] = {
		[CLOCK_FINE] = "fine", [CLOCK_LATE] = "late", [CLOCK_OVERDUE] = "overdue"};

	return state <= CLOCK_OVERDUE ? names[state] : "?";
}

const char *clock_cause_name(enum clock_cause cause)
{
	static const char *const names[] = {
		[CLOCK_CAUSE_NONE] = "none",
		[CLOCK_CAUSE_LAN] = "lan",
		[CLOCK_CAUSE_LINK] = "link",
		[CLOCK_CAUSE_PLAN] = "plan",
		[CLOCK_CAUSE_DNS] = "dns",
		[CLOCK_CAUSE_TIME] = "ntp",
		[CLOCK_CAUSE_SERVICE] = "service",
	};

	return cause <= CLOCK_CAUSE_SERVICE ? names[cause] : "?";
}
