/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that lead in: those of the configuration, then those that devices have asked for. */
#include "telemetry_private.h"

#include <weir/base/clock.h>
#include <weir/packet/meta.h>

#include <stdio.h>

static const char *protocol_name(uint8_t proto)
{
	if (proto == PROTO_TCP)
		return "tcp";
	return proto == PROTO_UDP ? "udp" : "any";
}

/* "8443" or "8000-8009". */
static void ports_field(struct text *part, const char *key, uint32_t min, uint32_t n_more)
{
	char text[16];

	if (n_more == 0)
		(void)snprintf(text, sizeof(text), "%u", min);
	else
		(void)snprintf(text, sizeof(text), "%u-%u", min, min + n_more);
	text_field_string(part, key, text);
}

static void forward_row(struct listing *l, const struct nat_forward *f, struct text *part)
{
	uint32_t n_more = (uint32_t)f->port_max - f->port_min;
	char address[IP_PREFIX_TEXT_MAX];

	listing_row(l, part);
	text_field_string(part, "protocol", protocol_name(f->proto));
	if (f->is_dmz)
		text_field_string(part, "port", "all others");
	else
		ports_field(part, "port", f->port_min, n_more);
	text_field_string(part, "to", ip_addr_format(&f->internal, address));
	if (!f->is_dmz)
		ports_field(part, "to_port", f->internal_port, n_more);
	text_field_string(
		part, "source", f->has_source ? ip_prefix_format(&f->source, address) : "any");
	text_field_string(part, "by", f->is_dmz ? "nat.dmz" : "forwards");
	text_close(part, '}');
}

/* Whom a lease lets in: "any", one, or how many. */
static void source_field(struct text *part, const struct nat_pin *pin)
{
	char text[IP_PREFIX_TEXT_MAX];

	if (pin->is_open)
		(void)snprintf(text, sizeof(text), "any");
	else if (pin->n_peers == 1)
		ip_prefix_format(&pin->peers[0].remote, text);
	else
		(void)snprintf(text, sizeof(text), "%u networks", pin->n_peers);
	text_field_string(part, "source", text);
}

static void lease_row(struct listing *l, const struct lease *lease, struct text *part)
{
	uint64_t left_us = lease->expires_us > l->now_us ? lease->expires_us - l->now_us : 0;

	listing_row(l, part);
	text_field_string(part, "protocol", protocol_name(lease->proto));
	ports_field(part, "port", lease->external_port, 0);
	text_field_addr(part, "to", &lease->internal);
	ports_field(part, "to_port", lease->internal_port, 0);
	source_field(part, &lease->pin);
	text_field_string(part, "by", lease->is_peer ? "pcp peer" : "pcp");
	text_field_mac(part, "device_mac", &lease->mac);
	text_field_u64(part, "left_us", left_us);
	text_close(part, '}');
}

static uint32_t n_forwards(const struct listing *l)
{
	return doors_config(l->telemetry->path)->forwards.n;
}

static void forwards_open(struct listing *l, struct text *part)
{
	const struct nat_forwards *forwards = &doors_config(l->telemetry->path)->forwards;

	listing_head(l, part);
	for (uint32_t i = 0; i < forwards->n && l->n_rows < l->limit; i++)
		forward_row(l, &forwards->rows[i], part);
	l->opened = true;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): one type with the listings that can fail */
int forwards_next(struct server_answer *a, struct text *part, char *error)
{
	struct listing *l = listing_of(a);
	uint32_t n = doors_leases_read(
		l->telemetry->path, (uint16_t)l->next_device, l->leases, FLOWS_A_PIECE);

	(void)error; /* nothing here can fail */
	if (!l->opened)
		forwards_open(l, part);
	for (uint32_t i = 0; i < n && l->n_rows < l->limit; i++)
		if (l->leases[i].in_use)
			lease_row(l, &l->leases[i], part);
	l->next_device += n;
	if (n > 0 && l->n_rows < l->limit)
		return 1;
	doors_stats_read(l->telemetry->path, &l->telemetry->stats);
	listing_tail(l, part, n_forwards(l) + l->telemetry->stats.n_leases);
	return 0;
}
