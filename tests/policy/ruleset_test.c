/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/packet/meta.h>
#include <weir/policy/ruleset.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct policy_rule rule_any = {.port_max = UINT16_MAX, .action = POLICY_DROP};

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	cr_assert_eq(ip_prefix_parse(text, &p), 0);
	return p;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	cr_assert_eq(ip_addr_parse(text, &a), 0);
	return a;
}

Test(policy_ruleset, without_rules_only_the_uplink_is_denied)
{
	static const struct {
		enum policy_way way;
		enum policy_action action;
	} rows[] = {
		{POLICY_LAN_TO_UPLINK, POLICY_ALLOW},
		{POLICY_LAN_TO_LAN, POLICY_ALLOW},
		{POLICY_UPLINK_TO_LAN, POLICY_DROP},
	};
	struct ruleset *set;

	cr_assert_eq(ruleset_create(NULL, 0, &set), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_question q = {.way = rows[i].way, .proto = PROTO_UDP};
		struct policy_verdict v = ruleset_match(set, &q);

		cr_assert_eq(v.action, rows[i].action);
		cr_assert_eq(v.rule_id, POLICY_RULE_DEFAULT);
	}
	ruleset_destroy(set);
	ruleset_destroy(NULL);
}

Test(policy_ruleset, the_first_rule_that_matches_decides)
{
	struct policy_rule rules[6];
	struct ruleset *set;
	static const struct {
		const char *claim;
		enum policy_way way;
		const char *source;
		const char *destination;
		uint16_t port;
		uint8_t proto;
		uint8_t rule_id;
		enum policy_action action;
	} rows[] = {
		{"a forwarded port", POLICY_UPLINK_TO_LAN, "203.0.113.9", "192.168.50.20", 8443,
			PROTO_TCP, 0, POLICY_ALLOW},
		{"from elsewhere", POLICY_UPLINK_TO_LAN, "203.0.112.9", "192.168.50.20", 8443,
			PROTO_TCP, 255, POLICY_DROP},
		{"to another host", POLICY_UPLINK_TO_LAN, "203.0.113.9", "192.168.50.21", 8443,
			PROTO_TCP, 255, POLICY_DROP},
		{"to the port before", POLICY_UPLINK_TO_LAN, "203.0.113.9", "192.168.50.20", 8442,
			PROTO_TCP, 255, POLICY_DROP},
		{"by another protocol", POLICY_UPLINK_TO_LAN, "203.0.113.9", "192.168.50.20", 8443,
			PROTO_UDP, 255, POLICY_DROP},
		{"a rule of one way stays out of another", POLICY_LAN_TO_LAN, "203.0.113.9",
			"192.168.50.20", 8443, PROTO_TCP, 255, POLICY_ALLOW},
		{"an exception before its rule", POLICY_LAN_TO_UPLINK, "192.168.50.7",
			"198.51.100.1", 25, PROTO_TCP, 1, POLICY_ALLOW},
		{"the rule behind it", POLICY_LAN_TO_UPLINK, "192.168.50.8", "198.51.100.1", 25,
			PROTO_TCP, 2, POLICY_REJECT},
		{"two ways in one rule", POLICY_LAN_TO_LAN, "192.168.50.8", "192.168.60.1", 25,
			PROTO_TCP, 2, POLICY_REJECT},
		{"the last port of a range, any protocol with ports", POLICY_LAN_TO_UPLINK,
			"192.168.50.8", "198.51.100.1", 139, PROTO_UDP, 3, POLICY_DROP},
		{"an ICMP identifier is no port", POLICY_LAN_TO_UPLINK, "192.168.50.8",
			"198.51.100.1", 139, PROTO_ICMP, 255, POLICY_ALLOW},
		{"IPv6", POLICY_LAN_TO_UPLINK, "2001:db8::7", "2001:db8:1:8000::1", 80, PROTO_TCP,
			4, POLICY_DROP},
		{"IPv6, a bit beside it", POLICY_LAN_TO_UPLINK, "2001:db8::7", "2001:db8:1:7fff::1",
			80, PROTO_TCP, 255, POLICY_ALLOW},
		{"0.0.0.0/0 is IPv4 alone", POLICY_LAN_TO_LAN, "192.0.2.1", "192.0.2.9", 9999,
			PROTO_UDP, 5, POLICY_REJECT},
		{"and not IPv6", POLICY_LAN_TO_LAN, "2001:db8::1", "2001:db8::2", 9999, PROTO_UDP,
			255, POLICY_ALLOW},
	};

	for (uint32_t i = 0; i < 6; i++)
		rules[i] = rule_any;
	rules[0].ways = 1 << POLICY_UPLINK_TO_LAN;
	rules[0].proto = PROTO_TCP;
	rules[0].has_source = rules[0].has_destination = true;
	rules[0].source = prefix("203.0.113.77/24"); /* host bits do not matter */
	rules[0].destination = prefix("192.168.50.20");
	rules[0].port_min = rules[0].port_max = 8443;
	rules[0].action = POLICY_ALLOW;
	rules[1].ways = 1 << POLICY_LAN_TO_UPLINK;
	rules[1].has_source = true;
	rules[1].source = prefix("192.168.50.7/32");
	rules[1].action = POLICY_ALLOW;
	rules[2].ways = 1 << POLICY_LAN_TO_UPLINK | 1 << POLICY_LAN_TO_LAN;
	rules[2].port_min = rules[2].port_max = 25;
	rules[2].action = POLICY_REJECT;
	rules[3].port_min = 137;
	rules[3].port_max = 139;
	rules[4].has_destination = true;
	rules[4].destination = prefix("2001:db8:1:8000::/49");
	rules[5].ways = 1 << POLICY_LAN_TO_LAN;
	rules[5].has_source = true;
	rules[5].source = prefix("0.0.0.0/0");
	rules[5].port_min = rules[5].port_max = 9999;
	rules[5].action = POLICY_REJECT;
	cr_assert_eq(ruleset_create(rules, 6, &set), 0);
	memset(rules, 0xff, sizeof(rules)); /* they were copied */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_question q = {
			.way = rows[i].way,
			.source = addr(rows[i].source),
			.destination = addr(rows[i].destination),
			.destination_port = rows[i].port,
			.proto = rows[i].proto,
		};
		struct policy_verdict v = ruleset_match(set, &q);

		cr_assert_eq(v.rule_id, rows[i].rule_id, "%s: rule %u", rows[i].claim, v.rule_id);
		cr_assert_eq(v.action, rows[i].action, "%s", rows[i].claim);
	}
	ruleset_destroy(set);
}

Test(policy_ruleset, prefixes_of_every_length_agree_with_the_plain_test)
{
	struct rng rng;

	rng_init(&rng, 4632);
	for (uint32_t i = 0; i < 20000; i++) {
		bool v4 = i % 2 == 0;
		struct policy_rule r = rule_any;
		struct policy_question q = {.way = POLICY_LAN_TO_UPLINK, .proto = PROTO_TCP};
		uint8_t flip = (uint8_t)rng_below(&rng, v4 ? 32 : 128);
		struct ruleset *set;

		for (uint32_t w = v4 ? 3 : 0; w < 4; w++)
			r.source.addr.words[w] = (uint32_t)rng_next(&rng);
		if (v4)
			r.source.addr = ip_addr_v4(r.source.addr.words[3]);
		r.has_source = true;
		r.source.len_bits = (uint8_t)rng_below(&rng, v4 ? 33 : 129);
		q.source = r.source.addr;
		q.source.bytes[(v4 ? 12 : 0) + flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		cr_assert_eq(ruleset_create(&r, 1, &set), 0);
		cr_assert_eq(ruleset_match(set, &q).rule_id == 0,
			ip_prefix_contains(&r.source, &q.source), "bit %u of /%u", flip,
			r.source.len_bits);
		ruleset_destroy(set);
	}
}

Test(policy_ruleset, refuses_what_cannot_be_meant)
{
	static struct policy_rule rules[POLICY_RULES_MAX + 1];
	struct policy_question q = {.way = POLICY_LAN_TO_LAN, .destination_port = 4000};
	struct ruleset *set = NULL;

	for (uint32_t i = 0; i <= POLICY_RULES_MAX; i++)
		rules[i] = rule_any;
	cr_assert_eq(ruleset_create(rules, POLICY_RULES_MAX + 1, &set), -EINVAL, "too many");
	for (uint32_t i = 0; i + 1 < POLICY_RULES_MAX; i++)
		rules[i].proto = PROTO_TCP;
	cr_assert_eq(ruleset_create(rules, POLICY_RULES_MAX, &set), 0);
	cr_assert_eq(ruleset_match(set, &q).rule_id, POLICY_RULES_MAX - 1, "the last one counts");
	ruleset_destroy(set);
	set = NULL;
	rules[1] = rule_any;
	rules[1].port_min = 10;
	rules[1].port_max = 9;
	cr_assert_eq(ruleset_create(rules, 2, &set), -EINVAL, "a range upside down");
	rules[1] = rule_any;
	rules[1].has_source = true;
	rules[1].source = (struct ip_prefix){ip_addr_quad(192, 0, 2, 0), 33};
	cr_assert_eq(ruleset_create(rules, 2, &set), -EINVAL, "longer than an address");
	rules[1] = rule_any;
	rules[1].ways = 1 << N_POLICY_WAYS;
	cr_assert_eq(ruleset_create(rules, 2, &set), -EINVAL, "a way that is none");
	cr_assert_null(set);
}

Test(policy_ruleset, device_group_and_class_narrow_a_rule)
{
	const struct mac_addr mac = {{0x02, 0, 0, 0, 0, 7}};
	struct policy_rule rules[4];
	struct ruleset *set;
	struct policy_question q = {
		.way = POLICY_LAN_TO_UPLINK,
		.proto = PROTO_TCP,
		.device = addr("192.168.50.7"),
		.source = addr("192.168.50.7"),
		.destination = addr("198.51.100.7"),
	};

	for (uint32_t i = 0; i < 4; i++)
		rules[i] = rule_any;
	rules[0].has_mac = true;
	rules[0].mac = mac;
	rules[1].has_device = true;
	rules[1].device = prefix("192.168.50.8");
	rules[2].groups = 1 << 3 | 1 << 5;
	rules[3].has_class = true;
	rules[3].class_id = 2;
	cr_assert_eq(ruleset_create(rules, 4, &set), 0);
	cr_expect_eq(ruleset_match(set, &q).rule_id, POLICY_RULE_DEFAULT);
	q.class_id = 2;
	cr_expect_eq(ruleset_match(set, &q).rule_id, 3);
	q.groups = 1 << 5;
	cr_expect_eq(ruleset_match(set, &q).rule_id, 2);
	q.device = addr("192.168.50.8");
	cr_expect_eq(ruleset_match(set, &q).rule_id, 1);
	q.mac = mac;
	cr_expect_eq(ruleset_match(set, &q).rule_id, 0);
	ruleset_destroy(set);
}

Test(policy_ruleset, an_idle_rule_keeps_its_place_and_matches_nothing)
{
	struct policy_rule rules[2] = {rule_any, rule_any};
	struct policy_question q = {.way = POLICY_LAN_TO_UPLINK, .proto = PROTO_TCP};
	struct ruleset *before;
	struct ruleset *now;

	rules[0].action = POLICY_REJECT;
	cr_assert_eq(ruleset_create(rules, 2, &before), 0);
	rules[0].is_idle = true;
	cr_assert_eq(ruleset_create(rules, 2, &now), 0);
	cr_expect_eq(ruleset_match(before, &q).rule_id, 0);
	cr_expect_eq(ruleset_match(now, &q).rule_id, 1);
	cr_expect(ruleset_is_same(before, now), "they are the same rules");
	cr_expect_eq(ruleset_n_rules(now), 2);
	cr_expect_eq(ruleset_rule(now, 0)->action, POLICY_REJECT);
	ruleset_destroy(now);
	rules[1].proto = PROTO_UDP;
	cr_assert_eq(ruleset_create(rules, 2, &now), 0);
	cr_expect(!ruleset_is_same(before, now));
	ruleset_destroy(now);
	cr_assert_eq(ruleset_create(rules, 1, &now), 0);
	cr_expect(!ruleset_is_same(before, now));
	ruleset_destroy(now);
	ruleset_destroy(before);
}
