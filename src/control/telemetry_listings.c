/* SPDX-License-Identifier: BSD-3-Clause */
/* The views that are made piece by piece: flows, and what is summed over them. */
#include "telemetry_private.h"

#include <weir/flow/tcp_track.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Reads of flows that one piece may take when they give no rows. */
#define READS_A_PIECE 16

static const char *port_name(const struct path_config *config, uint8_t id)
{
	return id < config->n_ports ? config->ports[id].name : "?";
}

int flows_read(struct listing *l, char *error)
{
	int n = doors_flows_read(l->telemetry->path, &l->cursor, l->flows, FLOWS_A_PIECE);

	if (n < 0)
		(void)snprintf(error, SERVER_ERROR_MAX, "the packet path did not answer: %s",
			strerror(-n));
	return n;
}

static void flow_protocol(struct text *part, uint8_t proto)
{
	char number[4];

	switch (proto) {
	case IPPROTO_TCP:
		text_field_string(part, "protocol", "tcp");
		break;
	case IPPROTO_UDP:
		text_field_string(part, "protocol", "udp");
		break;
	case IPPROTO_ICMP:
		text_field_string(part, "protocol", "icmp");
		break;
	default:
		(void)snprintf(number, sizeof(number), "%u", proto);
		text_field_string(part, "protocol", number);
		break;
	}
}

static const char *flow_state(const struct flow_record *r)
{
	if (r->proto == IPPROTO_TCP)
		return tcp_state_name(r->state);
	return r->packet_delta_count[DOWNLINK] > 0 ? "two-way" : "one-way";
}

void flow_row(struct listing *l, const struct path_config *config, const struct flow_view *v,
	struct text *part)
{
	const struct flow_record *r = &v->record;
	uint64_t packets[N_DIRECTIONS] = {
		r->packet_delta_count[UPLINK], r->packet_delta_count[DOWNLINK]};
	const char *name =
		device_names_host(l->telemetry->device_names, &r->internal, &r->device_mac);
	const char *remote_name = remote_names_find(l->telemetry->remote_names, r);

	listing_row(l, part);
	text_field_u64(part, "id", r->flow_id);
	flow_protocol(part, r->proto);
	text_field_addr(part, "internal_address", &r->internal);
	text_field_u64(part, "internal_port", r->internal_port);
	text_field_addr(part, "external_address", &r->external);
	text_field_u64(part, "external_port", r->external_port);
	text_field_addr(part, "remote_address", &r->remote);
	text_field_u64(part, "remote_port", r->remote_port);
	text_field_string(part, "state", flow_state(r));
	usage_fields(part, r->octet_delta_count, packets);
	text_field_u64(part, "age_us", l->now_us > r->start_us ? l->now_us - r->start_us : 0);
	text_field_u64(part, "idle_us", v->idle_us);
	text_field_u64(part, "timeout_us", v->timeout_us);
	text_field_string(part, "class", classes_name(config->classes, r->class_id));
	text_field_mac(part, "device_mac", &r->device_mac);
	if (name != NULL)
		text_field_string(part, "name", name);
	if (remote_name != NULL)
		text_field_string(part, "remote_name", remote_name);
	text_field_string(part, "lan_port", port_name(config, r->lan_port));
	text_field_string(part, "wan_port", port_name(config, r->wan_port));
	text_close(part, '}');
}

/* Writes the rows of the next flows that pass the filter. Returns 1 when there are more to look at, 0 or a negative errno. */
static int flows_rows(struct listing *l, struct text *part, char *error)
{
	const struct path_config *config = doors_config(l->telemetry->path);
	int n;

	if (l->cursor == FLOW_NONE || l->n_rows == l->limit)
		return 0;
	n = flows_read(l, error);
	if (n < 0)
		return n;
	for (int i = 0; i < n && l->n_rows < l->limit; i++) {
		if (!l->has_device || ip_addr_equal(&l->flows[i].record.internal, &l->device))
			flow_row(l, config, &l->flows[i], part);
	}
	return 1;
}

int flows_next(struct server_answer *a, struct text *part, char *error)
{
	struct listing *l = listing_of(a);
	uint64_t n_rows_before = l->n_rows;
	int more = 1;

	if (!l->opened)
		listing_head(l, part);
	l->opened = true;
	if (l->n_busiest > 0)
		more = busiest_next(l, part, error);
	for (int i = 0;
		i < READS_A_PIECE && more == 1 && l->n_busiest == 0 && l->n_rows == n_rows_before;
		i++)
		more = flows_rows(l, part, error);
	if (more != 0)
		return more;
	doors_stats_read(l->telemetry->path, &l->telemetry->stats);
	listing_tail(l, part, l->telemetry->stats.n_flows);
	return 0;
}

static void sum_unreported(struct usage_sum *sum, const struct flow_view *v)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		sum->octets[d] += v->unreported_octets[d];
		sum->packets[d] += v->unreported_packets[d];
	}
	sum->n_flows++;
}

/* Adds the next live flows to the sums. Returns 1, or a negative errno; l->summed tells the end. */
static int flows_sum(struct listing *l, char *error)
{
	for (int reads = 0; reads < READS_A_PIECE && l->cursor != FLOW_NONE; reads++) {
		int n = flows_read(l, error);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			sum_unreported(&l->sums[l->flows[i].record.class_id], &l->flows[i]);
	}
	l->summed = l->cursor == FLOW_NONE;
	return 1;
}

static const char *plan_name(const struct telemetry *t, uint32_t id)
{
	return t->names.plans[id];
}

/* A device's own quota: under the plan where it stands worst, and of each. */
static void quota_fields(const struct telemetry *t, const struct path_config *config,
	const struct device *d, struct text *part)
{
	struct share_view shares[PLANS_MAX];
	uint32_t worst = 0;

	for (uint32_t i = 0; i < config->n_plans; i++) {
		shares[i] = doors_share_of_device(t->path, (uint8_t)i, d);
		if (shares[i].action > shares[worst].action
			|| (shares[i].action == shares[worst].action
				&& shares[i].used_octets > shares[worst].used_octets))
			worst = i;
	}
	if (config->n_plans == 0 || shares[worst].quota >= config->n_quotas)
		return;
	text_field_string(part, "quota", config->quotas[shares[worst].quota].name);
	text_field_bool(part, "quota_shared", config->quotas[shares[worst].quota].is_shared);
	text_field_u64(part, "quota_octets", shares[worst].quota_octets);
	text_field_u64(part, "quota_used_octets", shares[worst].used_octets);
	text_field_string(part, "step", budget_action_name(shares[worst].action));
	if (d->ceiling_bps != 0)
		text_field_u64(part, "ceiling_bps", d->ceiling_bps);
	text_open(part, "plans", '[');
	for (uint32_t i = 0; i < config->n_plans; i++) {
		text_open(part, NULL, '{');
		text_field_string(part, "plan", plan_name(t, i));
		text_field_u64(part, "used_octets", shares[i].used_octets);
		text_field_string(part, "step", budget_action_name(shares[i].action));
		text_close(part, '}');
	}
	text_close(part, ']');
}

static void device_name_fields(const struct telemetry *t, const struct ip_addr *addr,
	const struct mac_addr *mac, struct text *part)
{
	const char *name = device_names_host(t->device_names, addr, mac);
	const char *vendor = device_names_vendor(t->device_names, mac);

	if (name != NULL)
		text_field_string(part, "name", name);
	if (vendor != NULL)
		text_field_string(part, "vendor", vendor);
}

static void device_row(struct listing *l, const struct path_config *config, const struct device *d,
	struct text *part)
{
	listing_row(l, part);
	text_field_addr(part, "address", &d->addr);
	text_field_mac(part, "mac", &d->mac);
	device_name_fields(l->telemetry, &d->addr, &d->mac, part);
	text_field_string(part, "port", port_name(config, d->port));
	text_field_u64(part, "flows", d->n_flows);
	usage_fields(part, d->octets, d->packets);
	quota_fields(l->telemetry, config, d, part);
	text_field_u64(
		part, "first_seen_ago_us", l->now_us > d->first_us ? l->now_us - d->first_us : 0);
	text_field_u64(
		part, "last_seen_ago_us", l->now_us > d->last_us ? l->now_us - d->last_us : 0);
	text_close(part, '}');
}

/* NOLINTNEXTLINE(readability-non-const-parameter): one type with the listings that can fail */
int devices_next(struct server_answer *a, struct text *part, char *error)
{
	struct listing *l = listing_of(a);
	const struct path_config *config = doors_config(l->telemetry->path);
	uint32_t n;

	(void)error; /* nothing here can fail */
	if (!l->opened)
		listing_head(l, part);
	l->opened = true;
	n = l->next_device >= DEVICE_NONE
		    ? 0
		    : doors_devices_read(l->telemetry->path, (uint16_t)l->next_device, l->devices,
			    FLOWS_A_PIECE);
	for (uint32_t i = 0; i < n && l->n_rows < l->limit; i++) {
		const struct device *d = &l->devices[i];

		if (d->in_use && (!l->has_device || ip_addr_equal(&d->addr, &l->device)))
			device_row(l, config, d, part);
	}
	l->next_device += n;
	if (n > 0 && l->n_rows < l->limit)
		return 1;
	doors_stats_read(l->telemetry->path, &l->telemetry->stats);
	listing_tail(l, part, l->telemetry->stats.n_devices);
	return 0;
}

/* What weir has probed links with. */
static void sum_probes(const struct telemetry *t, struct usage_sum *sum)
{
	struct link_stats link;

	for (uint32_t i = 0; i < doors_config(t->path)->n_ports; i++) {
		if (!doors_link_read(t->path, (uint8_t)i, &link))
			continue;
		for (int d = 0; d < N_DIRECTIONS; d++) {
			sum->octets[d] += link.probe_octets[d];
			sum->packets[d] += link.probe_packets[d];
		}
	}
}

/* A probe that is just leaving is counted before it crosses the edge. */
static void take_off(uint64_t *sum, uint64_t part)
{
	*sum -= part < *sum ? part : *sum;
}

static void class_row(
	struct listing *l, const char *name, const struct usage_sum *sum, struct text *part)
{
	listing_row(l, part);
	text_field_string(part, "name", name);
	text_field_u64(part, "flows", sum->n_flows);
	text_field_u64(part, "flows_ended", sum->n_flows_ended);
	usage_fields(part, sum->octets, sum->packets);
	text_close(part, '}');
}

/* What came for no flow is a class of its own, with what weir itself has answered. */
static void sum_unsolicited(struct telemetry *t, struct usage_sum *sum)
{
	doors_stats_read(t->path, &t->stats);
	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		sum->octets[DOWNLINK] += t->stats.unsolicited_octets[i];
		sum->packets[DOWNLINK] += t->stats.unsolicited_packets[i];
		sum->octets[UPLINK] += t->stats.unattributed_octets[i][UPLINK];
		sum->packets[UPLINK] += t->stats.unattributed_packets[i][UPLINK];
	}
}

int classes_next(struct server_answer *a, struct text *part, char *error)
{
	struct listing *l = listing_of(a);
	struct telemetry *t = l->telemetry;
	uint32_t n_total = 0;
	struct usage_sum probes = {0};

	if (!l->opened) /* before the walk: a flow that reports during it is not counted twice */
		memcpy(l->sums, t->classes, sizeof(t->classes));
	l->opened = true;
	if (!l->summed)
		return flows_sum(l, error);
	sum_unsolicited(t, &l->sums[CLASS_UNSOLICITED]);
	sum_probes(t, &probes);
	take_off(&l->sums[CLASS_UNSOLICITED].octets[UPLINK], probes.octets[UPLINK]);
	take_off(&l->sums[CLASS_UNSOLICITED].packets[UPLINK], probes.packets[UPLINK]);
	listing_head(l, part);
	for (uint32_t id = 0; id < CLASS_IDS && t->class_names[id][0] != '\0'; id++) {
		n_total++;
		if (l->n_rows == l->limit)
			continue;
		class_row(l, t->class_names[id], &l->sums[id], part);
	}
	if (probes.packets[UPLINK] > 0) {
		n_total++;
		if (l->n_rows < l->limit)
			class_row(l, BUDGET_PROBES_CLASS, &probes, part);
	}
	listing_tail(l, part, n_total);
	return 0;
}
