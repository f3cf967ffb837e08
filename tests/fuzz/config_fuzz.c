/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whatever a file holds, it is either refused with at least one error or gives a configuration that the path can be made of;
 * and so with a profile, and with a carrier's file, which gives a rule that bounds a bill.
 */
#include <weir/control/apply.h>
#include <weir/control/carrier.h>
#include <weir/control/config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_report(const struct config_report *report)
{
	for (uint32_t i = 0; i < report->n_messages; i++) {
		const char *text = report->messages[i].text;
		size_t text_len = strnlen(text, CONFIG_MESSAGE_MAX);

		if (text_len == 0 || text_len == CONFIG_MESSAGE_MAX)
			abort();
		/* A message goes to a terminal: nothing that it would obey. */
		for (size_t k = 0; k < text_len; k++) {
			if ((unsigned char)text[k] < 0x20 || text[k] == 0x7f)
				abort();
		}
	}
}

static void check_config(const struct config *c)
{
	struct config_changes changes = {0};
	struct config *next = NULL;

	if (c->n_ports < 2 || c->n_ports > PORTS_MAX || c->n_rules > POLICY_RULES_MAX)
		abort();
	if (config_compare(c, c, &next, &changes) != 0 || changes.n != 0)
		abort();
	config_changes_clean(&changes);
	config_destroy(next);
}

static void check_profile(const uint8_t *data, size_t len)
{
	struct config_profile *p = calloc(1, sizeof(*p));
	struct config_report report = {0};
	int error;

	if (p == NULL)
		return;
	error = config_profile_read((const char *)data, len, "azure-sphere", p, &report);
	if ((error == 0) != (report.n_errors == 0) || p->n_rules > CONFIG_MATCH_MAX)
		abort();
	check_report(&report);
	config_report_clean(&report);
	free(p);
}

static void check_carrier(const uint8_t *data, size_t len)
{
	struct config_report report = {0};
	struct carrier c;
	struct bill b;
	int error = carrier_read((const char *)data, len, &c, &report);

	if ((error == 0) != (report.n_errors == 0))
		abort();
	check_report(&report);
	config_report_clean(&report);
	if (error != 0)
		return;
	bill_init(&b, &c.rule, (struct bill_span){0, 86400}, 0);
	bill_add(&b, DOWNLINK, 1000000, 1000);
	if (bill_at(&b, &c.rule).low_octets > bill_at(&b, &c.rule).high_octets)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int error = config_read((const char *)data, len, 0, &c, &report);

	if ((error == 0) != (report.n_errors == 0) || (error == 0) != (c != NULL))
		abort();
	check_report(&report);
	if (c != NULL)
		check_config(c);
	config_report_clean(&report);
	config_destroy(c);
	check_profile(data, len);
	check_carrier(data, len);
	return 0;
}
