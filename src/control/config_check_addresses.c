/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"

#include <stdio.h>

/* RFC 6890 and RFC 1122 3.2.1.3: what no interface of a router can have. */
static const char *why_unfit(uint32_t v4)
{
	if (v4 >> 24 == 0)
		return "0.0.0.0/8 means this host";
	if (v4 >> 24 == 127)
		return "127.0.0.0/8 stays inside a host";
	if (v4 >> 16 == 0xa9fe)
		return "169.254.0.0/16 is link-local and is not forwarded";
	if (v4 >> 28 == 0xe)
		return "it is a multicast address";
	if (v4 >> 28 == 0xf)
		return "240.0.0.0/4 is reserved";
	return NULL;
}

/* "the network's own address" where it is one, else NULL. Networks of two hosts or one have none (RFC 3021). */
static const char *special_of(const struct ip_prefix *network, const struct ip_addr *a)
{
	uint32_t hosts = ~ntohl(ip_v4_mask(network->len_bits));
	uint32_t host = ip_addr_v4_host(a) & hosts;

	if (network->len_bits > 30)
		return NULL;
	if (host == 0)
		return "the network's own address";
	return host == hosts ? "the network's broadcast address" : NULL;
}

/* An address of the network that can be given instead: the first, or the one behind it. */
static const char *other_address(
	const struct ip_prefix *network, const struct ip_addr *taken, char *buf)
{
	struct ip_addr a = network->addr;
	uint32_t v4 = (ip_addr_v4_host(&a) & ntohl(ip_v4_mask(network->len_bits))) + 1;

	if (taken != NULL && ip_addr_v4_host(taken) == v4)
		v4++;
	a = ip_addr_v4(htonl(v4));
	return ip_addr_format(&a, buf);
}

static bool has_room(struct config_checker *k, uint32_t i)
{
	const struct config_port *p = &k->config->ports[i];

	if (!config_is_set(k->ports[i], "role") || p->role != PORT_LAN
		|| (p->address.len_bits >= 8 && p->address.len_bits <= 30))
		return true;
	if (p->address.len_bits == 32)
		config_complain(k, CONFIG_ERROR, k->ports[i], "address",
			"a LAN needs room for devices; write the length of its network, such as "
			"/24");
	else
		config_complain(k, CONFIG_ERROR, k->ports[i], "address",
			"/%u is no size for a LAN; write a length from /8 to /30",
			p->address.len_bits);
	return false;
}

/* False when the address is no good, so that nothing is said about its neighbours. */
static bool check_address(struct config_checker *k, uint32_t i)
{
	const struct config_port *p = &k->config->ports[i];
	const char *unfit = why_unfit(ip_addr_v4_host(&p->address.addr));
	const char *special = special_of(&p->address, &p->address.addr);
	char other[IP_ADDR_TEXT_MAX];

	if (unfit != NULL) {
		config_complain(k, CONFIG_ERROR, k->ports[i], "address",
			"no port can have it: %s; write a unicast address", unfit);
		return false;
	}
	if (!has_room(k, i))
		return false;
	if (special != NULL)
		config_complain(k, CONFIG_ERROR, k->ports[i], "address",
			"is %s; write one of its hosts, such as %s/%u", special,
			other_address(&p->address, NULL, other), p->address.len_bits);
	return true;
}

static void check_gateway(struct config_checker *k, uint32_t i)
{
	const struct config_port *p = &k->config->ports[i];
	const struct tree_node *n = k->ports[i];
	char network[IP_PREFIX_TEXT_MAX];
	char other[IP_ADDR_TEXT_MAX];

	if (p->role != PORT_UPLINK)
		return;
	if (!config_has(n, "gateway")) {
		if (p->link != LINK_CELLULAR && p->framing != CONFIG_FRAMING_RAW_IP)
			config_complain(k, CONFIG_WARNING, n, NULL,
				"without a gateway every destination is looked for on the link "
				"itself; "
				"write gateway: and the router's address");
		return;
	}
	if (ip_addr_is_unset(&p->gateway))
		return;
	if (p->framing == CONFIG_FRAMING_RAW_IP)
		config_complain(
			k, CONFIG_ERROR, n, "gateway", "raw IP has no next router; remove it");
	else if (ip_addr_equal(&p->gateway, &p->address.addr))
		config_complain(k, CONFIG_ERROR, n, "gateway",
			"is this port's own address; write the router's, such as %s",
			other_address(&p->address, &p->gateway, other));
	else if (!ip_prefix_contains(&p->address, &p->gateway))
		config_complain(k, CONFIG_ERROR, n, "gateway",
			"lies outside %s; write a router's address of that network",
			ip_prefix_format(&p->address, network));
	else if (special_of(&p->address, &p->gateway) != NULL)
		config_complain(k, CONFIG_ERROR, n, "gateway",
			"is %s; write the router's, such as %s",
			special_of(&p->address, &p->gateway),
			other_address(&p->address, &p->address.addr, other));
}

static void check_probe(struct config_checker *k, uint32_t i)
{
	const struct config_port *p = &k->config->ports[i];
	const struct tree_node *rate = tree_child(k->ports[i], "rate");
	const struct tree_node *n = rate == NULL ? NULL : tree_child(rate, "probe");
	const char *unfit = why_unfit(ip_addr_v4_host(&p->probe_to));

	if (n == NULL || p->role != PORT_UPLINK || ip_addr_is_unset(&p->probe_to))
		return;
	if (unfit != NULL)
		config_complain(k, CONFIG_ERROR, n, "to",
			"no host can have it: %s; write a unicast address", unfit);
	else if (ip_addr_equal(&p->probe_to, &p->address.addr)
		 || config_find_lan(k->config, &p->probe_to) != PORT_NONE)
		config_complain(k, CONFIG_ERROR, n, "to",
			"lies on this side of the uplink; write a host beyond it");
	if (!p->rate_follow)
		config_complain(k, CONFIG_ERROR, n, NULL,
			"is for rates that are followed; write follow: true beside it");
}

/* Port i stands behind port j in the file; both lines are named. */
static void check_pair(struct config_checker *k, uint32_t i, uint32_t j)
{
	const struct config_port *a = &k->config->ports[i];
	const struct config_port *b = &k->config->ports[j];
	const struct tree_node *there = tree_child(k->ports[j], "address");
	char network[IP_PREFIX_TEXT_MAX];
	const char *instead = "give one of them another network";

	if (there == NULL || !ip_prefix_overlaps(&a->address, &b->address))
		return;
	ip_prefix_format(&b->address, network);
	if (a->role != b->role && !ip_addr_equal(&a->address.addr, &b->address.addr))
		/* RFC 4787 REQ-7: carriers give what they give. */
		config_complain(k, CONFIG_WARNING, k->ports[i], "address",
			"overlaps with %s (%s, line %u): its devices reach addresses there only by "
			"way of the gateway; better %s",
			b->name, network, there->line, instead);
	else if (a->role == PORT_UPLINK && b->role == PORT_LAN
		 && ip_prefix_contains(&b->address, &a->address.addr))
		config_complain(k, CONFIG_ERROR, k->ports[i], "address",
			"lies inside the LAN %s (%s, line %u); %s", b->name, network, there->line,
			instead);
	else
		config_complain(k, CONFIG_ERROR, k->ports[i], "address",
			"overlaps with %s (%s, line %u); %s", b->name, network, there->line,
			instead);
}

void config_check_addresses(struct config_checker *k)
{
	bool is_fit[PORTS_MAX] = {false};

	for (uint32_t i = 0; i < k->config->n_ports; i++) {
		if (ip_addr_is_unset(&k->config->ports[i].address.addr))
			continue;
		is_fit[i] = check_address(k, i);
		check_gateway(k, i);
		check_probe(k, i);
		for (uint32_t j = 0; j < i && is_fit[i]; j++) {
			if (is_fit[j])
				check_pair(k, i, j);
		}
	}
}
