/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_report.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define CAPACITY_STEP_NS (10 * NS_PER_MS)

static const char *const direction_names[N_DIRECTIONS] = {"uplink", "downlink"};

static double ms(uint64_t ns)
{
	return (double)ns / (double)NS_PER_MS;
}

static double us(uint64_t ns)
{
	return (double)ns / (double)NS_PER_US;
}

uint64_t report_delivered_bps(const struct link_stats *s)
{
	double bits = (double)s->fate[LINK_CARRIED].octets * 8;

	if (s->first_ns == TIME_NEVER || s->last_ns <= s->first_ns)
		return 0;
	return (uint64_t)(bits * (double)NS_PER_S / (double)(s->last_ns - s->first_ns));
}

static struct link_count dropped(const struct link_stats *s)
{
	struct link_count sum = {0};

	for (int v = LINK_CARRIED + 1; v < N_LINK_VERDICTS; v++) {
		sum.packets += s->fate[v].packets;
		sum.octets += s->fate[v].octets;
	}
	return sum;
}

static void text_count(FILE *out, const char *name, struct link_count count)
{
	(void)fprintf(out, "  %-18s %12llu packets %15llu octets\n", name,
		(unsigned long long)count.packets, (unsigned long long)count.octets);
}

static void text_times(FILE *out, const char *name, const struct histogram *h)
{
	if (h->n == 0)
		return;
	(void)fprintf(out,
		"  %-18s min %.3f  mean %.3f  p50 %.3f  p95 %.3f  p99 %.3f  max %.3f ms\n", name,
		ms(h->min_ns), ms(histogram_mean(h)), ms(histogram_percentile(h, 500000)),
		ms(histogram_percentile(h, 950000)), ms(histogram_percentile(h, 990000)),
		ms(h->max_ns));
}

static void text_direction(const struct report_direction *d, const char *name, FILE *out)
{
	const struct link_stats *s = d->stats;
	char label[32];

	(void)fprintf(out, "%s\n", name);
	text_count(out, "offered", s->offered);
	text_count(out, "delivered", s->fate[LINK_CARRIED]);
	text_count(out, "dropped", dropped(s));
	for (int v = LINK_CARRIED + 1; v < N_LINK_VERDICTS; v++) {
		if (s->fate[v].packets == 0)
			continue;
		(void)snprintf(
			label, sizeof(label), "  %s", link_verdict_name((enum link_verdict)v));
		text_count(out, label, s->fate[v]);
	}
	text_count(out, "queued", d->queued);
	if (d->tun_dropped > 0)
		(void)fprintf(out, "  %-18s %12llu packets never seen: cellink was too slow\n",
			"lost before", (unsigned long long)d->tun_dropped);
	(void)fprintf(out, "  %-18s %.3f Mbit/s\n", "delivered rate",
		(double)report_delivered_bps(s) / 1e6);
	(void)fprintf(out, "  %-18s %llu octets at most\n", "buffer",
		(unsigned long long)s->max_backlog_octets);
	text_times(out, "queueing delay", &s->queue);
	text_times(out, "handed over late", d->late);
}

void report_write_text(const struct report *r, FILE *out)
{
	(void)fprintf(out, "cellink: profile %s, seed %llu, %.3f s, %llu promotions%s\n",
		r->profile, (unsigned long long)r->seed, (double)r->elapsed_ns / (double)NS_PER_S,
		(unsigned long long)r->n_promotions, r->realtime ? "" : ", no real-time priority");
	for (int i = 0; i < N_DIRECTIONS; i++)
		text_direction(&r->direction[i], direction_names[i], out);
	(void)fflush(out);
}

static json_t *json_count(struct link_count count)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)count.packets, "octets",
		(json_int_t)count.octets);
}

static json_t *json_times(const struct histogram *h)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "n", (json_int_t)h->n, "min_us",
		h->n > 0 ? us(h->min_ns) : 0.0, "mean_us", us(histogram_mean(h)), "p50_us",
		us(histogram_percentile(h, 500000)), "p95_us", us(histogram_percentile(h, 950000)),
		"p99_us", us(histogram_percentile(h, 990000)), "max_us", us(h->max_ns));
}

static json_t *json_reasons(const struct link_stats *s)
{
	json_t *reasons = json_object();

	for (int v = LINK_CARRIED + 1; v < N_LINK_VERDICTS; v++)
		(void)json_object_set_new(
			reasons, link_verdict_name((enum link_verdict)v), json_count(s->fate[v]));
	return reasons;
}

static json_t *json_direction(const struct report_direction *d)
{
	const struct link_stats *s = d->stats;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "offered",
		json_count(s->offered), "delivered", json_count(s->fate[LINK_CARRIED]), "dropped",
		json_count(dropped(s)), "dropped_by", json_reasons(s), "queued",
		json_count(d->queued), "tun_dropped_packets", (json_int_t)d->tun_dropped,
		"delivered_bps", (json_int_t)report_delivered_bps(s), "max_buffer_octets",
		(json_int_t)s->max_backlog_octets, "queueing_delay", json_times(&s->queue),
		"handed_over_late", json_times(d->late));
}

static json_t *json_report(const struct report *r)
{
	return json_pack("{s:s, s:I, s:f, s:I, s:b, s:o, s:o}", "profile", r->profile, "seed",
		(json_int_t)r->seed, "elapsed_s", (double)r->elapsed_ns / (double)NS_PER_S,
		"promotions", (json_int_t)r->n_promotions, "realtime", r->realtime ? 1 : 0,
		direction_names[UPLINK], json_direction(&r->direction[UPLINK]),
		direction_names[DOWNLINK], json_direction(&r->direction[DOWNLINK]));
}

/* Takes `root`. */
static int write_json(json_t *root, const char *path)
{
	char *fresh;
	int ret = 0;

	if (root == NULL)
		return -ENOMEM;
	if (asprintf(&fresh, "%s.new", path) < 0) {
		json_decref(root);
		return -ENOMEM;
	}
	errno = EIO;
	if (json_dump_file(root, fresh, JSON_INDENT(2)) < 0 || rename(fresh, path) < 0)
		ret = -errno;
	free(fresh);
	json_decref(root);
	return ret;
}

int report_write_json(const struct report *r, const char *path)
{
	return write_json(json_report(r), path);
}

static json_t *json_capacity(const struct report_capacity *r, int direction)
{
	const struct link_config *link = &r->link[direction];
	json_t *octets = json_array();
	double sum = 0;

	for (uint64_t now = 0; now < r->duration_ns; now += CAPACITY_STEP_NS) {
		uint64_t end = now + CAPACITY_STEP_NS;
		double step = capacity_octets(r->capacity[direction], r->outages, now,
			end < r->duration_ns ? end : r->duration_ns);

		sum += step;
		(void)json_array_append_new(octets, json_real(step));
	}
	return json_pack("{s:f, s:f, s:f, s:I, s:o}", "delay_us", us(link->delay_ns), "jitter_us",
		us(link->jitter_ns), "mean_bps",
		sum * 8 * (double)NS_PER_S / (double)r->duration_ns, "buffer_octets",
		(json_int_t)link->buffer_octets, "octets", octets);
}

int report_write_capacity(const struct report_capacity *r, const char *path)
{
	return write_json(json_pack("{s:f, s:f, s:o, s:o}", "duration_s",
				  (double)r->duration_ns / (double)NS_PER_S, "step_s",
				  (double)CAPACITY_STEP_NS / (double)NS_PER_S,
				  direction_names[UPLINK], json_capacity(r, UPLINK),
				  direction_names[DOWNLINK], json_capacity(r, DOWNLINK)),
		path);
}
