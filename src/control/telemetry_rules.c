/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules in their order, and how many flows each has decided. */
#include "telemetry_private.h"

#include <stdio.h>
#include <string.h>

#define MATCHES_MAX 320

static const char *way_text(uint8_t ways)
{
	static const char *const texts[1 << N_POLICY_WAYS] = {
		[0] = "any",
		[1 << POLICY_LAN_TO_UPLINK] = "lan to uplink",
		[1 << POLICY_UPLINK_TO_LAN] = "uplink to lan",
		[1 << POLICY_LAN_TO_LAN] = "lan to lan",
		[1 << POLICY_LAN_TO_UPLINK | 1 << POLICY_UPLINK_TO_LAN] = "lan or uplink to other",
		[1 << POLICY_LAN_TO_UPLINK | 1 << POLICY_LAN_TO_LAN] = "from lan",
		[1 << POLICY_UPLINK_TO_LAN | 1 << POLICY_LAN_TO_LAN] = "to lan",
		[(1 << N_POLICY_WAYS) - 1] = "any",
	};

	return texts[ways & ((1 << N_POLICY_WAYS) - 1)];
}

__attribute__((format(printf, 2, 3))) static void add(char *text, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	if (len > 0 && len + 1 < MATCHES_MAX)
		text[len++] = ' ';
	va_start(args, format);
	(void)vsnprintf(text + len, MATCHES_MAX - len, format, args);
	va_end(args);
}

static void add_port(const struct policy_rule *r, char *text)
{
	if (r->port_min == 0 && r->port_max == UINT16_MAX)
		return;
	if (r->port_min == r->port_max)
		add(text, "port=%u", r->port_min);
	else
		add(text, "port=%u-%u", r->port_min, r->port_max);
}

static void add_device(const struct path_config *c, const struct policy_rule *r, char *text)
{
	char mac[MAC_ADDR_TEXT_MAX];
	char prefix[IP_PREFIX_TEXT_MAX];

	if (r->has_mac)
		add(text, "device=%s", mac_addr_format(&r->mac, mac));
	if (r->has_device)
		add(text, "device=%s", ip_prefix_format(&r->device, prefix));
	if (r->groups != 0)
		add(text, "group=%s",
			c->groups == NULL
				? "quarantine"
				: groups_name(c->groups, (uint32_t)__builtin_ctzll(r->groups)));
}

/* "protocol=6 destination=203.0.113.0/24 port=443": in the words of the configuration. */
static void matches_write(const struct path_config *c, const struct policy_rule *r, char *text)
{
	char prefix[IP_PREFIX_TEXT_MAX];

	text[0] = '\0';
	if (r->proto != 0)
		add(text, "protocol=%u", r->proto);
	add_device(c, r, text);
	if (r->has_source)
		add(text, "source=%s", ip_prefix_format(&r->source, prefix));
	if (r->has_destination)
		add(text, "destination=%s", ip_prefix_format(&r->destination, prefix));
	add_port(r, text);
	if (r->has_class)
		add(text, "class=%s", classes_name(c->classes, r->class_id));
	if (text[0] == '\0')
		add(text, "all");
}

static void rule_row(struct listing *l, uint32_t id, uint64_t n_flows, struct text *part)
{
	static const char *const actions[] = {
		[POLICY_ALLOW] = "allow", [POLICY_DROP] = "drop", [POLICY_REJECT] = "reject"};
	const struct path_config *c = doors_config(l->telemetry->path);
	const struct policy_rule *r = ruleset_rule(c->rules, id);
	char matches[MATCHES_MAX];
	char number[16];

	matches_write(c, r, matches);
	(void)snprintf(number, sizeof(number), "%u", id + 1);
	listing_row(l, part);
	text_field_string(part, "rule", number);
	text_field_string(part, "action", actions[r->action]);
	text_field_string(part, "way", way_text(r->ways));
	text_field_string(part, "matches", matches);
	text_field_string(part, "state", r->is_idle ? "idle" : "holds");
	text_field_string(part, "log", r->is_logged ? "yes" : "no");
	text_field_u64(part, "flows", n_flows);
	text_close(part, '}');
}

void rules_write(struct listing *l, struct text *part)
{
	const struct path_config *c = doors_config(l->telemetry->path);
	uint32_t n_rules = ruleset_n_rules(c->rules);
	uint64_t hits[POLICY_RULE_DEFAULT + 1];

	doors_rule_hits_read(l->telemetry->path, hits);
	listing_head(l, part);
	for (uint32_t i = 0; i < n_rules && l->n_rows < l->limit; i++)
		rule_row(l, i, hits[i], part);
	if (l->n_rows < l->limit) {
		listing_row(l, part);
		text_field_string(part, "rule", "none");
		text_field_string(part, "action", "default");
		text_field_string(part, "way", "any");
		text_field_string(part, "matches", "what no rule matches");
		text_field_string(part, "state", "holds");
		text_field_string(part, "log", "no");
		text_field_u64(part, "flows", hits[POLICY_RULE_DEFAULT]);
		text_close(part, '}');
	}
	listing_tail(l, part, n_rules + 1);
}
