/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_profile.h"

#include <weir/base/units.h>

#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum key_type {
	KEY_RATE,
	KEY_TIME,
	KEY_SHARE,
	KEY_DB,
	KEY_YESNO,
	KEY_TRACE,
	KEY_BUFFER,
	KEY_OUTAGES,
	KEY_MTU
};

/* A key of one direction is set in `struct profile_direction`, any other in `struct profile`. */
struct key {
	const char *name;
	enum key_type type;
	bool per_direction;
	size_t offset;
};

#define BEARER_KEY(name, type, field)                                                              \
	{                                                                                          \
		name, type, false, offsetof(struct profile, field)                                 \
	}
#define DIRECTION_KEY(name, type, field)                                                           \
	{                                                                                          \
		name, type, true, offsetof(struct profile_direction, field)                        \
	}

static const struct key known_keys[] = {
	BEARER_KEY("mtu", KEY_MTU, mtu),
	DIRECTION_KEY("rate", KEY_RATE, rate_bps),
	DIRECTION_KEY("rate-floor", KEY_RATE, floor_bps),
	DIRECTION_KEY("rate-ceiling", KEY_RATE, ceiling_bps),
	DIRECTION_KEY("trace", KEY_TRACE, trace),
	BEARER_KEY("loop", KEY_YESNO, loop),
	DIRECTION_KEY("delay", KEY_TIME, delay_ns),
	DIRECTION_KEY("jitter", KEY_TIME, jitter_ns),
	DIRECTION_KEY("loss", KEY_SHARE, loss_ppm),
	DIRECTION_KEY("buffer", KEY_BUFFER, buffer_octets),
	BEARER_KEY("fading-sigma", KEY_DB, fading.sigma_db),
	BEARER_KEY("fading-correlation", KEY_TIME, fading.correlation_ns),
	BEARER_KEY("fading-step", KEY_TIME, fading.step_ns),
	BEARER_KEY("fading-length", KEY_TIME, fading.length_ns),
	BEARER_KEY("dead-spot-every", KEY_TIME, fading.dead_every_ns),
	BEARER_KEY("dead-spot-length", KEY_TIME, fading.dead_ns),
	BEARER_KEY("rrc-idle", KEY_TIME, radio.idle_ns),
	BEARER_KEY("rrc-delay", KEY_TIME, radio.promotion_ns),
	BEARER_KEY("rrc-paging", KEY_TIME, radio.paging_ns),
	BEARER_KEY("drx-idle", KEY_TIME, radio.drx_idle_ns),
	BEARER_KEY("drx-cycle", KEY_TIME, radio.drx_cycle_ns),
	BEARER_KEY("outage", KEY_OUTAGES, outages),
	BEARER_KEY("outage-period", KEY_TIME, outages.period_ns),
};

static int refuse(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(why, WHY_MAX, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

void profile_init(struct profile *p)
{
	memset(p, 0, sizeof(*p));
	p->mtu = 1500;
	p->loop = true;
	p->fading.correlation_ns = 5 * NS_PER_S;
	p->fading.step_ns = 100 * NS_PER_MS;
	p->fading.length_ns = 600 * NS_PER_S;
	for (int d = 0; d < N_DIRECTIONS; d++)
		p->direction[d].buffer_octets = 1000000;
}

static int parse_time_ns(const char *text, uint64_t *ret_ns)
{
	uint64_t us;
	int ret = units_parse_time(text, &us);

	if (ret < 0)
		return ret;
	if (us > INT64_MAX / NS_PER_US)
		return -ERANGE;
	*ret_ns = us * NS_PER_US;
	return 0;
}

static int parse_db(const char *text, double *ret_db)
{
	char *end;
	double db = strtod(text, &end);

	if (end == text || strcmp(end, "dB") != 0 || !isfinite(db) || db < 0 || db > 40)
		return -EINVAL;
	*ret_db = db;
	return 0;
}

static int parse_yesno(const char *text, bool *ret_yes)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return -EINVAL;
	*ret_yes = *text == 'y';
	return 0;
}

static int parse_mtu(const char *text, uint64_t *ret_mtu)
{
	char *end;
	unsigned long mtu = strtoul(text, &end, 10);

	/* RFC 791: every link carries 68 octets. 9000 is what a Linux TUN is commonly given. */
	if (end == text || *end != '\0' || mtu < 68 || mtu > 9000)
		return -EINVAL;
	*ret_mtu = mtu;
	return 0;
}

/* "1MB" or "2000ms", or both: "1MB 2000ms". */
static int parse_buffer(const char *text, struct profile_direction *d)
{
	uint64_t octets = 0, ns = 0;
	char copy[2 * UNITS_TEXT_MAX];
	char *save, *word;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	for (word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		if (units_parse_octets(word, &octets) < 0 && parse_time_ns(word, &ns) < 0)
			return -EINVAL;
	}
	if (octets == 0 && ns == 0)
		return -EINVAL;
	d->buffer_octets = octets;
	d->buffer_ns = ns;
	return 0;
}

/* "20s+3s 60s+1s": from second 20 for three seconds, from 60 for one. */
static int parse_outages(const char *text, struct outages *ret_outages)
{
	struct outages outages = {.period_ns = ret_outages->period_ns};
	char *copy = strdup(text), *save, *word;
	int ret = copy != NULL ? 0 : -ENOMEM;

	for (word = copy != NULL ? strtok_r(copy, " ", &save) : NULL; word != NULL && ret == 0;
		word = strtok_r(NULL, " ", &save)) {
		char *plus = strchr(word, '+');
		uint64_t from_ns, length_ns;

		ret = -EINVAL;
		if (plus == NULL)
			break;
		*plus = '\0';
		if (parse_time_ns(word, &from_ns) == 0 && parse_time_ns(plus + 1, &length_ns) == 0)
			ret = outages_add(&outages, from_ns, length_ns);
	}
	free(copy);
	if (ret == 0)
		*ret_outages = outages;
	return ret;
}

static int parse_trace(const char *text, const char *folder, char *ret_path)
{
	bool absolute = *text == '/' || folder == NULL;
	int n = snprintf(
		ret_path, PATH_MAX, "%s%s%s", absolute ? "" : folder, absolute ? "" : "/", text);

	return n < PATH_MAX && *text != '\0' ? 0 : -EINVAL;
}

static int parse_value(enum key_type type, const char *value, const char *folder, void *field)
{
	switch (type) {
	case KEY_RATE:
		return units_parse_rate(value, field);
	case KEY_TIME:
		return parse_time_ns(value, field);
	case KEY_SHARE:
		return units_parse_share(value, field);
	case KEY_DB:
		return parse_db(value, field);
	case KEY_YESNO:
		return parse_yesno(value, field);
	case KEY_OUTAGES:
		return parse_outages(value, field);
	case KEY_MTU:
		return parse_mtu(value, field);
	case KEY_TRACE:
		return parse_trace(value, folder, field);
	case KEY_BUFFER:
		break; /* fills two fields: see set_direction */
	}
	return -EINVAL;
}

static int set_direction(
	struct profile_direction *d, const struct key *key, const char *value, const char *folder)
{
	uint8_t *base = (uint8_t *)d;

	if (key->type == KEY_BUFFER)
		return parse_buffer(value, d);
	if (key->type == KEY_RATE && key->offset == offsetof(struct profile_direction, rate_bps))
		d->trace[0] = '\0'; /* said later, so meant instead of the trace */
	return parse_value(key->type, value, folder, base + key->offset);
}

static const char *skip_prefix(const char *key, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(key, prefix, n) == 0 ? key + n : NULL;
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(known_keys) / sizeof(known_keys[0]); i++) {
		if (strcmp(known_keys[i].name, name) == 0)
			return &known_keys[i];
	}
	return NULL;
}

int profile_set(
	struct profile *p, const char *key, const char *value, const char *folder, char *why)
{
	const char *uplink = skip_prefix(key, "uplink-"), *downlink = skip_prefix(key, "downlink-");
	const char *name = uplink != NULL ? uplink : downlink != NULL ? downlink : key;
	const struct key *found = find_key(name);
	int ret = 0;

	if (found == NULL || (name != key && !found->per_direction))
		return refuse(why, "no such key: %s", key);
	if (!found->per_direction)
		ret = parse_value(found->type, value, folder, (uint8_t *)p + found->offset);
	if (ret == 0 && found->per_direction && downlink == NULL)
		ret = set_direction(&p->direction[UPLINK], found, value, folder);
	if (ret == 0 && found->per_direction && uplink == NULL)
		ret = set_direction(&p->direction[DOWNLINK], found, value, folder);
	if (ret < 0)
		return refuse(why, "%s: cannot be \"%s\"", key, value);
	return 0;
}

/* Cuts the comment and the blanks at both ends. */
static char *trim(char *text)
{
	char *end = strchr(text, '#');

	if (end == NULL)
		end = text + strlen(text);
	while (end > text && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	*end = '\0';
	return text + strspn(text, " \t");
}

static int profile_line(struct profile *p, char *line, const char *folder, char *why)
{
	char *key = trim(line);
	char *colon = strchr(key, ':');

	if (*key == '\0')
		return 0;
	if (colon == NULL)
		return refuse(why, "not a `key: value` line");
	*colon = '\0';
	return profile_set(p, trim(key), trim(colon + 1), folder, why);
}

static int profile_read(struct profile *p, FILE *file, const char *path, char *why)
{
	char *copy = strdup(path), *line = NULL;
	const char *folder = copy != NULL ? dirname(copy) : NULL;
	char what[WHY_MAX];
	size_t room = 0;
	unsigned int n = 0;
	int ret = copy != NULL ? 0 : -ENOMEM;

	while (ret == 0 && getline(&line, &room, file) >= 0) {
		n++;
		ret = profile_line(p, line, folder, what);
		if (ret < 0)
			(void)refuse(why, "%.120s:%u: %.120s", path, n, what);
	}
	free(line);
	free(copy);
	return ret;
}

static int profile_open(const char *path, FILE **ret_file)
{
	*ret_file = fopen(path, "re");
	return *ret_file != NULL ? 0 : -errno;
}

int profile_load(struct profile *p, const char *name, const char *folder, char *why)
{
	const char *path = name;
	char *found = NULL;
	FILE *file;
	int ret = profile_open(path, &file);

	if (ret < 0 && strchr(name, '/') == NULL) {
		if (asprintf(&found, "%s/%s.profile", folder, name) < 0)
			return -ENOMEM;
		path = found;
		ret = profile_open(path, &file);
	}
	if (ret < 0) {
		(void)refuse(why, "%.200s: %s", path, strerror(-ret));
	} else {
		ret = profile_read(p, file, path, why);
		(void)fclose(file);
	}
	free(found);
	return ret;
}

static int check_outages(const struct outages *o, char *why)
{
	if (o->period_ns > 0 && o->n == 0)
		return refuse(why, "outage-period needs an outage");
	if (o->period_ns > 0 && o->list[o->n - 1].to_ns >= o->period_ns)
		return refuse(why, "the last outage must end before the outage-period does");
	return 0;
}

int profile_check(const struct profile *p, char *why)
{
	static const char *const names[N_DIRECTIONS] = {"uplink", "downlink"};

	for (int i = 0; i < N_DIRECTIONS; i++) {
		const struct profile_direction *d = &p->direction[i];

		if (d->rate_bps == 0 && d->trace[0] == '\0')
			return refuse(why, "%s-rate or %s-trace is missing", names[i], names[i]);
		if (d->ceiling_bps > 0 && d->ceiling_bps < d->floor_bps)
			return refuse(why, "%s-rate-ceiling is below the floor", names[i]);
	}
	if (p->radio.promotion_ns > 0 && p->radio.idle_ns == 0)
		return refuse(why, "rrc-delay needs rrc-idle");
	if (p->fading.dead_every_ns > 0 && p->fading.dead_ns == 0)
		return refuse(why, "dead-spot-every needs dead-spot-length");
	return check_outages(&p->outages, why);
}

int profile_capacity(const struct profile *p, enum direction direction, uint64_t seed, char *why,
	struct capacity **ret_capacity)
{
	const struct profile_direction *d = &p->direction[direction];
	struct fading fading = p->fading;
	int ret;

	if (d->trace[0] != '\0')
		return capacity_load(d->trace, p->loop, why, ret_capacity);
	if (!(fading.sigma_db > 0) && fading.dead_every_ns == 0) {
		ret = capacity_fixed(d->rate_bps, ret_capacity);
	} else {
		fading.median_bps = d->rate_bps;
		fading.floor_bps = d->floor_bps;
		fading.ceiling_bps = d->ceiling_bps;
		ret = fading_create(&fading, seed, ret_capacity);
	}
	if (ret < 0)
		(void)refuse(why, "no capacity from these figures: %s", strerror(-ret));
	return ret;
}

struct link_config profile_link(const struct profile *p, enum direction direction)
{
	const struct profile_direction *d = &p->direction[direction];

	return (struct link_config){
		.direction = direction,
		.mtu = (uint32_t)p->mtu,
		.loss_ppm = d->loss_ppm,
		.buffer_octets = d->buffer_octets,
		.buffer_ns = d->buffer_ns,
		.delay_ns = d->delay_ns,
		.jitter_ns = d->jitter_ns,
	};
}
