/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/log.h>
#include <weir/control/drop_watch.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char said[4096];

static void hear(void *context, enum log_level level, const char *line, size_t n)
{
	(void)context;
	(void)level;
	cr_assert_lt(strlen(said) + n + 2, sizeof(said));
	(void)strncat(said, line, n);
	(void)strcat(said, "\n");
}

static struct drop_watch watch;
static uint64_t drops[N_DROP_REASONS];

/* Lets `n` seconds pass with so many drops each; returns what was told. */
static const char *pass(enum drop_reason why, uint64_t a_second, uint32_t n, uint32_t alarm)
{
	said[0] = '\0';
	log_set_level(LOG_ERROR);
	log_set_listener(hear, NULL);
	for (uint32_t i = 0; i < n; i++) {
		drops[why] += a_second;
		drop_watch_tick(&watch, drops, alarm);
	}
	log_set_listener(NULL, NULL);
	return said;
}

Test(control_drop_watch, tells_once_when_a_rate_is_exceeded_and_once_when_it_has_halved)
{
	(void)pass(DROP_NAT_NO_PORT, 0, 10, 100);
	cr_expect_str_eq(pass(DROP_NAT_NO_PORT, 100, 20, 100), "");
	cr_expect_eq(
		strncmp(pass(DROP_NAT_NO_PORT, 102, 20, 100),
			"drops.above reason=nat.no_port packets_per_s=100 alarm_per_s=100", 64),
		0, "%s", said);
	cr_expect_eq(strchr(said, '\n'), said + strlen(said) - 1, "told more than once: %s", said);
	cr_expect_str_eq(pass(DROP_NAT_NO_PORT, 50, 20, 100), "");
	cr_expect_eq(
		strncmp(pass(DROP_NAT_NO_PORT, 49, 20, 100), "drops.below reason=nat.no_port", 30),
		0, "%s", said);
}

Test(control_drop_watch, what_weir_does_all_day_is_no_trouble)
{
	(void)pass(DROP_ARP_DONE, 0, 10, 100);
	cr_expect_str_eq(pass(DROP_ARP_DONE, 5000, 20, 100), "");
	cr_expect_str_eq(pass(DROP_SHAPE_CODEL, 5000, 20, 100), "");
	cr_expect_str_eq(pass(DROP_SHAPE_ACK, 5000, 20, 100), "");
	cr_expect_str_neq(pass(DROP_POLICY_INBOUND, 5000, 20, 100), "");
}

Test(control_drop_watch, an_alarm_of_zero_tells_nothing_and_ends_what_was_told)
{
	(void)pass(DROP_FLOW_TTL, 0, 10, 100);
	cr_expect_str_eq(pass(DROP_FLOW_TTL, 500, 20, 0), "");
	cr_expect_str_neq(pass(DROP_FLOW_TTL, 500, 1, 100), "");
	cr_expect_eq(strncmp(pass(DROP_FLOW_TTL, 500, 2, 0), "drops.below", 11), 0, "%s", said);
}

Test(control_drop_watch, counters_of_before_the_start_are_no_burst)
{
	drops[DROP_FLOW_TTL] = 1000000;
	cr_expect_str_eq(pass(DROP_FLOW_TTL, 0, 20, 100), "");
}
