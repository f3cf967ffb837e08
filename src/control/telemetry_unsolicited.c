/* SPDX-License-Identifier: BSD-3-Clause */
/* What came for nobody, and from whom. */
#include "telemetry_private.h"

#include <weir/packet/meta.h>

#include <arpa/inet.h>
#include <stdio.h>

#define SHOWN_A_LIST 10 /* unless all are asked for */

void unsolicited_fields(const struct telemetry *t, uint32_t plan_id, struct text *part)
{
	struct unsolicited_view v;

	if (t->unsolicited == NULL || !unsolicited_read(t->unsolicited, plan_id, &v))
		return;
	text_field_u64(part, "unsolicited_octets", v.used_octets);
	text_field_u64(part, "unsolicited_hour_octets", v.hour_octets);
	text_field_u64(part, "unsolicited_forecast_octets", v.forecast_octets);
	if (v.alarm_octets > 0)
		text_field_u64(part, "unsolicited_alarm_octets", v.alarm_octets);
	text_field_bool(part, "unsolicited_alarm", v.is_alarmed);
	text_field_u64(part, "unsolicited_alarms", v.n_alarms);
	if (v.has_sender) {
		text_field_addr(part, "unsolicited_sender", &v.sender);
		text_field_u64(part, "unsolicited_sender_octets", v.sender_octets);
	}
}

typedef void name_write(uint64_t key, struct text *part);

static void sender_write(uint64_t key, struct text *part)
{
	struct ip_addr addr = ip_addr_v4(htonl((uint32_t)key));

	text_field_addr(part, "what", &addr);
}

static void network_write(uint64_t key, struct text *part)
{
	struct ip_prefix prefix = {.addr = ip_addr_v4(htonl((uint32_t)key)), .len_bits = 24};
	char words[IP_PREFIX_TEXT_MAX];

	text_field_string(part, "what", ip_prefix_format(&prefix, words));
}

static void target_write(uint64_t key, struct text *part)
{
	unsigned int proto = (unsigned int)(key >> 16);
	unsigned int port = (unsigned int)(key & UINT16_MAX);
	char words[sizeof("protocol 255")];

	if (proto == PROTO_TCP || proto == PROTO_UDP)
		(void)snprintf(words, sizeof(words), "%s/%u", proto == PROTO_TCP ? "tcp" : "udp",
			port & UINT16_MAX);
	else if (proto == PROTO_ICMP)
		(void)snprintf(words, sizeof(words), "icmp/%u", port & UINT8_MAX);
	else
		(void)snprintf(words, sizeof(words), "protocol %u", proto & UINT8_MAX);
	text_field_string(part, "what", words);
}

struct list {
	const char *port;
	const char *by;
	const struct top *top;
	name_write *write;
};

/* Returns how many there are. */
static uint64_t list_write(struct listing *l, const struct list *list, struct text *part)
{
	for (uint64_t i = 0; i < list->top->n && l->n_rows < l->limit; i++) {
		const struct top_entry *e = &list->top->entries[i];

		if (i == SHOWN_A_LIST && !l->all)
			break;
		listing_row(l, part);
		text_field_string(part, "port", list->port);
		text_field_string(part, "by", list->by);
		if (e->key == UNSOLICITED_KEY_MALFORMED)
			text_field_string(part, "what", "malformed");
		else
			list->write(e->key, part);
		text_field_u64(part, "packets", e->packets);
		text_field_u64(part, "octets", e->octets);
		text_field_u64(part, "least_octets", e->octets - e->over);
		text_close(part, '}');
	}
	return list->top->n;
}

void unsolicited_write(struct listing *l, struct text *part)
{
	const struct telemetry *t = l->telemetry;
	const struct path_config *config = doors_config(t->path);
	struct unsolicited_lists *lists = &l->telemetry->unsolicited_lists;
	uint64_t n_total = 0;

	listing_head(l, part);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		const char *port = config->ports[i].name;

		if (config->ports[i].role != PORT_UPLINK)
			continue;
		doors_unsolicited_read(t->path, (uint8_t)i, lists);
		n_total += list_write(
			l, &(struct list){port, "sender", &lists->senders, sender_write}, part);
		n_total += list_write(
			l, &(struct list){port, "network", &lists->networks, network_write}, part);
		n_total += list_write(
			l, &(struct list){port, "target", &lists->targets, target_write}, part);
	}
	listing_tail(l, part, n_total);
}
