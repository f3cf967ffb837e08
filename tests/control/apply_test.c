/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/apply.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A site; each %s is a place where a test writes something else. */
#define SITE                                                                                       \
	"ports:\n"                                                                                 \
	"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24, vlan: 7}\n"                   \
	"  wan0: {role: uplink, device: eth0, address: 192.0.2.2/24, gateway: 192.0.2.1, plan: "   \
	"sim1,"                                                                                    \
	" mtu: 1430, rate: {uplink: 5Mbps, downlink: 20Mbps}}\n"                                   \
	"  lan1: {role: lan, device: eth2, address: 192.168.60.1/24, tap: none}\n"                 \
	"  lan2: {role: lan, device: eth3, address: 192.168.70.1/24, tap: svc}\n"                  \
	"plans:\n"                                                                                 \
	"  sim1: {quota: 1GB, overhead: 54B, when_spent: block}\n"

static struct config *read_config(const char *text)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int error = config_read(text, strlen(text), 0, &c, &report);

	config_report_print(&report, "test", stderr);
	cr_assert_eq(error, 0);
	config_report_clean(&report);
	return c;
}

static void to_path(const char *text, struct path_setup *setup, struct path_config **ret_pc)
{
	struct config *c = read_config(text);

	cr_assert_eq(config_to_path(c, setup, ret_pc), 0);
	config_destroy(c);
}

/* What path_config_destroy() does: these tests link no path. */
static void release(struct path_config *pc)
{
	ruleset_destroy(pc->rules);
	groups_destroy(pc->groups);
	classes_destroy(pc->classes);
	free(pc);
}

Test(control_apply, ports_keep_the_order_of_the_file_and_taps_follow)
{
	struct path_setup setup;
	struct path_config *pc;

	to_path(SITE, &setup, &pc);
	cr_assert_eq(pc->n_ports, 6);
	cr_expect_str_eq(pc->ports[0].name, "lan0");
	cr_expect_eq(pc->ports[0].role, PORT_LAN);
	cr_expect_eq(pc->ports[0].peer, 4);
	cr_expect_eq(pc->ports[0].vlan, 7);
	cr_expect_eq(pc->ports[0].plan_id, PLAN_NONE);
	cr_expect_eq(pc->ports[1].role, PORT_UPLINK);
	cr_expect_eq(pc->ports[1].peer, PORT_NONE);
	cr_expect_eq(pc->ports[1].plan_id, 0);
	cr_expect_eq(pc->ports[1].mtu, 1430);
	cr_expect_eq(ip_addr_v4_host(&pc->ports[1].gateway), 0xc0000201);
	cr_expect_eq(pc->ports[1].uplink_bps, 5000000);
	cr_expect_eq(pc->ports[1].downlink_bps, 20000000);
	cr_expect_eq(pc->ports[1].queue_us, 500000);
	cr_expect_eq(pc->ports[2].peer, PORT_NONE);
	cr_expect_eq(pc->ports[3].peer, 5);
	cr_expect_eq(pc->ports[4].role, PORT_TAP);
	cr_expect_str_eq(pc->ports[4].name, "weir-lan0");
	cr_expect_eq(pc->ports[4].peer, 0);
	cr_expect_eq(pc->ports[4].vlan, 0);
	cr_expect(ip_addr_equal(&pc->ports[4].address.addr, &pc->ports[0].address.addr));
	cr_expect_eq(pc->ports[4].address.len_bits, 24);
	cr_expect_str_eq(pc->ports[5].name, "svc");
	cr_expect_eq(pc->ports[5].peer, 3);
	release(pc);
}

Test(control_apply, sizes_timeouts_and_limits_reach_the_path)
{
	struct path_setup setup;
	struct path_config *pc;

	to_path(SITE
		"timeouts: {udp: 150s, fragment: 20s}\n"
		"flows: {capacity: 1000, per_device: 77}\n"
		"devices: {capacity: 9}\n"
		"neighbors: {capacity: 33, reachable: 40s}\n"
		"fragments: {capacity: 44}\n"
		"icmp: {errors_per_second: 5}\n"
		"nat: {ports: 2000-2999, filtering: endpoint-independent, inbound_refresh: true,"
		" unsolicited_syn: tell}\n"
		"policy: {lan_to_lan: true}\n"
		"runtime: {seed: 6, interim: 10s}\n",
		&setup, &pc);
	cr_expect_eq(setup.seed, 6);
	cr_expect_eq(setup.flow_capacity, 1000);
	cr_expect_eq(setup.device_capacity, 9);
	cr_expect_eq(setup.neighbor_capacity, 33);
	cr_expect_eq(setup.neighbor_reachable_us, 40 * US_PER_S);
	cr_expect_eq(setup.fragment_capacity, 44);
	cr_expect_eq(setup.fragment_timeout_us, 20 * US_PER_S);
	cr_expect_eq(setup.nat_port_min, 2000);
	cr_expect_eq(setup.nat_port_max, 2999);
	cr_expect_not(setup.virtual_clock);
	cr_expect_eq(pc->flows_per_device, 77);
	cr_expect_eq(pc->timeouts.udp_ms, 150000);
	cr_expect_eq(pc->timeouts.tcp_established_ms, 7440000);
	cr_expect_eq(pc->timeouts.inbound_refresh, 1);
	cr_expect_eq(pc->filtering, NAT_FILTER_ENDPOINT_INDEPENDENT);
	cr_expect(pc->tells_unsolicited_syn);
	cr_expect_eq(pc->icmp_errors_per_s, 5);
	cr_expect_eq(pc->interim_us, 10 * US_PER_S);
	cr_expect(pc->lan_to_lan);
	release(pc);
}

Test(control_apply, forwards_know_their_lan_and_the_dmz_host_stands_last)
{
	struct path_setup setup;
	struct path_config *pc;
	const struct nat_forward *rows;

	to_path("ports:\n"
		"  wwan0: {role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32}\n"
		"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n"
		"  lan1: {role: lan, device: eth2, address: 192.168.60.1/24, pcp: true}\n"
		"nat: {dmz: 192.168.50.9, pcp: {max_per_device: 3, lifetime_max: 10m}}\n"
		"forwards: [{protocol: tcp, port: 8000-8009, to: 192.168.60.10, to_port: 80, "
		"source:"
		" 198.51.100.0/24}, {port: 53, to: 192.168.50.11}]\n"
		"flows: {new_per_second: 7}\n",
		&setup, &pc);
	rows = pc->forwards.rows;
	cr_assert_eq(pc->forwards.n, 3);
	cr_expect_eq(pc->new_flows_per_s, 7);
	cr_expect(pc->ports[2].pcp && !pc->ports[1].pcp && !pc->ports[0].pcp);
	cr_expect_eq(pc->pcp.per_device, 3);
	cr_expect_eq(pc->pcp.lifetime_max_s, 600);
	cr_expect_eq(rows[0].proto, 6);
	cr_expect_eq(rows[0].lan_port, 2);
	cr_expect(rows[0].has_source && rows[0].source.len_bits == 24);
	cr_expect(rows[0].port_min == 8000 && rows[0].port_max == 8009);
	cr_expect_eq(rows[0].internal_port, 80);
	cr_expect_eq(rows[1].proto, 0);
	cr_expect_eq(rows[1].lan_port, 1);
	cr_expect_not(rows[1].has_source);
	cr_expect_eq(rows[1].internal_port, 53);
	cr_expect_not(rows[1].is_dmz);
	cr_expect(rows[2].is_dmz);
	cr_expect_eq(rows[2].lan_port, 1);
	cr_expect(rows[2].port_min == 1 && rows[2].port_max == 65535);
	release(pc);
}

#define TWO_PORTS                                                                                  \
	"ports:\n"                                                                                 \
	"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24, tap: none}\n"                 \
	"  wwan0: {role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32, plan: p}\n"

Test(control_apply, classes_that_own_a_reserve_have_accounts_of_their_own)
{
	const char *text = TWO_PORTS "plans: {p: {}}\n"
				     "classes: {a: {port: 80}, b: {port: 81, reserve: 1MB}, c: "
				     "{port: 82}, d: {port: 83, "
				     "reserve: 2MB, reserve_per_device: 10kB}}\n";
	struct config *c = read_config(text);
	struct path_setup setup;
	struct path_config *pc;

	to_path(text, &setup, &pc);
	cr_expect_eq(pc->accounts[CLASS_DEFAULT], ACCOUNT_GENERAL);
	cr_expect_eq(pc->accounts[CLASSES_BUILT_IN], ACCOUNT_GENERAL);
	cr_expect_eq(pc->accounts[CLASSES_BUILT_IN + 1], 1);
	cr_expect_eq(pc->accounts[CLASSES_BUILT_IN + 2], ACCOUNT_GENERAL);
	cr_expect_eq(pc->accounts[CLASSES_BUILT_IN + 3], 2);
	cr_expect_str_eq(config_account_name(c, 1), "b");
	cr_expect_str_eq(config_account_name(c, 2), "d");
	cr_expect_null(config_account_name(c, 3));
	cr_expect_eq(config_account_reserve(c, 1), 1000000);
	cr_expect_eq(config_account_reserve(c, 3), 0);
	cr_expect_eq(config_account_device_reserve(c, 1), METER_UNLIMITED);
	cr_expect_eq(config_account_device_reserve(c, 2), 10000);
	release(pc);
	config_destroy(c);
}

Test(control_apply, a_class_that_matches_by_nothing_takes_no_traffic)
{
	struct ip_addr vendor = ip_addr_quad(203, 0, 113, 9);
	struct ip_addr other = ip_addr_quad(198, 51, 100, 1);
	struct path_setup setup;
	struct path_config *pc;

	to_path(TWO_PORTS "plans: {p: {}}\n"
			  "classes:\n"
			  "  servicing: {profile: azure-sphere}\n"
			  "  vendor: {protocol: tcp, remote: 203.0.113.0/24, port: 8883}\n",
		&setup, &pc);
	cr_expect_str_eq(classes_name(pc->classes, classes_match(pc->classes, 6, &vendor, 8883, 0)),
		"vendor");
	cr_expect_eq(classes_match(pc->classes, 6, &vendor, 443, 0), CLASS_DEFAULT);
	cr_expect_eq(classes_match(pc->classes, 6, &other, 8883, 0), CLASS_DEFAULT);
	release(pc);
}

Test(control_apply, the_two_ends_of_a_rule_leave_the_right_ways_open)
{
	static const struct {
		const char *ends;
		bool matches[N_POLICY_WAYS]; /* lan to uplink, uplink to lan, lan to lan */
	} rows[] = {
		{"", {true, true, true}},
		{"from: lan, ", {true, false, true}},
		{"from: uplink, ", {false, true, false}},
		{"to: uplink, ", {true, false, false}},
		{"to: lan, ", {false, true, true}},
		{"from: lan, to: uplink, ", {true, false, false}},
		{"from: lan, to: lan, ", {false, false, true}},
		{"from: uplink, to: lan, ", {false, true, false}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct path_setup setup;
		struct path_config *pc;
		char text[512];

		snprintf(text, sizeof(text),
			TWO_PORTS "plans: {p: {}}\npolicy: {rules: [{%saction: reject}]}\n",
			rows[i].ends);
		to_path(text, &setup, &pc);
		for (int way = 0; way < N_POLICY_WAYS; way++) {
			struct policy_question q = {.way = (enum policy_way)way,
				.source = ip_addr_quad(192, 168, 50, 2),
				.destination = ip_addr_quad(198, 51, 100, 1),
				.destination_port = 80,
				.proto = 6};

			cr_expect_eq(ruleset_match(pc->rules, &q).action == POLICY_REJECT,
				rows[i].matches[way], "'%s' way %d", rows[i].ends, way);
		}
		release(pc);
	}
}

/* "key live, key at start" of a comparison; *ret_next is the caller's. */
static void compare(const char *running_text, const char *wanted_text, char *said, size_t size,
	struct config **ret_next)
{
	struct config *running = read_config(running_text);
	struct config *wanted = read_config(wanted_text);
	struct config_changes changes = {0};
	size_t len = 0;

	cr_assert_eq(config_compare(running, wanted, ret_next, &changes), 0);
	said[0] = '\0';
	for (uint32_t i = 0; i < changes.n; i++)
		len += (size_t)snprintf(said + len, size - len, "%s%s %s", i == 0 ? "" : ", ",
			changes.list[i].key,
			changes.list[i].applies == APPLIES_LIVE ? "live" : "at start");
	config_changes_clean(&changes);
	config_destroy(running);
	config_destroy(wanted);
}

Test(control_apply, each_difference_is_named_with_when_it_applies)
{
	static const struct {
		const char *more; /* behind SITE */
		const char *said;
	} rows[] = {
		{"", ""},
		{"nat: {filtering: endpoint-independent}\n", "nat.filtering live"},
		{"nat: {inbound_refresh: true}\n", "nat.inbound_refresh live"},
		{"nat: {unsolicited_syn: tell}\n", "nat.unsolicited_syn live"},
		{"nat: {ports: 2000-3000}\n", "nat.ports at start"},
		{"timeouts: {udp: 6m}\n", "timeouts.udp live"},
		{"timeouts: {fragment: 16s}\n", "timeouts.fragment at start"},
		{"policy: {lan_to_lan: true}\n", "policy.lan_to_lan live"},
		{"policy: {rules: [{action: drop}]}\n", "policy.rules live"},
		{"classes: {a: {protocol: tcp}}\n", "classes live"},
		{"flows: {per_device: 9}\n", "flows.per_device live"},
		{"icmp: {errors_per_second: 9}\n", "icmp.errors_per_second live"},
		{"runtime: {interim: 9s}\n", "runtime.interim live"},
		{"runtime: {log_level: debug}\n", "runtime.log_level live"},
		{"runtime: {seed: 9}\n", "runtime.seed at start"},
		{"runtime: {socket: /run/x.sock, workers: 1}\n", "runtime.socket at start"},
		{"gateway: other\n", "gateway at start"},
		{"devices: {capacity: 9}\nneighbors: {capacity: 99}\n",
			"devices.capacity at start, neighbors.capacity at start"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *next;
		char text[2048];
		char said[512];

		snprintf(text, sizeof(text), SITE "%s", rows[i].more);
		compare(SITE, text, said, sizeof(said), &next);
		cr_expect_str_eq(said, rows[i].said);
		config_destroy(next);
	}
}

#define PORTS_WITH(lan, wwan)                                                                      \
	"ports:\n"                                                                                 \
	"  lan0: {role: lan, device: eth1, " lan "}\n"                                             \
	"  wwan0: {role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32, " wwan      \
	"}\n"

Test(control_apply, what_is_published_takes_the_live_keys_and_keeps_the_others)
{
	struct config *next;
	char said[512];

	compare(PORTS_WITH("address: 192.168.50.1/24",
			"plan: p, rate: {uplink: 1Mbps}") "plans: {p: {quota: 1GB}}\n",
		PORTS_WITH("address: 192.168.51.1/24",
			"plan: p, rate: {uplink: 2Mbps}") "plans: {p: {quota: 2GB, ladder: [{at: "
							  "100%, do: block}]}}\n",
		said, sizeof(said), &next);
	cr_expect_str_eq(said,
		"ports.lan0.address at start, ports.wwan0.rate.uplink live, plans.p.quota live, "
		"plans.p.ladder live");
	cr_expect_eq(ip_addr_v4_host(&next->ports[0].address.addr), 0xc0a83201);
	cr_expect_eq(next->ports[1].rate_uplink_bps, 2000000);
	cr_expect_eq(next->plans[0].quota_octets, 2000000000);
	cr_expect_eq(next->plans[0].n_ladder, 1);
	config_destroy(next);
}

Test(control_apply, a_new_plan_and_what_refers_to_it_wait_for_the_next_start)
{
	struct config *next;
	char said[512];

	compare(PORTS_WITH("address: 192.168.50.1/24", "plan: a") "plans: {a: {quota: 1GB}}\n",
		PORTS_WITH("address: 192.168.50.1/24",
			"plan: b") "plans: {a: {quota: 1GB}, b: {quota: 2GB}}\n",
		said, sizeof(said), &next);
	cr_expect_str_eq(said, "ports.wwan0.plan at start, plans.b at start");
	cr_expect_str_eq(next->ports[1].plan, "a");
	cr_expect_eq(next->n_plans, 1);
	config_destroy(next);
}

Test(control_apply, a_known_plan_can_be_given_and_taken_live)
{
	struct config *next;
	char said[512];

	compare(PORTS_WITH("address: 192.168.50.1/24", "plan: a") "plans: {a: {quota: 1GB}}\n",
		PORTS_WITH("address: 192.168.50.1/24", "mtu: 1400") "plans: {a: {quota: 1GB}}\n",
		said, sizeof(said), &next);
	cr_expect_str_eq(said, "ports.wwan0.plan live, ports.wwan0.mtu at start");
	cr_expect_str_eq(next->ports[1].plan, "");
	cr_expect_eq(next->ports[1].mtu, 0);
	config_destroy(next);
}

Test(control_apply, ports_that_come_go_or_move_wait_for_the_next_start)
{
	static const char lan0[] = "  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n";
	static const char lan1[] = "  lan1: {role: lan, device: eth2, address: 192.168.60.1/24}\n";
	static const char wwan[] =
		"  wwan0: {role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32}\n";
	char running[512];
	char wanted[512];
	struct config *next;
	char said[512];

	snprintf(running, sizeof(running), "ports:\n%s%s", lan0, wwan);
	snprintf(wanted, sizeof(wanted), "ports:\n%s%s%s", lan0, wwan, lan1);
	compare(running, wanted, said, sizeof(said), &next);
	cr_expect_str_eq(said, "ports.lan1 at start");
	cr_expect_eq(next->n_ports, 2);
	config_destroy(next);
	compare(wanted, running, said, sizeof(said), &next);
	cr_expect_str_eq(said, "ports.lan1 at start");
	cr_expect_eq(next->n_ports, 3);
	config_destroy(next);
	snprintf(wanted, sizeof(wanted), "ports:\n%s%s", wwan, lan0);
	compare(running, wanted, said, sizeof(said), &next);
	cr_expect_str_eq(said, "ports.lan0 at start, ports.wwan0 at start");
	cr_expect_str_eq(next->ports[0].name, "lan0");
	config_destroy(next);
}

Test(control_apply, schedules_decide_which_rules_are_idle_and_an_unknown_time_is_strict)
{
	static const char *const text =
		SITE "schedules: {night: {from: 22:00, to: 06:00, timezone: UTC}}\n"
		     "policy: {rules: [{action: drop, schedule: night, log: true},"
		     " {action: allow, schedule: night}, {action: allow}]}\n";
	static const struct {
		struct schedule_state now;
		bool is_drop_idle;
		bool is_allow_idle;
	} cases[] = {
		{{.known = 1, .holds = 1}, false, false},
		{{.known = 1, .holds = 0}, true, true},
		{{.known = 0, .holds = 0}, false, true},
	};
	struct config *c = read_config(text);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct path_setup setup;
		struct path_config *pc;

		cr_assert_eq(config_to_path_at(c, &cases[i].now, &setup, &pc), 0);
		cr_expect_eq(ruleset_rule(pc->rules, 0)->is_idle, cases[i].is_drop_idle);
		cr_expect_eq(ruleset_rule(pc->rules, 1)->is_idle, cases[i].is_allow_idle);
		cr_expect(!ruleset_rule(pc->rules, 2)->is_idle);
		cr_expect(ruleset_rule(pc->rules, 0)->is_logged);
		release(pc);
	}
	config_destroy(c);
}

Test(control_apply, groups_and_admission_reach_the_path)
{
	const struct mac_addr listed = {{0x02, 0, 0x5e, 0x10, 0, 1}};
	const struct mac_addr stranger = {{0x02, 0, 0x5e, 0x10, 0, 2}};
	struct ip_addr a = ip_addr_quad(192, 168, 50, 9);
	struct ip_addr there = ip_addr_quad(203, 0, 113, 7);
	struct ip_addr elsewhere = ip_addr_quad(203, 0, 114, 7);
	struct path_setup setup;
	struct path_config *pc;
	uint64_t groups;

	to_path(SITE
		"groups: {quarantine: {destinations: [203.0.113.0/24]},"
		" desks: {devices: [192.168.50.0/24]}}\n"
		"devices: {admission: listed, allow: [02:00:5e:10:00:01], quarantine: nothing}\n"
		"classes: {odd: {}, mail: {protocol: tcp, port: 25}}\n"
		"policy: {rules: [{group: desks, class: mail, action: drop},"
		" {group: quarantine, action: drop}]}\n",
		&setup, &pc);
	cr_expect(pc->listed_only);
	cr_expect(!pc->quarantine_reaches_gateway);
	groups = groups_of(pc->groups, &listed, &a);
	cr_expect_eq(groups, GROUP_BIT(1) | GROUP_BIT(GROUP_LISTED));
	cr_expect_eq(groups_of(pc->groups, &stranger, &a), GROUP_BIT(1));
	cr_expect(groups_may_reach(pc->groups, GROUP_BIT(GROUP_QUARANTINE), &there));
	cr_expect(!groups_may_reach(pc->groups, GROUP_BIT(GROUP_QUARANTINE), &elsewhere));
	cr_expect_eq(ruleset_rule(pc->rules, 0)->groups, GROUP_BIT(1));
	cr_expect_eq(ruleset_rule(pc->rules, 1)->groups, GROUP_BIT(GROUP_QUARANTINE));
	cr_expect(ruleset_rule(pc->rules, 0)->has_class);
	cr_expect_str_eq(classes_name(pc->classes, ruleset_rule(pc->rules, 0)->class_id), "mail");
	release(pc);
}
