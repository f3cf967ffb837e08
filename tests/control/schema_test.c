/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/config.h>
#include <weir/control/schema.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct schema_row *find(const char *path)
{
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		if (strcmp(row->path, path) == 0)
			return row;
	}
	cr_assert_fail("no row %s", path);
	return NULL;
}

Test(control_schema, every_row_has_its_parent_before_it_and_a_sentence_of_help)
{
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		const char *dot = strrchr(row->path, '.');
		bool has_parent = dot == NULL;

		for (const struct schema_row *p = schema_rows(); p != row; p++) {
			cr_expect_str_neq(p->path, row->path);
			has_parent |= schema_is_child(row, p);
		}
		cr_expect(has_parent, "%s", row->path);
		cr_assert_not_null(row->help, "%s", row->path);
		cr_expect_eq(row->help[strlen(row->help) - 1], '.', "%s", row->path);
		cr_expect_lt(strlen(row->path), SCHEMA_PATH_MAX);
	}
}

Test(control_schema, a_key_that_is_not_required_says_what_holds_without_it)
{
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		bool is_value = row->type >= SCHEMA_NAME && strcmp(schema_key(row), "[]") != 0;
		bool has_default = row->fallback != NULL || row->fallback_words != NULL;

		if (is_value)
			cr_expect_neq(
				has_default, (row->flags & SCHEMA_REQUIRED) != 0, "%s", row->path);
	}
}

Test(control_schema, fields_of_one_struct_do_not_overlap)
{
	for (const struct schema_row *a = schema_rows(); a->path != NULL; a++) {
		for (const struct schema_row *b = schema_rows(); b != a; b++) {
			size_t depth = (size_t)(strrchr(a->path, '.') - a->path);

			if (a->type < SCHEMA_NAME || b->type < SCHEMA_NAME
				|| strchr(a->path, '.') == NULL
				|| strncmp(a->path, b->path, depth + 1) != 0
				|| strpbrk(b->path + depth + 1, "*[") != NULL)
				continue;
			cr_expect(a->offset + a->size_bytes <= b->offset
					  || b->offset + b->size_bytes <= a->offset,
				"%s, %s", a->path, b->path);
		}
	}
}

/* Texts of a row's bounds, its neighbours outside included. */
struct bound_row {
	const char *path;
	const char *text;
	int error;
};

Test(control_schema, min_and_max_are_accepted_and_what_lies_just_outside_is_not)
{
	static const struct bound_row rows[] = {
		{"ports.*.mtu", "575", -EINVAL},
		{"ports.*.mtu", "576", 0},
		{"ports.*.mtu", "9000", 0},
		{"ports.*.mtu", "9001", -EINVAL},
		{"ports.*.vlan", "0", -EINVAL},
		{"ports.*.vlan", "1", 0},
		{"ports.*.vlan", "4094", 0},
		{"ports.*.vlan", "4095", -EINVAL},
		{"ports.*.rate.uplink", "7999bps", -EINVAL},
		{"ports.*.rate.uplink", "8kbps", 0},
		{"ports.*.rate.downlink", "100Gbps", 0},
		{"ports.*.rate.downlink", "100.1Gbps", -EINVAL},
		{"ports.*.queue", "4999us", -EINVAL},
		{"ports.*.queue", "5ms", 0},
		{"ports.*.queue", "10s", 0},
		{"ports.*.queue", "10001ms", -EINVAL},
		{"plans.*.quota", "999B", -EINVAL},
		{"plans.*.quota", "1kB", 0},
		{"plans.*.quota", "1000TB", 0},
		{"plans.*.quota", "1000000000000001B", -EINVAL},
		{"plans.*.overhead", "1kB", 0},
		{"plans.*.overhead", "1001B", -EINVAL},
		{"plans.*.cycle.day", "0", -EINVAL},
		{"plans.*.cycle.day", "31", 0},
		{"plans.*.cycle.day", "32", -EINVAL},
		{"plans.*.cycle.hour", "0", 0},
		{"plans.*.cycle.hour", "23", 0},
		{"plans.*.cycle.hour", "24", -EINVAL},
		{"plans.*.ladder.[].at", "0%", -EINVAL},
		{"plans.*.ladder.[].at", "0.0001%", 0},
		{"plans.*.ladder.[].at", "100%", 0},
		{"plans.*.ladder.[].at", "101%", -EINVAL},
		{"nat.ports", "0-10", -EINVAL},
		{"nat.ports", "1-65535", 0},
		{"nat.ports", "1-65536", -EINVAL},
		{"nat.ports", "10-9", -EINVAL},
		{"nat.ports", "9-", -EINVAL},
		{"nat.ports", "-9", -EINVAL},
		{"nat.ports", "9--10", -EINVAL},
		{"timeouts.tcp_established", "2h3m59s", -EINVAL},
		{"timeouts.tcp_established", "2h4m", 0},
		{"timeouts.tcp_established", "7d", 0},
		{"timeouts.tcp_established", "7d1s", -EINVAL},
		{"timeouts.tcp_transitory", "239s", -EINVAL},
		{"timeouts.tcp_transitory", "240s", 0},
		{"timeouts.udp", "119s", -EINVAL},
		{"timeouts.udp", "120s", 0},
		{"timeouts.udp_one_way", "119s", -EINVAL},
		{"timeouts.udp_one_way", "120s", 0},
		{"timeouts.icmp", "59s", -EINVAL},
		{"timeouts.icmp", "60s", 0},
		{"timeouts.fragment", "1s", -EINVAL},
		{"timeouts.fragment", "2s", 0},
		{"flows.capacity", "255", -EINVAL},
		{"flows.capacity", "256", 0},
		{"flows.capacity", "16777216", 0},
		{"flows.capacity", "16777217", -EINVAL},
		{"devices.capacity", "65534", 0},
		{"devices.capacity", "65535", -EINVAL},
		{"runtime.interim", "0s", 0},
		{"runtime.interim", "1s", -EINVAL},
		{"runtime.interim", "5s", 0},
		{"runtime.interim", "1h", 0},
		{"runtime.interim", "61m", -EINVAL},
		{"runtime.workers", "0", -EINVAL},
		{"runtime.workers", "1", 0},
		{"runtime.workers", "2", -EINVAL},
		{"classes.*.protocol", "any", 0},
		{"classes.*.protocol", "255", 0},
		{"classes.*.protocol", "256", -EINVAL},
		{"classes.*.protocol", "0", -EINVAL},
		{"runtime.state_dir", "/run/weir", 0},
		{"runtime.state_dir", "run/weir", -EINVAL},
		{"gateway", "", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct schema_row *row = find(rows[i].path);
		char why[SCHEMA_WHY_MAX] = "";
		unsigned char field[256];

		memset(field, 0x5a, sizeof(field));
		cr_expect_eq(schema_parse(row, rows[i].text, field, why), rows[i].error,
			"%s: '%s': %s", rows[i].path, rows[i].text, why);
		cr_expect_eq(why[0] == '\0', rows[i].error == 0, "%s: '%s': %s", rows[i].path,
			rows[i].text, why);
		/* Untouched after a mistake, and never written beyond its size. */
		for (size_t k = rows[i].error == 0 ? row->size_bytes : 0; k < sizeof(field); k++)
			cr_assert_eq(field[k], 0x5a, "%s: '%s'", rows[i].path, rows[i].text);
	}
}

Test(control_schema, a_quantity_that_cannot_be_read_is_answered_with_what_was_meant)
{
	static const struct {
		const char *path;
		const char *text;
		const char *meant;
	} rows[] = {
		{"plans.*.quota", "500 MB", "500MB"},
		{"plans.*.quota", "500", "500MB"},
		{"plans.*.quota", "500mb", "500MB"},
		{"plans.*.quota", "500M", "500MB"},
		{"plans.*.quota", "1,5GB", "1.5GB"},
		{"plans.*.quota", "1 gib", "1GiB"},
		{"plans.*.quota", "plenty", "500MB"},
		{"plans.*.overhead", "54", "54B"},
		{"plans.*.overhead", "54 bytes", "54B"},
		{"ports.*.rate.uplink", "5 Mbit/s", "5Mbps"},
		{"ports.*.rate.uplink", "5mbps", "5Mbps"},
		{"ports.*.rate.uplink", "256", "256kbps"},
		{"ports.*.queue", "80", "80ms"},
		{"timeouts.udp", "300", "300s"},
		{"timeouts.udp", "5 minutes", "5m"},
		{"timeouts.tcp_established", "3 hours", "3h"},
		{"plans.*.ladder.[].at", "80", "80%"},
		{"plans.*.ladder.[].at", "80 %", "80%"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[SCHEMA_WHY_MAX] = "";
		uint64_t field = 0;
		const char *colon;

		cr_assert_eq(schema_parse(find(rows[i].path), rows[i].text, &field, why), -EINVAL,
			"%s", rows[i].text);
		colon = strrchr(why, ':');
		cr_assert_not_null(colon, "%s", why);
		cr_expect_str_eq(colon + 2, rows[i].meant, "%s: %s", rows[i].text, why);
	}
}

Test(control_schema, the_nearest_key_is_proposed_and_another_word_is_not)
{
	const struct schema_row *port = find("ports.*");

	cr_expect_str_eq(schema_nearest_key(port, "adress"), "address");
	cr_expect_str_eq(schema_nearest_key(port, "Role"), "role");
	cr_expect_str_eq(schema_nearest_key(port, "vaddress"), "address");
	cr_expect_str_eq(schema_nearest_key(port, "dveice"), "device");
	cr_expect_str_eq(schema_nearest_key(NULL, "polcy"), "policy");
	cr_expect_null(schema_nearest_key(port, "firewall"));
	cr_expect_null(schema_nearest_key(port, ""));
	cr_expect_null(schema_nearest_key(port, "a-key-that-is-longer-than-any-slip-of-a-key"));
}
