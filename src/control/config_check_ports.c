/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"

#include <weir/control/schema.h>

#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* Keys that belong to the other role. */
static void check_role(struct config_checker *k, const struct tree_node *port, enum port_role role)
{
	for (const struct tree_node *n = port->first; n != NULL; n = n->next) {
		if (n->row == NULL)
			continue;
		if (role == PORT_LAN && (n->row->flags & SCHEMA_UPLINK_ONLY) != 0)
			config_complain(k, CONFIG_ERROR, port, n->key,
				"a LAN has none; remove it, or write role: uplink");
		if (role == PORT_UPLINK && (n->row->flags & SCHEMA_LAN_ONLY) != 0)
			config_complain(k, CONFIG_ERROR, port, n->key,
				"an uplink has none; remove it, or write role: lan");
	}
}

static void check_framing(
	struct config_checker *k, const struct tree_node *n, const struct config_port *p)
{
	if (p->framing != CONFIG_FRAMING_RAW_IP)
		return;
	if (p->role == PORT_LAN && config_is_set(n, "role"))
		config_complain(k, CONFIG_ERROR, n, "framing",
			"devices on a LAN are reached by Ethernet; write ethernet or auto");
	if (p->vlan != 0)
		config_complain(k, CONFIG_ERROR, n, "vlan",
			"raw IP has no VLANs; remove it, or write framing: ethernet");
	if (p->driver == DRIVER_AF_XDP || p->driver == DRIVER_DPDK)
		config_complain(k, CONFIG_ERROR, n, "driver",
			"only rawsock takes raw IP; write rawsock or auto");
}

static void check_driver(struct config_checker *k, const struct tree_node *n,
	const struct config_port *p, enum config_device_kind kind)
{
	if (kind == DEVICE_INTERFACE && p->driver == DRIVER_DPDK)
		config_complain(k, CONFIG_ERROR, n, "driver",
			"dpdk needs a PCI address or a net_ device; for the interface '%s' write "
			"auto, "
			"rawsock or af-xdp",
			p->device);
	if (kind != DEVICE_INTERFACE && (p->driver == DRIVER_RAWSOCK || p->driver == DRIVER_AF_XDP))
		config_complain(k, CONFIG_ERROR, n, "driver",
			"needs a kernel interface; for '%.40s' write auto or dpdk", p->device);
	if (kind != DEVICE_INTERFACE && p->framing == CONFIG_FRAMING_RAW_IP)
		config_complain(k, CONFIG_ERROR, n, "framing",
			"only a kernel interface can be raw IP; write ethernet or auto");
}

/* The interface whose name is nearest to `device`, or "" where none is near. */
static void nearest_interface(const char *device, char nearest[IFNAMSIZ])
{
	struct if_nameindex *all = if_nameindex();
	uint32_t distance = UINT32_MAX;

	nearest[0] = '\0';
	if (all == NULL)
		return;
	for (const struct if_nameindex *i = all; i->if_index != 0; i++) {
		if (schema_is_nearer(device, i->if_name, &distance))
			(void)snprintf(nearest, IFNAMSIZ, "%s", i->if_name);
	}
	if_freenameindex(all);
}

static void check_interface(
	struct config_checker *k, const struct tree_node *n, const struct config_port *p)
{
	char nearest[IFNAMSIZ];

	if ((k->options & CONFIG_CHECK_INTERFACES) == 0 || if_nametoindex(p->device) != 0)
		return;
	if (p->link == LINK_CELLULAR || p->framing == CONFIG_FRAMING_RAW_IP) {
		config_complain(k, CONFIG_WARNING, n, "device",
			"there is no interface '%s' now; weir waits for it", p->device);
		return;
	}
	nearest_interface(p->device, nearest);
	if (nearest[0] != '\0')
		config_complain(k, CONFIG_ERROR, n, "device",
			"there is no interface '%s'; did you mean '%s'?", p->device, nearest);
	else
		config_complain(k, CONFIG_ERROR, n, "device",
			"there is no interface '%s'; write one that 'ip link' lists", p->device);
}

static void check_device(
	struct config_checker *k, const struct tree_node *n, const struct config_port *p)
{
	enum config_device_kind kind = config_device_kind(p->device);

	if (!config_is_set(n, "device"))
		return;
	if (kind == DEVICE_INVALID) {
		config_complain(k, CONFIG_ERROR, n, "device",
			"'%.40s' is no device; write an interface (eth1), a PCI address "
			"(0000:01:00.0) or a DPDK device (net_memif0)",
			p->device);
		return;
	}
	check_driver(k, n, p, kind);
	if (kind == DEVICE_INTERFACE)
		check_interface(k, n, p);
}

static void check_plan_exists(
	struct config_checker *k, const struct tree_node *n, const struct config_port *p)
{
	uint32_t distance = UINT32_MAX;
	const char *nearest = NULL;

	if (p->plan[0] == '\0' || p->role == PORT_LAN
		|| config_find_plan(k->config, p->plan) != PLAN_NONE)
		return;
	for (uint32_t i = 0; i < k->config->n_plans; i++) {
		if (schema_is_nearer(p->plan, k->config->plans[i].name, &distance))
			nearest = k->config->plans[i].name;
	}
	if (nearest == NULL && k->config->n_plans == 1)
		nearest = k->config->plans[0].name;
	if (nearest != NULL)
		config_complain(k, CONFIG_ERROR, n, "plan",
			"no plan is named '%s'; did you mean '%s'?", p->plan, nearest);
	else
		config_complain(k, CONFIG_ERROR, n, "plan",
			"no plan is named '%s'; write it below plans", p->plan);
}

static void check_tap(struct config_checker *k, uint32_t i)
{
	const struct config_port *p = &k->config->ports[i];

	if (p->tap[0] == '\0')
		return;
	if (config_device_kind(p->tap) != DEVICE_INTERFACE)
		config_complain(k, CONFIG_ERROR, k->ports[i], "tap",
			"'%s' is no interface name; write one of at most 15 characters, or none",
			p->tap);
	for (uint32_t j = 0; j < k->config->n_ports; j++) {
		const struct config_port *other = &k->config->ports[j];

		if (strcmp(p->tap, other->device) == 0)
			config_complain(k, CONFIG_ERROR, k->ports[i], "tap",
				"'%s' is the device of %s already; write another name", p->tap,
				other->name);
		else if (j < i && strcmp(p->tap, other->tap) == 0)
			config_complain(k, CONFIG_ERROR, k->ports[i], "tap",
				"'%s' is the tap of %s already; write another name", p->tap,
				other->name);
	}
}

static void check_twice(struct config_checker *k, uint32_t i)
{
	const struct config_port *p = &k->config->ports[i];

	for (uint32_t j = 0; j < i; j++) {
		const struct tree_node *first = tree_child(k->ports[j], "device");

		if (p->device[0] == '\0' || first == NULL
			|| strcasecmp(p->device, k->config->ports[j].device) != 0)
			continue;
		config_complain(k, CONFIG_ERROR, k->ports[i], "device",
			"'%.40s' is the device of %s in line %u already; give each port its own%s",
			p->device, k->config->ports[j].name, first->line,
			p->vlan != 0 ? " (ip link add link DEVICE name DEVICE.10 type vlan id 10)"
				     : "");
		return;
	}
}

static void check_roles_present(struct config_checker *k)
{
	const struct config *c = k->config;
	const struct tree_node *ports = tree_child(k->top, "ports");
	uint32_t n_ports[2] = {0};
	uint32_t n_taps = 0;

	/* Ports beyond the last place may have the role that is missing. */
	if (ports == NULL || ports->n_nodes > c->n_ports)
		return;
	for (uint32_t i = 0; i < c->n_ports; i++) {
		/* Of a port without a readable role nothing can be said here. */
		if (!config_is_set(k->ports[i], "role"))
			return;
		n_ports[c->ports[i].role == PORT_UPLINK]++;
		n_taps += c->ports[i].tap[0] != '\0';
	}
	if (n_ports[0] == 0)
		config_complain(k, CONFIG_ERROR, ports, NULL,
			"there is no LAN; write a port with role: lan");
	if (n_ports[1] == 0)
		config_complain(k, CONFIG_ERROR, ports, NULL,
			"there is no uplink; write a port with role: uplink");
	if (c->n_ports + n_taps > PORTS_MAX)
		config_complain(k, CONFIG_ERROR, ports, NULL,
			"%u ports and %u taps are more than %u; write tap: none where no local "
			"service is "
			"needed",
			c->n_ports, n_taps, PORTS_MAX);
}

void config_check_ports(struct config_checker *k)
{
	for (uint32_t i = 0; i < k->config->n_ports; i++) {
		const struct config_port *p = &k->config->ports[i];
		const struct tree_node *n = k->ports[i];

		if (config_is_set(n, "role"))
			check_role(k, n, p->role);
		check_framing(k, n, p);
		check_device(k, n, p);
		check_plan_exists(k, n, p);
		check_tap(k, i);
		check_twice(k, i);
	}
	check_roles_present(k);
}
