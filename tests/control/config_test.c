/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_text.h"

#include <weir/base/clock.h>
#include <weir/control/config.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER   SOURCE_ROOT "/tests/control/config"
#define EXAMPLES SOURCE_ROOT "/config"

static const char home[] =
	"ports:\n"
	"  lan0: { role: lan, device: eth1, address: 192.168.50.1/24 }\n"
	"  wwan0: { role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32 }\n";

/* What weir check would print, or NULL where it cannot be had. The caller frees. */
static char *report_of(const char *file, const char *shown, int *ret_error)
{
	struct config_report report = {0};
	struct config *c = NULL;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(out);
	*ret_error = config_load(file, 0, &c, &report);
	config_report_print(&report, shown, out);
	fclose(out);
	config_report_clean(&report);
	config_destroy(c);
	return text;
}

static char *slurp(const char *file)
{
	FILE *in = fopen(file, "re");
	char *text = NULL;
	size_t size = 0;

	cr_assert_not_null(in, "%s", file);
	if (getdelim(&text, &size, '\0', in) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(in);
	return text;
}

/* X.yaml with X.ok loads and reports just that (warnings); with X.err it is refused with just that. */
static void check_pair(const char *name)
{
	char file[512];
	char expected_file[512];
	char *expected;
	char *got;
	bool is_good;
	int error;

	snprintf(file, sizeof(file), FOLDER "/%s.yaml", name);
	snprintf(expected_file, sizeof(expected_file), FOLDER "/%s.ok", name);
	is_good = access(expected_file, R_OK) == 0;
	if (!is_good)
		snprintf(expected_file, sizeof(expected_file), FOLDER "/%s.err", name);
	got = report_of(file, name, &error);
	expected = slurp(expected_file);
	cr_expect_eq(error, is_good ? 0 : -EINVAL, "%s: %d", name, error);
	cr_expect_str_eq(got, expected, "%s\n--- got\n%s--- expected\n%s", name, got, expected);
	free(expected);
	free(got);
}

Test(control_config, reports_exactly_what_stands_beside_each_golden_file)
{
	DIR *folder = opendir(FOLDER);
	uint32_t n_pairs = 0;

	cr_assert_not_null(folder);
	for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
		char *dot = strstr(e->d_name, ".yaml");

		if (dot == NULL)
			continue;
		*dot = '\0';
		check_pair(e->d_name);
		n_pairs++;
	}
	closedir(folder);
	cr_expect_geq(n_pairs, 10);
}

Test(control_config, every_shipped_example_loads_without_a_mistake)
{
	static const char *const files[] = {
		EXAMPLES "/weir.yaml",
		EXAMPLES "/examples/home.yaml",
		EXAMPLES "/examples/site.yaml",
		EXAMPLES "/examples/servicing.yaml",
		EXAMPLES "/examples/replay.yaml",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int error;
		char *text = report_of(files[i], "x", &error);

		cr_expect_eq(error, 0, "%s: %s", files[i], text);
		free(text);
	}
}

Test(control_config, a_small_file_gets_the_safe_defaults)
{
	struct config *c = config_of(home);

	cr_expect_eq(c->n_ports, 2);
	cr_expect_str_eq(c->ports[0].name, "lan0");
	cr_expect_eq(c->ports[0].role, PORT_LAN);
	cr_expect_str_eq(c->ports[0].tap, "weir-lan0");
	cr_expect(c->ports[0].tap_default_route);
	cr_expect_str_eq(c->ports[1].tap, "");
	cr_expect_eq(c->ports[1].role, PORT_UPLINK);
	cr_expect_eq(c->ports[1].queue_us, 500 * US_PER_MS);
	cr_expect_str_eq(c->runtime.socket, "/run/weir/weir.sock");
	cr_expect_eq(c->runtime.interim_us, 60 * US_PER_S);
	cr_expect_eq(c->runtime.log_level, LOG_INFO);
	cr_expect_eq(c->nat_filtering, NAT_FILTER_ADDRESS_DEPENDENT);
	cr_expect_eq(c->nat_ports.min, 1024);
	cr_expect_eq(c->nat_ports.max, 65535);
	cr_expect_not(c->policy_lan_to_lan);
	cr_expect_eq(c->timeouts.tcp_established_us, 7440 * US_PER_S);
	cr_expect_eq(c->flows_capacity, 65536);
	cr_expect_eq(c->flows_per_device, 16384);
	config_destroy(c);
}

Test(control_config, packet_buffers_follow_from_ports_and_rates_unless_told)
{
	static const struct {
		const char *lan; /* of the LAN port */
		const char *uplink;
		const char *more;
		uint32_t n_buffers;
	} cases[] = {
		{"", "", "", 4096},
		{", driver: af-xdp", "", "", 4096 + 2048},
		/* 500 ms of 8 Mbit/s is 500 kB, in packets of 512 octets */
		{"", ", rate: {uplink: 8Mbps}", "", 4096 + 976},
		{"", ", rate: {uplink: 4Mbps, downlink: 4Mbps}", "", 4096 + 976},
		{"", ", rate: {uplink: 100Gbps, downlink: 100Gbps}, queue: 10s", "", 4096 + 16384},
		{", driver: af-xdp", ", rate: {uplink: 8Mbps}", "runtime: {packet_buffers: 5000}\n",
			5000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct config *c;

		snprintf(text, sizeof(text),
			"ports:\n  lan0: {role: lan, device: eth1, address: 192.168.50.1/24%s}\n"
			"  wan0: {role: uplink, device: eth0, address: 192.0.2.2/24, gateway: "
			"192.0.2.1%s}\n%s",
			cases[i].lan, cases[i].uplink, cases[i].more);
		c = config_of(text);
		cr_expect_eq(config_packet_buffers(c), cases[i].n_buffers, "case %zu: %u", i,
			config_packet_buffers(c));
		config_destroy(c);
	}
}

Test(control_config, every_value_lands_in_its_field)
{
	struct config *c = config_of(
		"gateway: gw-1\n"
		"ports:\n"
		"  lan0: {role: lan, device: '0000:01:00.0', address: 10.1.0.1/16, vlan: 7, mtu: "
		"9000,"
		" tap: none}\n"
		"  wan0: {role: uplink, device: eth0, driver: af-xdp, address: 192.0.2.2/24,"
		" gateway: 192.0.2.1, plan: p, rate: {uplink: 1.5Mbps, downlink: 20Mbps}, queue: "
		"50ms}\n"
		"plans: {p: {quota: 1.5GB, overhead: 54B, ladder: [{at: 80%, do: shape, rate: "
		"64kbps},"
		" {at: 100%, do: block}]}}\n"
		"classes: {a: {protocol: udp, remote: 203.0.113.0/24, port: 5000-5010, translate: "
		"no}}\n"
		"policy: {lan_to_lan: yes, rules: [{from: lan, to: uplink, protocol: 47, source:"
		" 10.1.2.0/24, destination: 198.51.100.9, action: reject}]}\n"
		"nat: {filtering: endpoint-independent, ports: 2000-2999, inbound_refresh: on, "
		"dmz: "
		"10.1.0.9}\n"
		"forwards: [{protocol: udp, port: 6000-6009, to: 10.1.0.8, to_port: 50, source:"
		" 198.51.100.0/24}, {port: 7000, to: 10.1.0.7}]\n"
		"flows: {new_per_second: 200}\n"
		"export: {ipfix: {collector: '192.0.2.7:9995', transport: udp, file: /tmp/f.ipfix, "
		"template_every: 2m, buffer: 1000, domain: 7}}\n"
		"runtime: {interim: 0s, log_level: debug, seed: 18446744073709551615}\n");
	struct config_port *wan = &c->ports[1];

	cr_expect_str_eq(c->gateway, "gw-1");
	cr_expect_eq(c->ports[0].vlan, 7);
	cr_expect_eq(c->ports[0].mtu, 9000);
	cr_expect_str_eq(c->ports[0].tap, "");
	cr_expect_eq(wan->driver, DRIVER_AF_XDP);
	cr_expect_eq(ip_addr_v4_host(&wan->gateway), 0xc0000201);
	cr_expect_eq(wan->rate_uplink_bps, 1500000);
	cr_expect_eq(wan->rate_downlink_bps, 20000000);
	cr_expect_eq(wan->queue_us, 50000);
	cr_expect_eq(c->plans[0].quota_octets, 1500000000);
	cr_expect_eq(c->plans[0].overhead_octets, 54);
	cr_expect_eq(c->plans[0].n_ladder, 2);
	cr_expect_eq(c->plans[0].ladder[0].rate_bps, 64000);
	cr_expect_eq(c->plans[0].ladder[1].at_ppm, 1000000);
	cr_expect_eq(c->plans[0].ladder[1].action, STEP_BLOCK);
	cr_expect_eq(c->classes[0].own.proto, 17);
	cr_expect_eq(c->classes[0].own.port.min, 5000);
	cr_expect_eq(c->classes[0].own.port.max, 5010);
	cr_expect(!c->classes[0].translate);
	cr_expect(c->policy_lan_to_lan);
	cr_expect_eq(c->rules[0].proto, 47);
	cr_expect_eq(c->rules[0].source.len_bits, 24);
	cr_expect_eq(c->rules[0].destination.len_bits, 32);
	cr_expect_eq(c->rules[0].action, POLICY_REJECT);
	cr_expect_eq(c->rules[0].port.min, 0);
	cr_expect_eq(c->rules[0].port.max, 65535);
	cr_expect_eq(c->nat_filtering, NAT_FILTER_ENDPOINT_INDEPENDENT);
	cr_expect(c->nat_inbound_refresh);
	cr_expect_eq(ip_addr_v4_host(&c->nat_dmz), 0x0a010009);
	cr_expect_eq(c->n_forwards, 2);
	cr_expect_eq(c->forwards[0].proto, 17);
	cr_expect_eq(c->forwards[0].port.min, 6000);
	cr_expect_eq(c->forwards[0].port.max, 6009);
	cr_expect_eq(c->forwards[0].to_port, 50);
	cr_expect_eq(c->forwards[0].source.len_bits, 24);
	cr_expect_eq(c->forwards[1].to_port, 7000, "the external one");
	cr_expect_eq(ip_addr_v4_host(&c->forwards[1].to), 0x0a010007);
	cr_expect_eq(c->flows_new_per_second, 200);
	cr_expect_str_eq(c->ipfix.collector, "192.0.2.7:9995");
	cr_expect_eq(c->ipfix.transport, IPFIX_UDP);
	cr_expect_str_eq(c->ipfix.file, "/tmp/f.ipfix");
	cr_expect_eq(c->ipfix.template_every_us, 120 * US_PER_S);
	cr_expect_eq(c->ipfix.buffer, 1000);
	cr_expect_eq(c->ipfix.domain, 7);
	cr_expect_eq(c->runtime.interim_us, 0);
	cr_expect_eq(c->runtime.log_level, LOG_DEBUG);
	cr_expect_eq(c->runtime.seed, UINT64_MAX);
	config_destroy(c);
}

/* The first message for a text, with `options`; "" when there is none. */
static const char *first_message(const char *text, size_t len, unsigned int options)
{
	static char first[CONFIG_MESSAGE_MAX];
	struct config_report report = {0};
	struct config *c = NULL;

	config_read(text, len, options, &c, &report);
	snprintf(first, sizeof(first), "%s", report.n_messages > 0 ? report.messages[0].text : "");
	config_report_clean(&report);
	config_destroy(c);
	return first;
}

static void expect_collector(
	const char *text, enum ipfix_transport transport, int want, uint16_t want_port)
{
	struct config_ipfix ipfix = {.transport = transport};
	struct ip_addr addr;
	uint16_t port = 0;

	snprintf(ipfix.collector, sizeof(ipfix.collector), "%s", text);
	cr_expect_eq(config_collector(&ipfix, &addr, &port), want, "%s", text);
	cr_expect_eq(port, want_port, "%s: %u", text, port);
	if (want == 0)
		cr_expect(ip_addr_equal(&addr,
			&(struct ip_addr){.words = {0, 0, htonl(0xffff), htonl(0xc0000207)}}));
}

Test(control_config, a_collector_is_an_ipv4_address_and_perhaps_a_port)
{
	expect_collector("192.0.2.7:9995", IPFIX_TCP, 0, 9995);
	expect_collector("192.0.2.7", IPFIX_TCP, 0, 4739);
	expect_collector("192.0.2.7", IPFIX_UDP, 0, 4739);
	expect_collector("192.0.2.7", IPFIX_TLS, 0, 4740);
	expect_collector("192.0.2.7:65535", IPFIX_TLS, 0, 65535);
	expect_collector("192.0.2.7:65536", IPFIX_TCP, -EINVAL, 0);
	expect_collector("192.0.2.7:0", IPFIX_TCP, -EINVAL, 0);
	expect_collector("192.0.2.7:", IPFIX_TCP, -EINVAL, 0);
	expect_collector("192.0.2.7:-1", IPFIX_TCP, -EINVAL, 0);
	expect_collector("192.0.2.7:1x", IPFIX_TCP, -EINVAL, 0);
	expect_collector("192.0.2:4739", IPFIX_TCP, -EINVAL, 0);
	expect_collector("[2001:db8::7]:4739", IPFIX_TCP, -EINVAL, 0);
	expect_collector("::ffff:192.0.2.7", IPFIX_TCP, -EINVAL, 0);
	expect_collector("", IPFIX_TCP, -EINVAL, 0);
}

Test(control_config, interfaces_are_looked_for_only_where_that_is_asked_for)
{
	static const char ethernet[] =
		"ports:\n"
		"  lan0: {role: lan, device: nosuch0, address: 192.168.50.1/24}\n"
		"  wwan0: {role: uplink, device: lo, link: cellular, address: 10.64.3.7/32}\n";
	static const char cellular[] =
		"ports:\n"
		"  lan0: {role: lan, device: lo, address: 192.168.50.1/24}\n"
		"  wwan0: {role: uplink, device: nosuch0, link: cellular, address: 10.64.3.7/32}\n";
	static const char devargs[] =
		"ports:\n"
		"  lan0: {role: lan, device: 'net_null0', address: 192.168.50.1/24}\n"
		"  wwan0: {role: uplink, device: '0000:99:00.0', link: cellular, address: "
		"10.64.3.7/32}\n";

	cr_expect_str_eq(first_message(ethernet, strlen(ethernet), 0), "");
	cr_expect_str_eq(first_message(ethernet, strlen(ethernet), CONFIG_CHECK_INTERFACES),
		"ports.lan0.device: there is no interface 'nosuch0'; write one that 'ip link' "
		"lists");
	cr_expect_str_eq(first_message(cellular, strlen(cellular), CONFIG_CHECK_INTERFACES),
		"ports.wwan0.device: there is no interface 'nosuch0' now; weir waits for it");
	cr_expect_str_eq(first_message(devargs, strlen(devargs), CONFIG_CHECK_INTERFACES), "");
}

#define STOPPED "; checking stopped here, so there may be more"

Test(control_config, depth_nodes_and_size_are_bounded)
{
	char *text = malloc(2 << 20);
	size_t len;

	cr_assert_not_null(text);
	memset(text, '[', 1000);
	cr_expect_str_eq(first_message(text, 1000, 0),
		"more than 16 levels; the configuration needs 5" STOPPED);
	len = (size_t)sprintf(text, "x: [");
	for (int i = 0; i < 30000; i++)
		len += (size_t)sprintf(text + len, "1,");
	len += (size_t)sprintf(text + len, "]");
	cr_expect_str_eq(first_message(text, len, 0),
		"more than 20000 keys and values; this is no configuration of weir" STOPPED);
	free(text);
}

Test(control_config, a_file_of_more_than_a_mebibyte_is_not_read)
{
	char name[] = "/tmp/weir-config-XXXXXX";
	int fd = mkstemp(name);
	char *text;
	int error;

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (1 << 20) + 1), 0);
	text = report_of(name, "big", &error);
	cr_expect_eq(error, -EFBIG);
	cr_expect_str_eq(text, "big: error: larger than 1 MiB; this is no configuration of weir\n");
	free(text);
	close(fd);
	unlink(name);
}

Test(control_config, a_file_that_is_not_there_is_said_to_be_not_there)
{
	int error;
	char *text = report_of("/nonexistent/weir.yaml", "x.yaml", &error);

	cr_expect_eq(error, -ENOENT);
	cr_expect_str_eq(text, "x.yaml: error: cannot be read: No such file or directory\n");
	free(text);
}

Test(control_config, the_report_is_sorted_and_says_how_many_it_left_out)
{
	struct config_report report = {0};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (uint32_t i = 0; i < CONFIG_MESSAGES_MAX + 5; i++)
		config_report_add(&report, CONFIG_ERROR, 1000 - i, 1, "m");
	cr_expect_eq(report.n_messages, CONFIG_MESSAGES_MAX);
	cr_expect_eq(report.n_more, 5);
	cr_expect_eq(report.n_errors, CONFIG_MESSAGES_MAX + 5);
	for (uint32_t i = 1; i < report.n_messages; i++)
		cr_expect_leq(report.messages[i - 1].line, report.messages[i].line);
	config_report_print(&report, "f", out);
	fclose(out);
	cr_expect_not_null(strstr(text, "f: and 5 more\n"));
	free(text);
	config_report_clean(&report);
}

Test(control_config, a_device_is_an_interface_a_pci_address_or_a_dpdk_device)
{
	static const struct {
		const char *device;
		enum config_device_kind kind;
	} rows[] = {
		{"eth1", DEVICE_INTERFACE},
		{"enp3s0f1.20", DEVICE_INTERFACE},
		{"0000:01:00.0", DEVICE_PCI},
		{"0000:ff:1f.7", DEVICE_PCI},
		{"0000:01:00.8", DEVICE_INVALID},
		{"net_memif0,role=client", DEVICE_DEVARGS},
		{"a-name-too-long0", DEVICE_INVALID},
		{"a/b", DEVICE_INVALID},
		{"..", DEVICE_INVALID},
		{"x;reboot", DEVICE_INVALID},
		{"", DEVICE_INVALID},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(
			config_device_kind(rows[i].device), rows[i].kind, "%s", rows[i].device);
}
