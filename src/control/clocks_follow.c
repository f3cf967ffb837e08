/* SPDX-License-Identifier: BSD-3-Clause */
/* What clocks ask of the path: devices, the uplinks' edges, and what the plans leave. */
#include "clocks_private.h"

#include <weir/base/clock.h>

#include <string.h>

#define FOLLOW_US (10 * US_PER_S)
#define MTU_MAX   1500 /* less than one packet is nothing */

static void hear_devices(struct clocks *k, const struct path *path)
{
	const struct path_config *pc = doors_config(path);
	uint32_t first = 0;
	uint32_t n = DEVICES_BATCH;

	while (n == DEVICES_BATCH && first < DEVICE_NONE) {
		n = doors_devices_read(path, (uint16_t)first, k->devices, DEVICES_BATCH);
		for (uint32_t i = 0; i < n; i++)
			if (k->devices[i].in_use && k->devices[i].port < pc->n_ports)
				clocks_hear(k, pc->ports[k->devices[i].port].name, &k->devices[i]);
		first += n;
	}
}

/* Nothing is left of a plan for whom this account pays. */
static bool is_spent(const struct path *path, uint8_t plan_id, uint8_t account)
{
	struct meter m;

	if (plan_id == PLAN_NONE)
		return false;
	doors_meter_read(path, plan_id, &m);
	return meter_left(&m, ACCOUNT_GENERAL) < MTU_MAX
	       && (account == ACCOUNT_GENERAL || meter_left(&m, account) < MTU_MAX);
}

/* True when every uplink that is up has a plan, and none of them leaves anything. */
static bool is_stopped(
	const struct path *path, struct port *const ports[PORTS_MAX], uint8_t class_id)
{
	const struct path_config *pc = doors_config(path);
	uint32_t n_up = 0;

	for (uint32_t i = 0; i < pc->n_ports; i++) {
		if (pc->ports[i].role != PORT_UPLINK || !port_is_up(ports[i]))
			continue;
		if (!is_spent(path, pc->ports[i].plan_id, pc->accounts[class_id]))
			return false;
		n_up++;
	}
	return n_up > 0;
}

static void ask_plans(struct clocks *k, const struct path *path,
	struct port *const ports[PORTS_MAX], int64_t now_us)
{
	const struct path_config *pc = doors_config(path);

	for (uint8_t id = CLASSES_BUILT_IN; id < CLASSES_MAX; id++) {
		const char *name = classes_name(pc->classes, id);

		if (clock_rule_of(k, name) != NULL && is_stopped(path, ports, id))
			clocks_stopped(k, name, now_us);
	}
}

static struct clocks_site site_of(
	struct clocks *k, const struct path *path, struct port *const ports[PORTS_MAX])
{
	const struct path_config *pc = doors_config(path);
	struct clocks_site site = {0};

	doors_stats_read(path, &k->stats);
	for (uint32_t i = 0; i < pc->n_ports; i++) {
		if (pc->ports[i].role != PORT_UPLINK)
			continue;
		site.has_link |= port_is_up(ports[i]);
		site.n_up_packets += k->stats.edge_packets[i][UPLINK];
		site.n_down_packets += k->stats.edge_packets[i][DOWNLINK];
	}
	return site;
}

void clocks_follow(struct clocks *k, const struct path *path, struct port *const ports[PORTS_MAX],
	uint64_t now_us)
{
	struct clocks_site site;

	if (k->n_rules == 0 || now_us < k->follow_us)
		return;
	k->follow_us = now_us + FOLLOW_US;
	hear_devices(k, path);
	ask_plans(k, path, ports, (int64_t)now_us);
	site = site_of(k, path, ports);
	clocks_judge(k, &site, (int64_t)now_us);
}
