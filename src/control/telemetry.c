/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_private.h"

#include <weir/base/clock.h>
#include <weir/base/rng.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct view views[] = {
	{"status", status_write, NULL, 0},
	{"flows", NULL, flows_next, 0},
	{"devices", NULL, devices_next, UINT16_MAX + 1},
	{"plans", plans_write, NULL, 0},
	{"classes", NULL, classes_next, CLASS_IDS},
	{"ports", ports_write, NULL, 0},
	{"forwards", NULL, forwards_next, 0},
	{"drops", drops_write, NULL, 0},
	{"stages", stages_write, NULL, 0},
	{"link", link_write, NULL, 0},
	{"rules", rules_write, NULL, 0},
	{"clocks", NULL, clocks_next, 0},
	{"unsolicited", unsolicited_write, NULL, 0},
};

#define N_VIEWS (sizeof(views) / sizeof(views[0]))

static const char view_names[] = "status, flows, devices, plans, classes, ports, forwards, drops, "
				 "stages, link, rules, clocks, unsolicited, events";

int telemetry_create(struct path *path, struct port *const ports[PORTS_MAX], uint64_t now_us,
	struct telemetry **ret_telemetry)
{
	struct telemetry *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->path = path;
	memcpy(t->ports, ports, sizeof(t->ports));
	t->started_us = now_us;
	t->run = rng_entropy();
	telemetry_sample(t, now_us);
	*ret_telemetry = t;
	return 0;
}

void telemetry_destroy(struct telemetry *t)
{
	free(t);
}

static void usage_sum_add(struct usage_sum *to, const struct usage_sum *more)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		to->octets[d] += more->octets[d];
		to->packets[d] += more->packets[d];
	}
	to->n_flows_ended += more->n_flows_ended;
}

static uint32_t class_named(const struct telemetry *t, const char *name)
{
	for (uint32_t id = 0; id < CLASS_IDS && name[0] != '\0'; id++)
		if (strcmp(t->class_names[id], name) == 0)
			return id;
	return CLASS_DEFAULT; /* what is configured no longer stays in the sum of all */
}

/* Classes are known by name: their ids are places in the configuration. */
static void classes_renamed(struct telemetry *t, const struct classes *classes)
{
	struct telemetry *old = malloc(sizeof(*old));

	if (old == NULL)
		return;
	*old = *t;
	memset(t->class_names, 0, sizeof(t->class_names));
	memset(t->classes, 0, sizeof(t->classes));
	for (uint32_t id = 0; id < CLASS_IDS; id++) {
		const char *name = classes_name(classes, (uint8_t)id);

		if (strcmp(name, "?") == 0)
			break;
		(void)snprintf(t->class_names[id], CLASS_NAME_MAX, "%s", name);
	}
	for (uint32_t id = 0; id < CLASS_IDS; id++)
		usage_sum_add(&t->classes[class_named(t, old->class_names[id])], &old->classes[id]);
	free(old);
}

void telemetry_set_budget(struct telemetry *t, struct budget *budget)
{
	t->budget = budget;
}

void telemetry_set_clocks(struct telemetry *t, const struct clocks *clocks)
{
	t->clocks = clocks;
}

void telemetry_set_ipfix(
	struct telemetry *t, const struct export_ipfix *collector, const struct export_ipfix *file)
{
	t->ipfix_collector = collector;
	t->ipfix_file = file;
}

void telemetry_set_unsolicited(struct telemetry *t, const struct unsolicited_watch *unsolicited)
{
	t->unsolicited = unsolicited;
}

void telemetry_set_device_names(struct telemetry *t, const struct device_names *names)
{
	t->device_names = names;
}

void telemetry_set_remote_names(struct telemetry *t, struct remote_names *names)
{
	t->remote_names = names;
}

void telemetry_set_names(
	struct telemetry *t, const struct telemetry_names *names, uint32_t n_reloads)
{
	t->names = *names;
	t->n_reloads = n_reloads;
	classes_renamed(t, doors_config(t->path)->classes);
}

static uint64_t rx_packets_sum(const struct telemetry *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < PORTS_MAX; i++)
		if (t->ports[i] != NULL)
			sum += t->ports[i]->counters.rx_packets;
	return sum;
}

void telemetry_sample(struct telemetry *t, uint64_t now_us)
{
	struct sample *s = &t->samples[t->n_samples++ % TELEMETRY_SAMPLES];

	doors_stats_read(t->path, &t->stats);
	s->at_us = now_us;
	s->rx_packets = rx_packets_sum(t);
	memcpy(s->edge_octets, t->stats.edge_octets, sizeof(s->edge_octets));
	t->n_senders = doors_senders_read(t->path, t->senders);
	for (uint32_t i = 0; i < t->n_senders; i++)
		s->sender_busy_us[i] = t->senders[i].busy_us;
}

/* The youngest sample that is at least `window_us` old; the oldest when none is. */
static const struct sample *sample_before(
	const struct telemetry *t, uint64_t window_us, uint64_t now_us)
{
	uint64_t n_held = t->n_samples < TELEMETRY_SAMPLES ? t->n_samples : TELEMETRY_SAMPLES;
	const struct sample *s = &t->samples[(t->n_samples - 1) % TELEMETRY_SAMPLES];

	for (uint64_t age = 2; age <= n_held && now_us - s->at_us < window_us; age++)
		s = &t->samples[(t->n_samples - age) % TELEMETRY_SAMPLES];
	return s;
}

/* 64 bits hold a minute at 100 Gbit/s in bits times microseconds: 6e18. */
static uint64_t per_second(uint64_t count, uint64_t span_us)
{
	return span_us == 0 ? 0 : count * US_PER_S / span_us;
}

uint64_t edge_rate_bps(const struct telemetry *t, uint32_t port, enum direction direction,
	uint64_t window_us, uint64_t now_us)
{
	const struct sample *s = sample_before(t, window_us, now_us);

	return per_second(
		(t->stats.edge_octets[port][direction] - s->edge_octets[port][direction]) * 8,
		now_us - s->at_us);
}

uint64_t packet_rate(const struct telemetry *t, uint64_t window_us, uint64_t now_us)
{
	const struct sample *s = sample_before(t, window_us, now_us);

	return per_second(rx_packets_sum(t) - s->rx_packets, now_us - s->at_us);
}

uint64_t sender_load_ppm(
	const struct telemetry *t, uint32_t id, uint64_t window_us, uint64_t now_us)
{
	const struct sample *s = sample_before(t, window_us, now_us);
	uint64_t span_us = now_us - s->at_us;

	return span_us == 0 ? 0
			    : (t->senders[id].busy_us - s->sender_busy_us[id]) * 1000000 / span_us;
}

void telemetry_count_records(
	struct telemetry *t, const struct flow_record *records, uint32_t n_records)
{
	for (uint32_t i = 0; i < n_records; i++) {
		const struct flow_record *r = &records[i];
		struct usage_sum *sum = &t->classes[r->class_id];

		for (int d = 0; d < N_DIRECTIONS; d++) {
			sum->octets[d] += r->octet_delta_count[d];
			sum->packets[d] += r->packet_delta_count[d];
		}
		sum->n_flows_ended += r->end_reason != FLOW_END_NONE;
	}
}

static int whole_next(
	struct server_answer *a, struct text *part, __attribute__((unused)) char *error)
{
	struct listing *l = listing_of(a);

	l->view->write(l, part);
	return 0;
}

static void listing_destroy(struct server_answer *a)
{
	struct listing *l = listing_of(a);

	free(l->sums);
	free(l->busiest);
	free(l);
}

static const struct view *view_find(const json_t *request, char *error)
{
	const json_t *show = json_object_get(request, "show");

	if (!json_is_string(show)) {
		(void)snprintf(error, SERVER_ERROR_MAX,
			"a request names what to show, {\"show\": \"status\"}; there are: %s",
			view_names);
		return NULL;
	}
	for (size_t i = 0; i < N_VIEWS; i++)
		if (strcmp(json_string_value(show), views[i].name) == 0)
			return &views[i];
	(void)snprintf(error, SERVER_ERROR_MAX, "nothing is called \"%.40s\"; there are: %s",
		json_string_value(show), view_names);
	return NULL;
}

/* One filter of a request. */
static bool filter_read(struct listing *l, const char *key, const json_t *value)
{
	if (strcmp(key, "show") == 0)
		return true;
	if (strcmp(key, "all") == 0 && json_is_boolean(value)) {
		l->all = json_is_true(value);
		return true;
	}
	if (strcmp(key, "limit") == 0 && json_is_integer(value) && json_integer_value(value) >= 0) {
		l->limit = (uint64_t)json_integer_value(value);
		return true;
	}
	if (strcmp(key, "busiest") == 0 && json_is_integer(value) && json_integer_value(value) >= 1
		&& json_integer_value(value) <= TELEMETRY_BUSIEST_MAX) {
		l->n_busiest = (uint32_t)json_integer_value(value);
		return true;
	}
	if (strcmp(key, "device") == 0 && json_is_string(value)
		&& ip_addr_parse(json_string_value(value), &l->device) == 0) {
		l->has_device = true;
		return true;
	}
	return false;
}

static int filters_read(struct listing *l, json_t *request, char *error)
{
	const char *key;
	json_t *value;

	json_object_foreach(request, key, value)
	{
		if (filter_read(l, key, value))
			continue;
		(void)snprintf(error, SERVER_ERROR_MAX,
			"\"%.40s\" is no filter, or not of its type; there are: \"limit\" (a "
			"number), \"busiest\" (flows: a number from 1 to 512), "
			"\"device\" (an address, as text), \"all\" (true or false)",
			key);
		return -EINVAL;
	}
	return 0;
}

int telemetry_answer(void *context, json_t *request, uint64_t now_us, char error[SERVER_ERROR_MAX],
	struct server_answer **ret_answer)
{
	const struct view *view = view_find(request, error);
	struct listing *l;
	int result;

	if (view == NULL)
		return -ENOENT;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->answer = (struct server_answer){
		.next = view->next != NULL ? view->next : whole_next, .destroy = listing_destroy};
	l->telemetry = context;
	l->view = view;
	l->now_us = now_us;
	l->limit = UINT64_MAX;
	if (view->n_sums > 0) {
		/* Zero pages until touched: a gateway with ten devices pays for one. */
		l->sums = calloc(view->n_sums, sizeof(*l->sums));
		if (l->sums == NULL) {
			listing_destroy(&l->answer);
			return -ENOMEM;
		}
	}
	result = filters_read(l, request, error);
	if (result != 0) {
		listing_destroy(&l->answer);
		return result;
	}
	*ret_answer = &l->answer;
	return 0;
}
