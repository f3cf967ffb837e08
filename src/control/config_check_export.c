/* SPDX-License-Identifier: BSD-3-Clause */
/* Where flow records go: that it is somewhere, and that certificates are there where they are needed. */
#include "config_check.h"

#include <weir/control/ipfix_message.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint16_t default_port(const struct config_ipfix *c)
{
	return c->transport == IPFIX_TLS ? IPFIX_TLS_PORT : IPFIX_PORT;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || port == 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

int config_collector(const struct config_ipfix *c, struct ip_addr *ret_addr, uint16_t *ret_port)
{
	const char *colon = strchr(c->collector, ':');
	size_t len = colon == NULL ? strlen(c->collector) : (size_t)(colon - c->collector);
	char text[CONFIG_TEXT_MAX];
	struct ip_addr addr;
	uint16_t port = default_port(c);

	memcpy(text, c->collector, len);
	text[len] = '\0';
	if (ip_addr_parse(text, &addr) != 0 || !ip_addr_is_v4(&addr)
		|| (colon != NULL && parse_port(colon + 1, &port) != 0))
		return -EINVAL;
	*ret_addr = addr;
	*ret_port = port;
	return 0;
}

/* Of one host. */
static bool is_host(const struct ip_addr *addr)
{
	uint32_t host = ip_addr_v4_host(addr);

	return host >> 24 != 0 && host >> 28 < 0xe;
}

static void check_collector(struct config_checker *k, const struct tree_node *n)
{
	const struct config_ipfix *c = &k->config->ipfix;
	struct ip_addr addr;
	uint16_t port;

	if (c->collector[0] == '\0')
		return;
	if (config_collector(c, &addr, &port) != 0)
		config_complain(k, CONFIG_ERROR, n, "collector",
			"'%.60s' is no IPv4 address with a port; write 192.0.2.7:%u", c->collector,
			default_port(c));
	else if (!is_host(&addr))
		config_complain(k, CONFIG_ERROR, n, "collector",
			"'%.60s' is no host's address; write that of the collector", c->collector);
}

/* Keys that say something of what is not used. */
static void check_unused(struct config_checker *k, const struct tree_node *n)
{
	static const char *const of_tls[] = {"ca_file", "certificate", "key", "server_name"};
	const struct config_ipfix *c = &k->config->ipfix;
	bool is_not_tls = c->transport != IPFIX_TLS
			  && (!config_has(n, "transport") || config_is_set(n, "transport"));

	if (c->collector[0] == '\0' && c->file[0] == '\0')
		config_complain(k, CONFIG_WARNING, n, NULL,
			"exports nothing; write collector: 192.0.2.7:4739, or file: "
			"/var/lib/weir/flows.ipfix");
	if (c->collector[0] == '\0' && config_has(n, "transport"))
		config_complain(k, CONFIG_ERROR, n, "transport",
			"leads nowhere; write collector: 192.0.2.7:4739");
	for (size_t i = 0; i < sizeof(of_tls) / sizeof(of_tls[0]); i++)
		if (is_not_tls && config_has(n, of_tls[i]))
			config_complain(k, CONFIG_ERROR, n, of_tls[i],
				"only tls asks for it; remove it, or write transport: tls");
}

static void check_readable(
	struct config_checker *k, const struct tree_node *n, const char *key, const char *file)
{
	if ((k->options & CONFIG_CHECK_INTERFACES) != 0 && file[0] != '\0'
		&& access(file, R_OK) != 0)
		config_complain(k, CONFIG_ERROR, n, key,
			"cannot be read: %s; write the path of a PEM file", strerror(errno));
}

static void check_tls(struct config_checker *k, const struct tree_node *n)
{
	const struct config_ipfix *c = &k->config->ipfix;

	if (c->transport != IPFIX_TLS || c->collector[0] == '\0')
		return;
	if (!config_has(n, "ca_file"))
		config_complain(k, CONFIG_ERROR, n, "transport",
			"nobody could tell the collector from another; write ca_file: "
			"/etc/weir/collector-ca.pem");
	if (config_has(n, "certificate") && !config_has(n, "key"))
		config_complain(k, CONFIG_ERROR, n, "certificate",
			"has no key; write key: /etc/weir/weir.key");
	if (config_has(n, "key") && !config_has(n, "certificate"))
		config_complain(k, CONFIG_ERROR, n, "key",
			"is of no certificate; write certificate: /etc/weir/weir.pem");
	check_readable(k, n, "ca_file", c->ca_file);
	check_readable(k, n, "certificate", c->certificate);
	check_readable(k, n, "key", c->key);
}

void config_check_export(struct config_checker *k)
{
	const struct tree_node *export = tree_child(k->top, "export");
	const struct tree_node *n = export == NULL ? NULL : tree_child(export, "ipfix");

	if (n == NULL)
		return;
	check_collector(k, n);
	check_unused(k, n);
	check_tls(k, n);
}
