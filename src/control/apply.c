/* SPDX-License-Identifier: BSD-3-Clause */
#include "apply_parts.h"

#include <weir/base/amount.h>
#include <weir/base/clock.h>
#include <weir/control/apply.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(QUOTA_NAME_MAX == CONFIG_NAME_MAX, "names of quotas are copied whole");

uint8_t config_tap_id(const struct config *c, uint8_t port_id)
{
	uint32_t id = c->n_ports;

	if (port_id >= c->n_ports || c->ports[port_id].tap[0] == '\0')
		return PORT_NONE;
	for (uint8_t i = 0; i < port_id; i++)
		id += c->ports[i].tap[0] != '\0';
	return (uint8_t)id;
}

static void ports_fill(const struct config *c, struct path_config *pc)
{
	pc->n_ports = c->n_ports;
	for (uint8_t i = 0; i < c->n_ports; i++) {
		const struct config_port *p = &c->ports[i];
		struct path_port *port = &pc->ports[i];
		struct path_port *tap;

		*port = (struct path_port){
			.role = p->role,
			.address = p->address,
			.gateway = p->gateway,
			.peer = config_tap_id(c, i),
			.plan_id = config_find_plan(c, p->plan),
			.mtu = p->mtu,
			.vlan = p->vlan,
			.uplink_bps = p->rate_uplink_bps,
			.downlink_bps = p->rate_downlink_bps,
			.follows_link = p->rate_follow,
			.least_bps = p->rate_least_bps,
			.probe_to = p->probe_to,
			.probe_every_us = p->probe_every_us,
			.probe_quota_octets = p->probe_quota_octets,
			.queue_us = p->queue_us,
			.overhead_octets = p->link_overhead_octets,
			.ack_thinning = p->ack_thinning,
			.pcp = p->pcp,
		};
		memcpy(port->name, p->name, sizeof(port->name));
		if (port->peer == PORT_NONE)
			continue;
		pc->n_ports++;
		tap = &pc->ports[port->peer];
		*tap = (struct path_port){
			.role = PORT_TAP,
			.address = p->address,
			.peer = i,
			.plan_id = PLAN_NONE,
			.mtu = p->mtu,
		};
		memcpy(tap->name, p->tap, sizeof(tap->name));
	}
}

static uint32_t ms_of(uint64_t us)
{
	return (uint32_t)(us / US_PER_MS);
}

static struct flow_timeouts timeouts_of(const struct config *c)
{
	return (struct flow_timeouts){
		.tcp_established_ms = ms_of(c->timeouts.tcp_established_us),
		.tcp_transitory_ms = ms_of(c->timeouts.tcp_transitory_us),
		.tcp_closed_ms = ms_of(c->timeouts.tcp_closed_us),
		.udp_ms = ms_of(c->timeouts.udp_us),
		.udp_one_way_ms = ms_of(c->timeouts.udp_one_way_us),
		.icmp_ms = ms_of(c->timeouts.icmp_us),
		.other_ms = ms_of(c->timeouts.other_us),
		.inbound_refresh = c->nat_inbound_refresh,
	};
}

/* True when a plan's carrier does not bill a class. */
static bool is_free_in(const struct config_plan *p, const struct config_class *k)
{
	for (uint32_t i = 0; i < p->n_free; i++)
		if (strcmp(p->free_classes[i], k->name) == 0)
			return true;
	return false;
}

static bool is_free(const struct config *c, uint32_t class_index)
{
	for (uint32_t i = 0; i < c->n_plans; i++)
		if (is_free_in(&c->plans[i], &c->classes[class_index]))
			return true;
	return false;
}

static void plans_fill(const struct config *c, struct path_config *pc)
{
	pc->n_plans = c->n_plans;
	for (uint32_t i = 0; i < c->n_plans; i++)
		for (int d = 0; d < N_DIRECTIONS; d++)
			pc->plans[i].overhead_octets[d] = c->plans[i].counting.overhead_high[d];
}

void apply_free_class(
	const struct config *c, uint32_t class_index, uint8_t id, struct path_config *pc)
{
	for (uint32_t i = 0; i < c->n_plans; i++)
		if (is_free_in(&c->plans[i], &c->classes[class_index]))
			pc->plans[i].free_classes |= UINT32_C(1) << id;
}

static enum ladder_action action_of(enum config_step step)
{
	static const enum ladder_action actions[] = {
		[STEP_NOTIFY] = LADDER_NOTIFY,
		[STEP_SHAPE] = LADDER_SHAPE,
		[STEP_RESERVE_ONLY] = LADDER_RESERVE_ONLY,
		[STEP_BLOCK] = LADDER_BLOCK,
	};

	return actions[step];
}

void config_ladder(const struct config_ladder_step *steps, uint32_t n_steps,
	enum ladder_action last, struct ladder *ret_ladder)
{
	for (uint32_t i = 0; i < n_steps; i++)
		ret_ladder->steps[ret_ladder->n_steps++] = (struct ladder_step){
			.at_ppm = steps[i].at_ppm,
			.action = action_of(steps[i].action),
			.rate_bps = steps[i].rate_bps,
		};
	if (n_steps == 0)
		ret_ladder->steps[ret_ladder->n_steps++] =
			(struct ladder_step){.at_ppm = ALL_PPM, .action = last};
}

/* The class that owns an account; NULL for the general one and those that nobody has. */
static const struct config_class *account_owner(const struct config *c, uint8_t account)
{
	uint8_t last = ACCOUNT_GENERAL;

	for (uint32_t i = 0; i < c->n_classes; i++)
		if (c->classes[i].reserve_octets > 0 && ++last == account)
			return &c->classes[i];
	return NULL;
}

uint8_t config_account_of(const struct config *c, uint32_t class_index)
{
	for (uint8_t account = 1; account < METER_ACCOUNTS; account++)
		if (account_owner(c, account) == &c->classes[class_index])
			return account;
	return is_free(c, class_index) ? ACCOUNT_FREE : ACCOUNT_GENERAL;
}

const char *config_account_name(const struct config *c, uint8_t account)
{
	const struct config_class *k = account_owner(c, account);

	return k == NULL ? NULL : k->name;
}

uint64_t config_account_reserve(const struct config *c, uint8_t account)
{
	const struct config_class *k = account_owner(c, account);

	return k == NULL ? 0 : k->reserve_octets;
}

uint64_t config_account_device_reserve(const struct config *c, uint8_t account)
{
	const struct config_class *k = account_owner(c, account);

	return k == NULL || k->reserve_per_device_octets == 0 ? METER_UNLIMITED
							      : k->reserve_per_device_octets;
}

/* Ways that a rule's two ends leave open: a bit each. */
static uint8_t ways_of(const struct config_rule *r)
{
	uint8_t ways = 0;

	if (r->from != SIDE_UPLINK && r->to != SIDE_LAN)
		ways |= 1u << POLICY_LAN_TO_UPLINK;
	if (r->from != SIDE_LAN && r->to != SIDE_UPLINK)
		ways |= 1u << POLICY_UPLINK_TO_LAN;
	if (r->from != SIDE_UPLINK && r->to != SIDE_UPLINK)
		ways |= 1u << POLICY_LAN_TO_LAN;
	return ways;
}

uint8_t config_group_id(const struct config *c, const char *name)
{
	return strcmp(name, CONFIG_QUARANTINE) == 0 ? GROUP_QUARANTINE
						    : (uint8_t)config_find_group(c, name);
}

static void quotas_fill(const struct config *c, struct path_config *pc)
{
	pc->n_quotas = c->n_quotas;
	for (uint32_t i = 0; i < c->n_quotas; i++) {
		const struct config_quota *q = &c->quotas[i];
		struct path_quota *quota = &pc->quotas[i];

		memcpy(quota->name, q->name, sizeof(quota->name));
		if (q->group[0] != '\0')
			quota->groups = GROUP_BIT(config_group_id(c, q->group));
		quota->is_shared = q->shared;
		quota->rule.quota_octets = q->quota_octets;
		config_ladder(q->ladder, q->n_ladder, LADDER_RESERVE_ONLY, &quota->rule.ladder);
		share_rule_prepare(&quota->rule);
	}
}

/* A class that matches by nothing is none of the path's. */
static bool class_find(const struct classes *classes, const char *name, uint8_t *ret_id)
{
	for (uint32_t id = 0; id < CLASSES_MAX; id++) {
		if (strcmp(classes_name(classes, (uint8_t)id), name) == 0) {
			*ret_id = (uint8_t)id;
			return true;
		}
	}
	return false;
}

static bool is_idle(
	const struct config *c, const struct config_rule *r, const struct schedule_state *now)
{
	uint32_t id = config_find_schedule(c, r->schedule);

	if (r->schedule[0] == '\0')
		return false;
	if (id == CONFIG_SCHEDULES_MAX || (now->known >> id & 1) == 0)
		return r->action == POLICY_ALLOW;
	return (now->holds >> id & 1) == 0;
}

/* What a rule says of devices, class and time. */
static void rule_refine(const struct config *c, const struct config_rule *r,
	const struct schedule_state *now, const struct classes *classes, struct policy_rule *rule)
{
	rule->has_mac = r->device.kind == MEMBER_MAC;
	rule->mac = r->device.mac;
	rule->has_device = r->device.kind == MEMBER_PREFIX;
	rule->device = r->device.prefix;
	if (r->group[0] != '\0')
		rule->groups = GROUP_BIT(config_group_id(c, r->group));
	rule->is_logged = r->log;
	rule->is_idle = is_idle(c, r, now);
	rule->has_class = r->class_name[0] != '\0';
	if (rule->has_class && !class_find(classes, r->class_name, &rule->class_id))
		rule->is_idle = true;
}

static int rules_create(const struct config *c, const struct schedule_state *now,
	const struct classes *classes, struct ruleset **ret_rules)
{
	struct policy_rule *rules = calloc(POLICY_RULES_MAX, sizeof(*rules));
	int error;

	if (rules == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_rules; i++) {
		const struct config_rule *r = &c->rules[i];

		rules[i] = (struct policy_rule){
			.ways = ways_of(r),
			.proto = r->proto,
			.has_source = !ip_addr_is_unset(&r->source.addr),
			.has_destination = !ip_addr_is_unset(&r->destination.addr),
			.source = r->source,
			.destination = r->destination,
			.port_min = r->port.min,
			.port_max = r->port.max,
			.action = r->action,
		};
		rule_refine(c, r, now, classes, &rules[i]);
	}
	error = ruleset_create(rules, c->n_rules, ret_rules);
	free(rules);
	return error;
}

/* How the shaper treats classes, at their places in the path. */
static void shaping_fill(const struct config *c, struct path_config *pc)
{
	static const enum shaper_priority priorities[] = {
		[PRIORITY_LOW] = SHAPER_LOW,
		[PRIORITY_NORMAL] = SHAPER_NORMAL,
		[PRIORITY_HIGH] = SHAPER_HIGH,
	};
	uint8_t id;

	pc->n_shaped_classes = CLASSES_MAX;
	for (uint32_t i = 0; i < CLASSES_MAX; i++)
		pc->shaped_classes[i] = (struct shaper_class){
			.priority = SHAPER_NORMAL, .weight = SHAPER_WEIGHT_UNIT};
	for (uint32_t i = 0; i < c->n_classes; i++) {
		const struct config_class *k = &c->classes[i];

		if (!class_find(pc->classes, k->name, &id))
			continue;
		pc->shaped_classes[id] = (struct shaper_class){
			.priority = priorities[k->priority],
			.weight = k->weight,
			.guaranteed_bps = k->guaranteed_bps,
			.ceiling_bps = k->ceiling_bps,
		};
	}
}

/* A DMZ host is a forward of all ports, behind the others. */
static void forwards_fill(const struct config *c, struct nat_forwards *ret_forwards)
{
	for (uint32_t i = 0; i < c->n_forwards; i++) {
		const struct config_forward *f = &c->forwards[i];

		ret_forwards->rows[ret_forwards->n++] = (struct nat_forward){
			.proto = f->proto,
			.lan_port = config_find_lan(c, &f->to),
			.has_source = !ip_addr_is_unset(&f->source.addr),
			.source = f->source,
			.port_min = f->port.min,
			.port_max = f->port.max,
			.internal_port = f->to_port,
			.internal = f->to,
		};
	}
	if (ip_addr_is_unset(&c->nat_dmz))
		return;
	ret_forwards->rows[ret_forwards->n++] = (struct nat_forward){
		.lan_port = config_find_lan(c, &c->nat_dmz),
		.is_dmz = true,
		.port_min = 1,
		.port_max = UINT16_MAX,
		.internal_port = 1,
		.internal = c->nat_dmz,
	};
}

static uint32_t n_members(const struct config *c)
{
	uint32_t n = c->n_allowed;

	for (uint32_t i = 0; i < c->n_groups; i++)
		n += c->groups[i].n_devices;
	return n;
}

static struct group_member member_of(uint8_t group, const struct config_member *m)
{
	return (struct group_member){
		.group = group,
		.is_mac = m->kind == MEMBER_MAC,
		.mac = m->mac,
		.prefix = m->prefix,
	};
}

static void groups_collect(const struct config *c, struct groups_params *p,
	struct group_member *members, struct group_destination *destinations)
{
	p->n_names = c->n_groups;
	for (uint32_t i = 0; i < c->n_groups; i++) {
		const struct config_group *g = &c->groups[i];
		uint8_t id = config_group_id(c, g->name);

		memcpy(p->names[i], g->name, sizeof(p->names[i]));
		for (uint32_t k = 0; k < g->n_devices; k++)
			members[p->n_members++] = member_of(id, &g->devices[k]);
		for (uint32_t k = 0; k < g->n_destinations; k++)
			destinations[p->n_destinations++] =
				(struct group_destination){id, g->destinations[k]};
	}
	for (uint32_t i = 0; i < c->n_allowed; i++)
		members[p->n_members++] = member_of(GROUP_LISTED, &c->devices_allow[i]);
	p->members = members;
	p->destinations = destinations;
}

/* NULL where the configuration knows none: then nobody looks. */
static int groups_fill(const struct config *c, struct groups **ret_groups)
{
	struct groups_params *params = calloc(1, sizeof(*params));
	struct group_member *members = calloc(n_members(c) + 1, sizeof(*members));
	struct group_destination *destinations =
		calloc(CONFIG_GROUPS_MAX * CONFIG_GROUP_MEMBERS_MAX, sizeof(*destinations));
	int error = -ENOMEM;

	if (params != NULL && members != NULL && destinations != NULL) {
		groups_collect(c, params, members, destinations);
		error = c->n_groups + c->n_allowed == 0 ? 0 : groups_create(params, ret_groups);
	}
	free(destinations);
	free(members);
	free(params);
	return error;
}

static void setup_fill(const struct config *c, struct path_setup *ret_setup)
{
	*ret_setup = (struct path_setup){
		.seed = c->runtime.seed,
		.flow_capacity = c->flows_capacity,
		.n_senders = c->runtime.senders,
		.device_capacity = (uint16_t)c->devices_capacity,
		.neighbor_capacity = c->neighbors_capacity,
		.fragment_capacity = c->fragments_capacity,
		.fragment_timeout_us = c->timeouts.fragment_us,
		.nat_port_min = c->nat_ports.min,
		.nat_port_max = c->nat_ports.max,
		.neighbor_reachable_us = c->neighbors_reachable_us,
	};
}

int config_to_path(
	const struct config *c, struct path_setup *ret_setup, struct path_config **ret_path_config)
{
	static const struct schedule_state unknown = {0};

	return config_to_path_at(c, &unknown, ret_setup, ret_path_config);
}

int config_to_path_at(const struct config *c, const struct schedule_state *now,
	struct path_setup *ret_setup, struct path_config **ret_path_config)
{
	struct path_config *pc = calloc(1, sizeof(*pc));
	int error;

	if (pc == NULL)
		return -ENOMEM;
	ports_fill(c, pc);
	plans_fill(c, pc);
	quotas_fill(c, pc);
	forwards_fill(c, &pc->forwards);
	pc->filtering = c->nat_filtering;
	pc->pcp = (struct lease_limits){
		.per_device = c->nat_pcp.max_per_device,
		.lifetime_max_s = (uint32_t)(c->nat_pcp.lifetime_max_us / US_PER_S),
	};
	pc->tells_unsolicited_syn = c->nat_unsolicited_syn == UNSOLICITED_SYN_TELL;
	pc->timeouts = timeouts_of(c);
	pc->flows_per_device = c->flows_per_device;
	pc->new_flows_per_s = c->flows_new_per_second;
	pc->interim_us = c->runtime.interim_us;
	pc->remote_names = c->runtime.remote_names;
	pc->icmp_errors_per_s = c->icmp_errors_per_second;
	pc->lan_to_lan = c->policy_lan_to_lan;
	pc->rule_events_per_s = c->policy_events_per_second;
	pc->listed_only = c->devices_admission == ADMISSION_LISTED;
	pc->quarantine_reaches_gateway = c->devices_quarantine == QUARANTINE_SERVICES;
	error = apply_classes(c, pc);
	if (error == 0)
		shaping_fill(c, pc);
	if (error == 0)
		error = rules_create(c, now, pc->classes, &pc->rules);
	if (error == 0)
		error = groups_fill(c, &pc->groups);
	if (error != 0)
		goto err_config;
	setup_fill(c, ret_setup);
	*ret_path_config = pc;
	return 0;

err_config:
	ruleset_destroy(pc->rules);
	name_set_destroy(pc->names);
	classes_destroy(pc->classes);
	free(pc);
	return error;
}

/* One comparison: `next` begins as a copy of what runs and takes over the live keys. */
struct comparison {
	const struct config *running;
	const struct config *wanted;
	struct config *next;
	struct config_changes *changes;
	int error;
};

static void change_add(struct comparison *m, enum schema_applies applies, const char *prefix,
	const char *middle, const char *key)
{
	struct config_changes *changes = m->changes;
	struct config_change *list =
		realloc(changes->list, (changes->n + 1) * sizeof(*changes->list));

	if (list == NULL) {
		m->error = -ENOMEM;
		return;
	}
	changes->list = list;
	(void)snprintf(list[changes->n].key, CONFIG_KEY_MAX, "%s%s%s", prefix, middle, key);
	list[changes->n].applies = applies;
	changes->n++;
	changes->n_live += applies == APPLIES_LIVE;
}

/* Octets of the struct that a row covers: of a list or named section the whole array. */
static size_t row_size(const struct schema_row *row)
{
	bool is_array = row->type == SCHEMA_NAMED || row->type == SCHEMA_LIST;

	return is_array ? row->size_bytes * row->max : row->size_bytes;
}

struct triple {
	const char *running;
	const char *wanted;
	char *next;
};

/* Compares one row of a struct, and takes it over when it is live. Arrays are compared as a whole. */
static void row_compare(struct comparison *m, const struct schema_row *row, const struct triple *at,
	const char *name)
{
	const char *below = name == NULL ? row->path : strchr(row->path, '*') + 1;
	size_t size = row_size(row);
	bool is_array = row->type == SCHEMA_NAMED || row->type == SCHEMA_LIST;

	if (memcmp(at->running + row->offset, at->wanted + row->offset, size) == 0
		&& (!is_array
			|| memcmp(at->running + row->n_offset, at->wanted + row->n_offset,
				   sizeof(uint32_t))
				   == 0))
		return;
	if (name == NULL)
		change_add(m, row->applies, below, "", "");
	else
		change_add(m, row->applies,
			strncmp(row->path, "ports", 5) == 0 ? "ports." : "plans.", name, below);
	if (row->applies != APPLIES_LIVE)
		return;
	memcpy(at->next + row->offset, at->wanted + row->offset, size);
	if (is_array)
		memcpy(at->next + row->n_offset, at->wanted + row->n_offset, sizeof(uint32_t));
}

static void struct_compare(struct comparison *m, const struct schema_row *parent,
	const struct triple *at, const char *name)
{
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		bool is_set_of_items =
			row->type == SCHEMA_NAMED && row->applies == APPLIES_AT_START;

		if (schema_is_same_struct(row, parent) && row->type != SCHEMA_SECTION
			&& !is_set_of_items)
			row_compare(m, row, at, name);
	}
}

/* The item of that name and its place; NULL when there is none. */
static const char *item_find(
	const struct schema_row *row, const struct config *c, const char *name, uint32_t *ret_place)
{
	const char *base = (const char *)c;
	uint32_t n;

	memcpy(&n, base + row->n_offset, sizeof(n));
	for (uint32_t i = 0; i < n; i++) {
		const char *item = base + row->offset + i * row->size_bytes;

		if (strcmp(item, name) == 0) {
			*ret_place = i;
			return item;
		}
	}
	return NULL;
}

/* Ports or plans: items of one name are compared with each other; another set or order is for the next start. */
static void items_compare(struct comparison *m, const struct schema_row *row)
{
	const struct schema_row *item_row = schema_child(row, "*");
	const char *running = (const char *)m->running + row->offset;
	const char *wanted = (const char *)m->wanted + row->offset;
	uint32_t n_running;
	uint32_t n_wanted;
	uint32_t place;

	memcpy(&n_running, (const char *)m->running + row->n_offset, sizeof(n_running));
	memcpy(&n_wanted, (const char *)m->wanted + row->n_offset, sizeof(n_wanted));
	for (uint32_t i = 0; i < n_running; i++, running += row->size_bytes) {
		struct triple at = {
			.running = running,
			.wanted = item_find(row, m->wanted, running, &place),
			.next = (char *)m->next + row->offset + i * row->size_bytes,
		};

		if (at.wanted == NULL || place != i)
			change_add(m, APPLIES_AT_START, row->path, ".", running);
		if (at.wanted != NULL)
			struct_compare(m, item_row, &at, running);
	}
	for (uint32_t i = 0; i < n_wanted; i++, wanted += row->size_bytes) {
		if (item_find(row, m->running, wanted, &place) == NULL)
			change_add(m, APPLIES_AT_START, row->path, ".", wanted);
	}
}

static void change_defer(struct config_changes *changes, const char *key)
{
	for (uint32_t i = 0; i < changes->n; i++) {
		struct config_change *change = &changes->list[i];

		if (change->applies == APPLIES_LIVE && strcmp(change->key, key) == 0) {
			change->applies = APPLIES_AT_START;
			changes->n_live--;
		}
	}
}

static bool is_same(const void *a, const void *b, size_t n_bytes)
{
	return memcmp(a, b, n_bytes) == 0;
}

/* What classes take from files of their own can change without a word of theirs. */
static void profiles_compare(struct comparison *m)
{
	const size_t n_bytes = sizeof(m->next->profiles);

	if (m->running->n_profiles == m->wanted->n_profiles
		&& is_same(m->running->profiles, m->wanted->profiles, n_bytes))
		return;
	change_add(m, APPLIES_LIVE, "classes.*.profile", "", "");
	m->next->n_profiles = m->wanted->n_profiles;
	memcpy(m->next->profiles, m->wanted->profiles, n_bytes);
}

/* A port that was given a plan which the path does not know keeps the one it has. */
static void keep_known_plans(struct comparison *m)
{
	char key[CONFIG_KEY_MAX];

	for (uint32_t i = 0; i < m->next->n_ports; i++) {
		struct config_port *p = &m->next->ports[i];

		if (p->plan[0] == '\0' || config_find_plan(m->next, p->plan) != PLAN_NONE)
			continue;
		memcpy(p->plan, m->running->ports[i].plan, sizeof(p->plan));
		(void)snprintf(key, sizeof(key), "ports.%s.plan", p->name);
		change_defer(m->changes, key);
	}
}

int config_compare(const struct config *running, const struct config *wanted,
	struct config **ret_next, struct config_changes *changes)
{
	struct comparison m = {.running = running, .wanted = wanted, .changes = changes};
	struct triple top = {.running = (const char *)running, .wanted = (const char *)wanted};

	m.next = malloc(sizeof(*m.next));
	if (m.next == NULL)
		return -ENOMEM;
	memcpy(m.next, running, sizeof(*m.next));
	top.next = (char *)m.next;
	struct_compare(&m, NULL, &top, NULL);
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		if (row->type == SCHEMA_NAMED && row->applies == APPLIES_AT_START)
			items_compare(&m, row);
	}
	profiles_compare(&m);
	keep_known_plans(&m);
	if (m.error != 0) {
		config_destroy(m.next);
		return m.error;
	}
	*ret_next = m.next;
	return 0;
}

void config_changes_clean(struct config_changes *changes)
{
	free(changes->list);
	*changes = (struct config_changes){0};
}
