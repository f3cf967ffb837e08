/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/carrier.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARRIERS SOURCE_ROOT "/config/carriers/"
#define HEAD     "carrier: x\nsource: somewhere\nchecked_on: 2026-11-23\n"

static struct bill_rule rule_of(const char *file)
{
	struct config_report report = {0};
	struct carrier c = {0};
	int error = carrier_load(file, &c, &report);

	config_report_print(&report, file, stderr);
	config_report_clean(&report);
	cr_assert_eq(error, 0, "%s", file);
	return c.rule;
}

static bool rules_equal(const struct bill_rule *a, const struct bill_rule *b)
{
	bool equal = a->per == b->per && a->quantum_octets == b->quantum_octets
		     && a->session_cut_us == b->session_cut_us && a->slack_us == b->slack_us
		     && a->hidden_cuts_day == b->hidden_cuts_day
		     && a->unseen_downlink_ppm == b->unseen_downlink_ppm
		     && a->lost_uplink_ppm == b->lost_uplink_ppm;

	for (int d = 0; d < N_DIRECTIONS; d++)
		equal = equal && a->overhead_low[d] == b->overhead_low[d]
			&& a->overhead_high[d] == b->overhead_high[d]
			&& a->weight_ppm[d] == b->weight_ppm[d];
	return equal;
}

Test(control_carrier, the_shipped_files_say_what_the_carriers_pages_say)
{
	struct bill_rule soracom = rule_of(CARRIERS "soracom.yaml");
	struct bill_rule emnify = rule_of(CARRIERS "emnify.yaml");
	struct bill_rule once = rule_of(CARRIERS "1nce.yaml");
	struct bill_rule generic = rule_of(CARRIERS "generic.yaml");

	cr_expect(soracom.overhead_low[UPLINK] == 50 && soracom.overhead_high[UPLINK] == 54);
	cr_expect(soracom.overhead_low[DOWNLINK] == 50 && soracom.overhead_high[DOWNLINK] == 54);
	cr_expect(soracom.quantum_octets == 102400 && soracom.per == BILL_PER_CYCLE);
	cr_expect(emnify.quantum_octets == 1024 && emnify.per == BILL_PER_SESSION);
	cr_expect(emnify.session_cut_us == 86400 * US_PER_S && emnify.overhead_high[UPLINK] == 0);
	cr_expect(once.quantum_octets == 1024 && once.overhead_high[DOWNLINK] == 0);
	cr_expect(generic.per == BILL_PER_SESSION);
}

Test(control_carrier, what_a_file_leaves_out_is_as_if_nothing_were_known)
{
	struct config_report report = {0};
	struct bill_rule expected = bill_rule_default();
	struct carrier c;

	cr_assert_eq(carrier_read(HEAD, strlen(HEAD), &c, &report), 0);
	cr_expect(rules_equal(&c.rule, &expected));
	cr_expect_str_eq(c.name, "x");
	cr_expect_str_eq(c.source, "somewhere");
	cr_expect_str_eq(c.checked_on, "2026-11-23");
	config_report_clean(&report);
}

Test(control_carrier, each_mistake_is_reported_at_its_line)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *says;
	} rows[] = {
		{HEAD "overhed: 50B\n", 4, "unknown key"},
		{HEAD "uplink: { overhead: 50 }\n", 4, "uplink.overhead"},
		{HEAD "uplink: 50B\n", 4, "section"},
		{HEAD "rounding: { per: day }\n", 4, "one value"},
		{HEAD "per: week\n", 4, "'week'"},
		{HEAD "unseen_downlink: 51%\n", 4, "unseen_downlink"},
		{HEAD "per: [cycle]\n", 4, "one value"},
		{"carrier: x\nsource: y\nchecked_on: 2026-02-30\n", 0, "checked_on"},
		{"carrier: x\nchecked_on: 2026-02-28\n", 0, "source"},
		{"source: x\nchecked_on: 2026-02-28\n", 0, "carrier"},
		{HEAD "uplink: { overhead: 50B, overhead_max: 40B }\n", 0, "overhead_max"},
		{HEAD "free_classes: voice\n", 4, "free_classes"},
		{"carrier: { a: b }\nsource: x\nchecked_on: 2026-02-28\n", 1, "a line of text"},
		{"carrier: a_name_that_is_much_longer_than_31\nsource: x\nchecked_on: 2026-02-28\n",
			1, "too long"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_report report = {0};
		struct carrier c = {.name = "untouched"};
		bool found = false;

		cr_expect_eq(carrier_read(rows[i].text, strlen(rows[i].text), &c, &report), -EINVAL,
			"%s", rows[i].text);
		for (uint32_t k = 0; k < report.n_messages; k++)
			found |= report.messages[k].line == rows[i].line
				 && strstr(report.messages[k].text, rows[i].says) != NULL;
		cr_expect(found, "%s", rows[i].text);
		cr_expect_str_eq(c.name, "untouched");
		config_report_clean(&report);
	}
}

Test(control_carrier, a_file_that_is_not_there_is_said_so)
{
	struct config_report report = {0};
	struct carrier c;

	cr_expect_eq(carrier_load(CARRIERS "nobody.yaml", &c, &report), -ENOENT);
	cr_expect_eq(report.n_errors, 1);
	config_report_clean(&report);
}

#define SITE                                                                                       \
	"ports:\n"                                                                                 \
	"  lan0: { role: lan, device: eth1, address: 192.168.50.1/24 }\n"                          \
	"  wwan0: { role: uplink, device: wwan0, address: 10.64.3.7/32, plan: sim1 }\n"            \
	"plans:\n"

/* A configuration, or NULL; `found`: whether a message says so. */
static struct config *config_of(const char *text, const char *says, bool *found)
{
	struct config_report report = {0};
	struct config *c = NULL;

	(void)config_read(text, strlen(text), 0, &c, &report);
	*found = says == NULL;
	for (uint32_t i = 0; i < report.n_messages && says != NULL; i++)
		*found |= strstr(report.messages[i].text, says) != NULL;
	config_report_clean(&report);
	return c;
}

Test(control_carrier, a_plan_takes_its_carriers_way_of_counting)
{
	struct bill_rule soracom = rule_of(CARRIERS "soracom.yaml");
	bool found;
	struct config *c =
		config_of(SITE "  sim1: { quota: 500MB, carrier: soracom }\n", NULL, &found);

	cr_assert_not_null(c);
	cr_expect(rules_equal(&c->plans[0].counting, &soracom));
	config_destroy(c);
	c = config_of(SITE "  sim1: { quota: 500MB, overhead: 54B }\n", NULL, &found);
	cr_assert_not_null(c);
	cr_expect_eq(c->plans[0].counting.overhead_low[DOWNLINK], 54);
	cr_expect_eq(c->plans[0].counting.overhead_high[UPLINK], 54);
	config_destroy(c);
}

Test(control_carrier, a_carrier_that_has_no_file_or_a_bad_one_is_told_with_the_files_name)
{
	char file[] = "/tmp/carrier-XXXXXX";
	int fd = mkstemp(file);
	char text[1024];
	bool found;

	cr_assert_null(config_of(SITE "  sim1: { quota: 500MB, carrier: nobody }\n",
		"plans.sim1.carrier: there is no carriers/nobody.yaml", &found));
	cr_expect(found);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, HEAD "rounding: 5\n", sizeof(HEAD "rounding: 5\n") - 1),
		sizeof(HEAD "rounding: 5\n") - 1);
	close(fd);
	(void)snprintf(text, sizeof(text), SITE "  sim1: { quota: 500MB, carrier: %s }\n", file);
	cr_assert_null(config_of(text, ":4: rounding: '5' has no unit", &found));
	cr_expect(found);
	unlink(file);
}

Test(control_carrier, classes_that_are_free_are_the_plans_and_the_carriers)
{
	static const struct {
		const char *text;
		const char *says; /* NULL: it is right */
	} rows[] = {
		{SITE "  sim1: { quota: 1GB, free_classes: [voice] }\nclasses: { voice: { port: "
		      "5060 } }\n",
			NULL},
		{SITE "  sim1: { quota: 1GB, free_classes: [voise] }\nclasses: { voice: { port: "
		      "5060 } }\n",
			"there is no class 'voise'"},
		{SITE "  sim1: { quota: 1GB, free_classes: [voice] }\n"
		      "classes: { voice: { port: 5060, reserve: 1MB } }\n",
			"'voice' owns a reserve"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool found;
		struct config *c = config_of(rows[i].text, rows[i].says, &found);

		cr_expect(found, "row %zu", i);
		cr_expect_eq(c != NULL, rows[i].says == NULL, "row %zu", i);
		config_destroy(c);
	}
}
