/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"

#include <string.h>

#define PROTO_TCP 6
#define PROTO_UDP 17

/* A device that packets can be led to: a host of a LAN, and not the gateway. */
static void check_target(struct config_checker *k, const struct tree_node *n, const char *key,
	const struct ip_addr *to)
{
	uint8_t lan = config_find_lan(k->config, to);
	char text[IP_ADDR_TEXT_MAX];
	uint32_t host_bits;
	uint32_t host;

	if (ip_addr_is_unset(to))
		return;
	ip_addr_format(to, text);
	if (lan == PORT_NONE) {
		config_complain(k, CONFIG_ERROR, n, key,
			"%s is on no LAN; write the address of a device on one", text);
		return;
	}
	host_bits = ~ip_v4_mask(k->config->ports[lan].address.len_bits);
	host = to->words[3] & host_bits;
	if (ip_addr_equal(&k->config->ports[lan].address.addr, to))
		config_complain(k, CONFIG_ERROR, n, key,
			"%s is the gateway's own address on %s; write a device's", text,
			k->config->ports[lan].name);
	else if (host == 0 || host == host_bits)
		config_complain(k, CONFIG_ERROR, n, key,
			"%s is no host of %s, but all of them; write a device's address", text,
			k->config->ports[lan].name);
}

/* True when a packet can fit both: the second would get none of what the first takes. */
static bool is_shared(const struct config_forward *a, const struct config_forward *b)
{
	if (a->proto != b->proto && a->proto != 0 && b->proto != 0)
		return false;
	if (a->port.min > b->port.max || b->port.min > a->port.max)
		return false;
	return ip_addr_is_unset(&a->source.addr) || ip_addr_is_unset(&b->source.addr)
	       || ip_prefix_overlaps(&a->source, &b->source);
}

static void check_shared(struct config_checker *k, uint32_t i)
{
	const struct config_forward *f = &k->config->forwards[i];

	for (uint32_t j = 0; j < i; j++) {
		const struct config_forward *before = &k->config->forwards[j];

		if (!config_is_set(k->forwards[j], "port") || !is_shared(before, f))
			continue;
		config_complain(k, CONFIG_ERROR, k->forwards[i], "port",
			"overlaps with line %u; choose other ports, or sources that do not overlap",
			k->forwards[j]->line);
		return;
	}
}

static void check_forward(struct config_checker *k, uint32_t i)
{
	const struct config_forward *f = &k->config->forwards[i];
	const struct tree_node *n = k->forwards[i];
	uint32_t last = (uint32_t)f->to_port + f->port.max - f->port.min;

	if (f->proto != 0 && f->proto != PROTO_TCP && f->proto != PROTO_UDP)
		config_complain(k, CONFIG_ERROR, n, "protocol",
			"only tcp and udp have ports; write tcp, udp or any");
	check_target(k, n, "to", &f->to);
	config_check_network(k, n, "source", &f->source);
	if (!config_is_set(n, "port"))
		return;
	if (last > UINT16_MAX)
		config_complain(k, CONFIG_ERROR, n, "to_port",
			"%u ports from there on end beyond 65535; write at most %u",
			(unsigned int)f->port.max - f->port.min + 1,
			UINT16_MAX - ((unsigned int)f->port.max - f->port.min));
	check_shared(k, i);
}

/* Limits for what no LAN has are a slip: the port's key was forgotten. */
static void check_pcp(struct config_checker *k, const struct tree_node *pcp)
{
	bool is_on = false;

	for (uint32_t i = 0; i < k->config->n_ports; i++)
		is_on |= k->config->ports[i].pcp;
	if (!is_on && (config_is_set(pcp, "max_per_device") || config_is_set(pcp, "lifetime_max")))
		config_complain(k, CONFIG_WARNING, pcp, NULL,
			"no LAN has it; write pcp: true at the LANs whose devices may open ports");
}

void config_check_forwards(struct config_checker *k)
{
	const struct tree_node *nat = tree_child(k->top, "nat");

	if (nat != NULL) {
		check_target(k, nat, "dmz", &k->config->nat_dmz);
		if (tree_child(nat, "pcp") != NULL)
			check_pcp(k, tree_child(nat, "pcp"));
	}
	for (uint32_t i = 0; i < k->config->n_forwards; i++)
		check_forward(k, i);
}
