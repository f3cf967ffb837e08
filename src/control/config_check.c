/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"

#include <weir/budget/reserve.h>
#include <weir/control/apply.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ZONEINFO "/usr/share/zoneinfo"

#define PROTO_TCP 6
#define PROTO_UDP 17

bool config_has(const struct tree_node *n, const char *key)
{
	return tree_child(n, key) != NULL;
}

bool config_is_set(const struct tree_node *n, const char *key)
{
	const struct tree_node *child = tree_child(n, key);

	return child != NULL && child->is_set;
}

void config_complain(struct config_checker *k, enum config_severity severity,
	const struct tree_node *n, const char *key, const char *format, ...)
{
	const struct tree_node *child = key == NULL ? NULL : tree_child(n, key);
	const struct tree_node *at = child == NULL ? n : child;
	char text[CONFIG_MESSAGE_MAX];
	char path[TREE_PATH_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tree_path(at, path);
	config_report_add(k->report, severity, at->line, at->column, "%s%s%s", path,
		path[0] == '\0' ? "" : ": ", text);
}

/* A letter, digit or one of `more`, all along. */
static bool is_made_of(const char *text, const char *more)
{
	for (; *text != '\0'; text++) {
		if (!isalnum((unsigned char)*text) && strchr(more, *text) == NULL)
			return false;
	}
	return true;
}

void config_check_timezone(struct config_checker *k, const struct tree_node *n, const char *zone)
{
	char file[sizeof(ZONEINFO) + CONFIG_TEXT_MAX];

	if (n == NULL || !config_is_set(n, "timezone"))
		return;
	(void)snprintf(file, sizeof(file), ZONEINFO "/%s", zone);
	if (zone[0] == '/' || strstr(zone, "..") != NULL || !is_made_of(zone, "/_+-")
		|| (access(ZONEINFO, X_OK) == 0 && access(file, R_OK) != 0))
		config_complain(k, CONFIG_ERROR, n, "timezone",
			"'%.40s' is no time zone; write a name from " ZONEINFO
			", such as Europe/Berlin",
			zone);
}

void config_check_step(struct config_checker *k, const struct tree_node *n,
	const struct config_ladder_step *steps, uint32_t i)
{
	const struct config_ladder_step *s = &steps[i];

	if (i > 0 && s->at_ppm > 0 && s->at_ppm < steps[i - 1].at_ppm)
		config_complain(k, CONFIG_ERROR, n, "at",
			"below the step before it; write the steps in ascending order");
	if (!config_is_set(n, "do"))
		return;
	if (s->action == STEP_SHAPE && !config_has(n, "rate"))
		config_complain(k, CONFIG_ERROR, n, NULL, "shape has no rate; write rate: 256kbps");
	if (s->action != STEP_SHAPE && config_has(n, "rate"))
		config_complain(k, CONFIG_ERROR, n, "rate",
			"only a shape step has a rate; remove it, or write do: shape");
}

static void check_ladder(
	struct config_checker *k, const struct tree_node *plan, const struct config_plan *p)
{
	const struct tree_node *ladder = tree_child(plan, "ladder");

	if (ladder == NULL)
		return;
	if (!config_has(plan, "quota") && !p->prepaid)
		config_complain(k, CONFIG_ERROR, plan, "ladder",
			"there is no quota to climb; write quota: 500MB");
	if (config_has(plan, "when_spent"))
		config_complain(k, CONFIG_ERROR, plan, "when_spent",
			"the ladder in line %u says what happens; keep one of the two",
			ladder->line);
	for (const struct tree_node *n = ladder->first; n != NULL && n->base != NULL; n = n->next)
		config_check_step(k, n, p->ladder, n->index);
}

/* What classes own of a plan must be there. */
static void check_reserves(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p)
{
	struct reserve reserves[METER_ACCOUNTS];
	char text[RESERVE_TEXT_MAX];
	uint32_t n_reserves = 0;

	for (uint8_t a = 1; a < METER_ACCOUNTS && config_account_name(k->config, a) != NULL; a++)
		reserves[n_reserves++] = (struct reserve){.name = config_account_name(k->config, a),
			.octets = config_account_reserve(k->config, a)};
	if (reserve_check(p->quota_octets, reserves, n_reserves, text) != 0)
		config_complain(k, CONFIG_ERROR, n, "quota", "%s", text);
}

static void check_plan(struct config_checker *k, uint32_t i)
{
	const struct config_plan *p = &k->config->plans[i];
	const struct tree_node *n = k->plans[i];
	bool used = false;

	for (uint32_t j = 0; j < k->config->n_ports; j++)
		used |= strcmp(k->config->ports[j].plan, p->name) == 0;
	if (!used)
		config_complain(k, CONFIG_WARNING, n, NULL,
			"no uplink uses it; write plan: %s at the uplink that does", p->name);
	if (config_has(n, "when_spent") && !config_has(n, "quota") && !p->prepaid)
		config_complain(k, CONFIG_ERROR, n, "when_spent",
			"there is no quota to be spent; write quota: 500MB");
	config_check_timezone(k, tree_child(n, "cycle"), p->cycle_timezone);
	check_ladder(k, n, p);
	config_check_plan_counting(k, n, p);
	check_reserves(k, n, p);
}

void config_check_network(struct config_checker *k, const struct tree_node *n, const char *key,
	const struct ip_prefix *p)
{
	struct ip_prefix network = *p;
	char whole[IP_PREFIX_TEXT_MAX];
	char host[IP_ADDR_TEXT_MAX];

	if (ip_addr_is_unset(&p->addr))
		return;
	network.addr.words[3] &= ip_v4_mask(p->len_bits);
	if (ip_addr_equal(&network.addr, &p->addr))
		return;
	config_complain(k, CONFIG_ERROR, n, key,
		"an address inside a network; write %s for the network or %s for the host",
		ip_prefix_format(&network, whole), ip_addr_format(&p->addr, host));
}

void config_check_port_of(struct config_checker *k, const struct tree_node *n, uint8_t proto)
{
	static const char *const keys[] = {"port", "source_port"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (config_has(n, keys[i]) && proto != 0 && proto != PROTO_TCP
			&& proto != PROTO_UDP)
			config_complain(k, CONFIG_ERROR, n, keys[i],
				"only tcp and udp have ports; remove it, or write protocol: tcp or "
				"udp");
}

/* Ways to attach a device that are known not to work, with what happens (Azure Sphere's attestation and updates
 * need IP from the device itself). */
static const char *why_refused(enum config_attachment attachment)
{
	switch (attachment) {
	case ATTACHMENT_UART_MODEM:
		return "a modem on the device's UART carries neither its updates nor its "
		       "attestation";
	case ATTACHMENT_SERIAL_MCU:
		return "behind a second controller on I2C, SPI or UART the device cannot update or "
		       "attest";
	case ATTACHMENT_ENC28J60_EMULATION:
		return "devices lose their connection to an emulated ENC28J60 and restart";
	case ATTACHMENT_NON_FORWARDING_MODEM:
		return "a modem that does not forward IP packets leaves the device without a path";
	case ATTACHMENT_ETHERNET:
	case ATTACHMENT_WIFI:
		break;
	}
	return NULL;
}

static void check_topology(struct config_checker *k, uint32_t i)
{
	const char *why = why_refused(k->config->topology[i].attachment);

	if (why != NULL)
		config_complain(k, CONFIG_ERROR, k->topology[i], "attachment",
			"%s; attach it by ethernet or wifi to a LAN port", why);
}

static void check_sizes(struct config_checker *k, const struct tree_node *top)
{
	const struct tree_node *flows = tree_child(top, "flows");
	const struct config *c = k->config;

	if (flows != NULL && c->flows_per_device > c->flows_capacity)
		config_complain(k, CONFIG_ERROR, flows, "per_device",
			"more than there are at all; write at most %u", c->flows_capacity);
	if (c->runtime.socket[0] == '\0')
		config_complain(k, CONFIG_ERROR, tree_child(top, "runtime"), "state_dir",
			"leaves no room for the socket's name; write a shorter path, or "
			"runtime.socket");
}

void config_collect(const struct tree_node *section, const struct tree_node **nodes, uint32_t n_max)
{
	uint32_t n = 0;

	if (section == NULL)
		return;
	for (const struct tree_node *at = section->first; at != NULL && n < n_max; at = at->next) {
		if (at->base != NULL)
			nodes[n++] = at;
	}
}

void config_check(const struct tree_node *top, const struct config *c, unsigned int options,
	struct config_report *report)
{
	struct config_checker k = {.config = c, .report = report, .top = top, .options = options};

	config_collect(tree_child(top, "ports"), k.ports, PORTS_MAX);
	config_collect(tree_child(top, "plans"), k.plans, PLANS_MAX);
	config_collect(tree_child(top, "classes"), k.classes, CONFIG_CLASSES_MAX);
	config_collect(tree_child(top, "forwards"), k.forwards, NAT_FORWARDS_MAX);
	config_collect(tree_child(top, "topology"), k.topology, CONFIG_TOPOLOGY_MAX);
	config_check_ports(&k);
	config_check_addresses(&k);
	config_check_forwards(&k);
	for (uint32_t i = 0; i < c->n_plans; i++)
		check_plan(&k, i);
	config_check_classes(&k);
	config_check_policy(&k);
	config_check_quotas(&k);
	config_check_export(&k);
	for (uint32_t i = 0; i < c->n_topology; i++)
		check_topology(&k, i);
	check_sizes(&k, top);
}
