/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/apply.h>
#include <weir/control/config.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD                                                                                       \
	"name: pump\n"                                                                             \
	"source: https://pump.example/ports\n"                                                     \
	"checked_on: 2026-02-28\n"

#define SITE                                                                                       \
	"ports:\n"                                                                                 \
	"  lan0: { role: lan, device: eth1, address: 192.168.50.1/24 }\n"                          \
	"  wwan0: { role: uplink, device: wwan0, link: cellular, address: 10.64.3.7/32 }\n"

static struct config_profile *profile;

static void setup(void)
{
	profile = calloc(1, sizeof(*profile));
}

static void teardown(void)
{
	free(profile);
}

TestSuite(control_config_profile, .init = setup, .fini = teardown);

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");

	cr_assert_not_null(out, "%s", path);
	cr_assert_geq(fputs(text, out), 0);
	fclose(out);
}

Test(control_config_profile, those_that_come_with_weir_are_whole)
{
	static const char *const names[] = {"azure-sphere", "fleet-update"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct config_report report = {0};
		char path[DATA_PATH_MAX];
		uint32_t kinds = 0;
		char *text;
		size_t len;

		cr_assert_eq(data_file_find(SOURCE_ROOT "/config", "profiles", names[i], path), 0);
		cr_assert_eq(data_file_read(path, 65536, &text, &len), 0);
		cr_assert_eq(config_profile_read(text, len, names[i], profile, &report), 0);
		cr_expect_eq(report.n_messages, 0);
		cr_expect_eq(profile->warn_after_us, 20 * 3600 * US_PER_S);
		cr_expect_eq(profile->overdue_after_us, 24 * 3600 * US_PER_S);
		cr_expect_eq(profile->update_octets, 100000);
		for (uint32_t k = 0; k < profile->n_rules; k++) {
			kinds |= 1u << profile->rules[k].kind;
			cr_expect_eq(profile->rules[k].dscp, DSCP_NONE);
			cr_expect(profile->rules[k].is_given);
		}
		cr_expect_eq(kinds & 1u << CLASS_KIND_NONE, 0);
		cr_expect_neq(kinds & 1u << CLASS_KIND_SERVICE, 0);
		cr_expect_neq(kinds & 1u << CLASS_KIND_DNS, 0);
		cr_expect_neq(kinds & 1u << CLASS_KIND_TIME, 0);
		cr_expect_neq(kinds & 1u << CLASS_KIND_UPDATE, 0);
		free(text);
	}
}

Test(control_config_profile, every_mistake_is_told_at_its_line)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *message; /* begins so */
	} rows[] = {
		{HEAD, 1, "'rules' is missing; write a list"},
		{HEAD "rules: []\n", 4, "rules: there are none; write - { kind: service"},
		{HEAD "rules: [{port: 53, protocol: udp}]\n", 4,
			"rules[1]: 'kind' is missing; write"},
		{HEAD "rules:\n- {kind: servise, port: 53}\n", 5,
			"rules[1].kind: 'servise' is not known here; write 'service'"},
		{HEAD "rules: [{kind: dns}]\n", 4, "rules[1]: says nothing of a flow"},
		{HEAD "rules: [{kind: dns, remote: 10.0.0.0/8}]\n", 4,
			"rules[1].remote: unknown key; "},
		{HEAD "rules: [{kind: dns, names: [a..b]}]\n", 4,
			"rules[1].names: 'a..b' is no host name"},
		{HEAD "rules: [{kind: dns, port: 53, sni: true}]\n", 4,
			"rules[1].sni: there is nothing to be named"},
		{HEAD "rules: [{kind: dns, protocol: icmp, port: 53}]\n", 4,
			"rules[1].port: only tcp and udp have ports"},
		{HEAD "warn_after: 25h\nrules: [{kind: dns, port: 53}]\n", 4,
			"warn_after: comes when the device is overdue already"},
		{HEAD "ports: {}\nrules: [{kind: dns, port: 53}]\n", 4, "ports: unknown key"},
		{"name: pumps\nsource: a\nchecked_on: 2026-02-28\nrules: [{kind: dns, port: 53}]\n",
			1, "name: is not what the file is called by; write pump"},
		{"name: pump\nsource: a\nchecked_on: 2026-02-29\nrules: [{kind: dns, port: 53}]\n",
			3, "checked_on: '2026-02-29' is no day"},
		{"name: pump\nsource: a\nchecked_on: 26-02-01\nrules: [{kind: dns, port: 53}]\n", 3,
			"checked_on: '26-02-01' is no day"},
		{"[", 2, "not YAML"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_report report = {0};
		const char *text;

		cr_assert_eq(config_profile_read(
				     rows[i].text, strlen(rows[i].text), "pump", profile, &report),
			-EINVAL, "case %zu", i);
		cr_assert_geq(report.n_messages, 1);
		text = report.messages[0].text;
		cr_expect_eq(strncmp(text, rows[i].message, strlen(rows[i].message)), 0,
			"case %zu: %s", i, text);
		cr_expect_leq(report.messages[0].line, rows[i].line, "case %zu", i);
		config_report_clean(&report);
	}
}

/* Loads a file and prints its report as weir check does. */
static char *load(const char *file, struct config **ret_config, int *ret_error)
{
	struct config_report report = {0};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	*ret_config = NULL;
	*ret_error = config_load(file, 0, ret_config, &report);
	config_report_print(&report, "site.yaml", out);
	fclose(out);
	config_report_clean(&report);
	return text;
}

Test(control_config_profile, a_file_beside_the_configuration_is_read_and_blamed)
{
	char dir[] = "/tmp/weir-profile-XXXXXX";
	char site[64];
	char pump[64];
	char expected[256];
	struct config *running;
	struct config *wanted;
	struct config *next;
	struct config_changes changes = {0};
	char *text;
	int error;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(site, sizeof(site), "%s/site.yaml", dir);
	snprintf(pump, sizeof(pump), "%s/profiles", dir);
	cr_assert_eq(mkdir(pump, 0700), 0);
	snprintf(pump, sizeof(pump), "%s/profiles/pump.yaml", dir);
	write_file(site,
		SITE "classes:\n  a: {profile: pump}\n  b: {profile: pump}\n  c: {port: x}\n");
	write_file(pump, HEAD "rules:\n- {kind: service, port: 70000}\n");
	text = load(site, &running, &error);
	cr_expect_eq(error, -EINVAL);
	snprintf(expected, sizeof(expected),
		"site.yaml:7: error: classes.c.port: 'x' is no port; write a port or a range such "
		"as "
		"1024-65535, from 1 to 65535\n%s:5: error: rules[1].port: '70000' is out of "
		"range; ",
		pump);
	cr_expect_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
	free(text);
	write_file(site, SITE "classes:\n  a: {profile: pump}\n");
	write_file(pump, HEAD "rules:\n- {kind: service, port: 700}\n");
	free(load(site, &running, &error));
	cr_assert_eq(error, 0);
	write_file(pump, HEAD "rules:\n- {kind: service, port: 701}\n");
	free(load(site, &wanted, &error));
	cr_assert_eq(error, 0);
	cr_expect_eq(wanted->n_profiles, 1);
	cr_expect_eq(wanted->profiles[0].rules[0].port.min, 701);
	cr_assert_eq(config_compare(running, wanted, &next, &changes), 0);
	cr_expect_eq(changes.n_live, 1, "what a profile says changes live");
	cr_expect_eq(next->profiles[0].rules[0].port.min, 701);
	config_changes_clean(&changes);
	config_destroy(next);
	config_destroy(wanted);
	config_destroy(running);
	cr_assert_eq(unlink(pump), 0);
	cr_assert_eq(unlink(site), 0);
	snprintf(pump, sizeof(pump), "%s/profiles", dir);
	cr_assert_eq(rmdir(pump), 0);
	cr_assert_eq(rmdir(dir), 0);
}

/* 16 rules a class; five such classes are more than there are bits. */
Test(control_config_profile, rules_with_names_are_bounded)
{
	struct config_report report = {0};
	struct config *c = NULL;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, SITE "classes:\n");
	for (int k = 0; k < 5; k++) {
		fprintf(out, "  c%d:\n    match:\n", k);
		for (int i = 0; i < (k < 4 ? 16 : 1); i++)
			fprintf(out, "      - {names: [h%d-%d.example]}\n", k, i);
	}
	fclose(out);
	cr_expect_eq(config_read(text, len, 0, &c, &report), -EINVAL);
	cr_assert_eq(report.n_messages, 1);
	cr_expect_eq(strncmp(report.messages[0].text, "classes.c4: more than 64 rules", 30), 0,
		"%s", report.messages[0].text);
	config_report_clean(&report);
	free(text);
}

/* Configurations are compared by their octets. */
Test(control_config_profile, what_is_read_twice_is_the_same)
{
	static const char text[] =
		SITE "groups: {pumps: {devices: [192.168.50.9]}}\n"
		     "classes:\n"
		     "  a: {match: [{dscp: EF, device: 192.168.50.0/25}, {device: "
		     "02:00:5e:10:00:01, names: [a.example]}, {group: pumps, source_port: 1-9, "
		     "remote: 10.0.0.0/8}]}\n"
		     "  b: {profile: azure-sphere, group: pumps}\n";
	struct config_report report = {0};
	struct config_changes changes = {0};
	struct config *c[2];
	struct config *next;

	for (int i = 0; i < 2; i++)
		cr_assert_eq(config_read(text, strlen(text), 0, &c[i], &report), 0);
	cr_assert_eq(config_compare(c[0], c[1], &next, &changes), 0);
	cr_expect_eq(changes.n, 0, "%s", changes.n > 0 ? changes.list[0].key : "");
	config_changes_clean(&changes);
	config_destroy(next);
	config_destroy(c[1]);
	config_destroy(c[0]);
	config_report_clean(&report);
}
