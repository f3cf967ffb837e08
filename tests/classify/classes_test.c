/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/classes.h>
#include <weir/packet/meta.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A rule for any protocol, any remote, any port. */
static struct class_rule rule_any(const char *name)
{
	struct class_rule r = {.port_max = UINT16_MAX};

	strncpy(r.name, name, sizeof(r.name) - 1);
	return r;
}

/* The class of a flow of which only this is known. */
static uint8_t match(const struct classes *c, uint8_t proto, const struct ip_addr *remote,
	uint16_t port, uint64_t named)
{
	struct class_question q = {.proto = proto,
		.remote = *remote,
		.remote_port = port,
		.named = named,
		.dscp = DSCP_NONE};

	return classes_match(c, &q).class_id;
}

static struct ip_prefix prefix(struct ip_addr addr, uint8_t len_bits)
{
	return (struct ip_prefix){.addr = addr, .len_bits = len_bits};
}

Test(classify_classes, the_first_class_that_matches_decides)
{
	struct class_rule rules[4];
	struct classes *c;
	static const struct {
		const char *claim;
		uint8_t proto;
		uint8_t last_octet;
		uint16_t port;
		uint8_t class_id;
	} rows[] = {
		{"time by protocol and port", PROTO_UDP, 1, 123, 2},
		{"the port of another protocol is another", PROTO_TCP, 1, 123, 0},
		{"first of a range", PROTO_TCP, 1, 8000, 3},
		{"last of it", PROTO_UDP, 1, 8010, 3},
		{"below it", PROTO_TCP, 1, 7999, 0},
		{"above it", PROTO_TCP, 1, 8011, 0},
		{"a range comes before an address", PROTO_TCP, 130, 8000, 3},
		{"an address", PROTO_TCP, 130, 443, 4},
		{"just outside its prefix", PROTO_TCP, 127, 443, 0},
		{"the first of it", PROTO_TCP, 128, 443, 4},
		{"an ICMP identifier is no port", PROTO_ICMP, 1, 8000, 5},
	};

	rules[0] = rule_any("time");
	rules[0].proto = PROTO_UDP;
	rules[0].port_min = rules[0].port_max = 123;
	rules[1] = rule_any("cameras");
	rules[1].port_min = 8000;
	rules[1].port_max = 8010;
	rules[2] = rule_any("servicing");
	rules[2].has_remote = true;
	rules[2].remote = prefix(ip_addr_quad(198, 51, 100, 129), 25); /* host bits do not matter */
	rules[3] = rule_any("pings");
	rules[3].proto = PROTO_ICMP;
	cr_assert_eq(classes_create(rules, 4, &c), 0);
	memset(rules, 0xff, sizeof(rules)); /* they were copied */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_addr remote = ip_addr_quad(198, 51, 100, rows[i].last_octet);

		cr_assert_eq(match(c, rows[i].proto, &remote, rows[i].port, 0), rows[i].class_id,
			"%s", rows[i].claim);
	}
	cr_assert_str_eq(classes_name(c, 0), "default");
	cr_assert_str_eq(classes_name(c, 1), "unsolicited");
	cr_assert_str_eq(classes_name(c, 2), "time");
	cr_assert_str_eq(classes_name(c, 5), "pings");
	cr_assert_str_eq(classes_name(c, 6), "?");
	cr_assert_str_eq(classes_name(c, 255), "?");
	classes_destroy(c);
}

Test(classify_classes, without_any_all_is_default)
{
	struct ip_addr remote = ip_addr_quad(192, 0, 2, 1);
	struct classes *c;

	cr_assert_eq(classes_create(NULL, 0, &c), 0);
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, 0), CLASS_DEFAULT);
	classes_destroy(c);
	classes_destroy(NULL);
}

Test(classify_classes, refuses_what_cannot_be_meant)
{
	struct class_rule rules[CLASSES_MAX];
	struct classes *c = NULL;

	for (uint32_t i = 0; i < CLASSES_MAX; i++) {
		rules[i] = rule_any("c");
		rules[i].name[1] = (char)('A' + i);
	}
	cr_assert_eq(classes_create(rules, CLASSES_MAX - 1, &c), -EINVAL, "two ids are built in");
	cr_assert_eq(classes_create(rules, CLASSES_MAX - 2, &c), 0);
	classes_destroy(c);
	c = NULL;
	rules[0].port_min = 2;
	rules[0].port_max = 1;
	cr_assert_eq(classes_create(rules, 1, &c), -EINVAL, "a range upside down");
	rules[0] = rule_any("");
	cr_assert_eq(classes_create(rules, 1, &c), -EINVAL, "no name");
	memset(rules[0].name, 'x', sizeof(rules[0].name));
	cr_assert_eq(classes_create(rules, 1, &c), -EINVAL, "a name without its end");
	rules[0] = rule_any("long");
	rules[0].has_remote = true;
	rules[0].remote = prefix(ip_addr_quad(192, 0, 2, 0), 33);
	cr_assert_eq(classes_create(rules, 1, &c), -EINVAL, "longer than an address");
	rules[0] = rule_any("source");
	rules[0].has_source_port = true;
	rules[0].source_port_min = 1;
	cr_assert_eq(classes_create(rules, 1, &c), -EINVAL, "its source ports upside down");
	rules[0] = rule_any("bits");
	rules[0].has_names = true;
	rules[0].name_bit = CLASS_NAME_RULES_MAX;
	cr_assert_eq(classes_create(rules, 1, &c), -EINVAL, "a bit that no mask has");
	rules[0].name_bit = 3;
	rules[1] = rules[0];
	cr_assert_eq(classes_create(rules, 2, &c), -EINVAL, "one bit for two rules");
	cr_assert_null(c);
}

Test(classify_classes, a_class_with_names_takes_only_flows_to_one_of_them)
{
	struct class_rule rules[3] = {rule_any("service"), rule_any("updates"), rule_any("rest")};
	struct ip_addr remote = ip_addr_quad(192, 0, 2, 1);
	struct classes *c;

	rules[0].has_names = true;
	rules[0].name_bit = 40;
	rules[0].proto = PROTO_TCP;
	rules[0].port_min = rules[0].port_max = 443;
	rules[1].has_names = true;
	rules[1].name_bit = 2;
	rules[1].has_sni = true;
	rules[2].has_sni = true; /* means nothing without names */
	cr_assert_eq(classes_create(rules, 3, &c), 0);
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, 0), 4);
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, UINT64_C(1) << 40), 2);
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, 1 << 2), 3);
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, UINT64_C(1) << 40 | 1 << 2), 2, "the first");
	cr_assert_eq(match(c, PROTO_TCP, &remote, 80, UINT64_C(1) << 40 | 1 << 2), 3,
		"its other fields count too");
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, 1 << 4), 4);
	cr_assert_eq(classes_with_sni(c), 1 << 2);
	classes_destroy(c);
}

Test(classify_classes, any_of_its_rules_makes_a_flow_of_the_class)
{
	struct class_rule rules[] = {
		rule_any("servicing"), rule_any("pings"), rule_any("servicing"), rule_any("rest")};
	struct ip_addr remote = ip_addr_quad(192, 0, 2, 1);
	struct class_question q = {.proto = PROTO_UDP,
		.source_port = 124,
		.remote_port = 123,
		.remote = remote,
		.dscp = DSCP_NONE};
	struct classes *c;

	rules[0].proto = PROTO_TCP;
	rules[0].kind = CLASS_KIND_SERVICE;
	rules[1].proto = PROTO_ICMP;
	rules[1].is_untranslated = true;
	rules[2].proto = PROTO_UDP;
	rules[2].has_source_port = true;
	rules[2].source_port_min = rules[2].source_port_max = 124;
	rules[2].kind = CLASS_KIND_TIME;
	cr_assert_eq(classes_create(rules, 4, &c), 0);
	cr_assert_eq(match(c, PROTO_TCP, &remote, 443, 0), 2);
	cr_assert_eq(match(c, PROTO_ICMP, &remote, 0, 0), 3);
	cr_assert_eq(classes_match(c, &q).class_id, 2);
	cr_assert_eq(classes_match(c, &q).kind, CLASS_KIND_TIME);
	q.source_port = 125;
	cr_assert_eq(classes_match(c, &q).class_id, 4);
	cr_assert_eq(classes_match(c, &q).kind, CLASS_KIND_NONE);
	cr_assert_str_eq(classes_name(c, 4), "rest");
	cr_assert_str_eq(classes_name(c, 5), "?");
	cr_assert(classes_translates(c, 2));
	cr_assert_not(classes_translates(c, 3));
	classes_destroy(c);
}

Test(classify_classes, a_rule_asks_for_a_mark_or_a_device)
{
	struct class_rule rules[] = {rule_any("marked"), rule_any("group"), rule_any("mac"),
		rule_any("device"), rule_any("icmp")};
	static const struct {
		const char *claim;
		uint8_t dscp;
		uint64_t groups;
		uint8_t mac;
		uint8_t last_octet;
		uint8_t class_id;
	} rows[] = {
		{"nothing of all that", 0, 0, 1, 1, 0},
		{"its mark", 46, 0, 1, 1, 2},
		{"no packet of the device was seen", DSCP_NONE, 0, 1, 1, 0},
		{"one of its groups", 0, UINT64_C(1) << 63, 1, 1, 3},
		{"another group", 0, 2, 1, 1, 0},
		{"its MAC", 0, 0, 7, 1, 4},
		{"its address", 0, 0, 1, 129, 5},
		{"an address beside it", 0, 0, 1, 127, 0},
	};
	struct classes *c;

	rules[0].has_dscp = true;
	rules[0].dscp = 46;
	rules[1].groups = UINT64_C(1) << 63 | 1;
	rules[2].has_mac = true;
	rules[2].mac = (struct mac_addr){{2, 0, 0, 0, 0, 7}};
	rules[3].has_device = true;
	rules[3].device = prefix(ip_addr_quad(192, 168, 50, 128), 25);
	rules[4].proto = PROTO_ICMP;
	rules[4].has_source_port = true; /* of nothing that ICMP has */
	rules[4].source_port_max = UINT16_MAX;
	cr_assert_eq(classes_create(rules, 5, &c), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct class_question q = {.proto = PROTO_ICMP,
			.dscp = rows[i].dscp,
			.groups = rows[i].groups,
			.mac = {{2, 0, 0, 0, 0, rows[i].mac}},
			.device = ip_addr_quad(192, 168, 50, rows[i].last_octet)};

		cr_assert_eq(classes_match(c, &q).class_id, rows[i].class_id, "%s", rows[i].claim);
	}
	classes_destroy(c);
}

/* More rules than are looked at in one word, of all sorts: whatever is passed over decides nothing. */
Test(classify_classes, rules_that_cannot_fit_are_passed_over_and_no_other)
{
	static const uint8_t protos[] = {0, PROTO_TCP, PROTO_UDP, PROTO_ICMP, 47};
	struct class_rule rules[200];
	struct classes *c;

	for (uint32_t i = 0; i < 200; i++) {
		rules[i] = rule_any("c");
		snprintf(rules[i].name, sizeof(rules[i].name), "c%u", i % 8);
		rules[i].proto = protos[i * 7 % 5];
		rules[i].has_dscp = true;
		rules[i].dscp = (uint8_t)(i * 11 % 64);
		rules[i].has_names = i % 9 == 0;
		rules[i].name_bit = (uint8_t)(i / 9);
	}
	cr_assert_eq(classes_create(rules, 200, &c), 0);
	for (uint32_t n = 0; n < 5 * 64 * 3; n++) {
		struct class_question q = {.proto = protos[n % 5],
			.dscp = (uint8_t)(n / 5 % 64),
			.named = n / 320 * UINT64_C(0x15)};
		uint32_t want = 0;

		while (want < 200
			&& ((rules[want].proto != 0 && rules[want].proto != q.proto)
				|| rules[want].dscp != q.dscp
				|| (rules[want].has_names
					&& (q.named >> rules[want].name_bit & 1) == 0)))
			want++;
		cr_assert_str_eq(classes_name(c, classes_match(c, &q).class_id),
			want < 200 ? rules[want].name : "default", "question %u", n);
	}
	classes_destroy(c);
}
