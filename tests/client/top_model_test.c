/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_model.h"

#include <criterion/criterion.h>

static struct top_model model;

static void take(enum top_view view, const char *text)
{
	char error[CONNECTION_ERROR_MAX] = "";
	json_t *answer = json_loads(text, 0, NULL);

	cr_assert_not_null(answer, "%s", text);
	cr_assert_eq(top_model_take(&model, view, answer, error), 0, "%s", error);
	json_decref(answer);
}

/* -1 where there is none. */
static long long value(enum top_view view, size_t row, const char *key)
{
	const json_t *v = json_object_get(json_array_get(model.listings[view].rows, row), key);

	return v == NULL ? -1 : json_integer_value(v);
}

static void begin(void)
{
	top_model_init(&model);
}

static void end(void)
{
	top_model_clean(&model);
}

TestSuite(client_top_model, .init = begin, .fini = end);

Test(client_top_model, rates_are_differences_over_the_daemons_own_time)
{
	take(TOP_PORTS, "{\"ports\":[{\"name\":\"wan0\",\"uplink_octets\":1000,"
			"\"downlink_octets\":5000}],\"n_total\":1,\"at_us\":1000000}");
	cr_expect_eq(value(TOP_PORTS, 0, "uplink_bps"), -1, "one answer makes no rate");
	cr_expect_eq(value(TOP_PORTS, 0, "total_octets"), 6000);
	take(TOP_PORTS, "{\"ports\":[{\"name\":\"wan0\",\"uplink_octets\":1500,"
			"\"downlink_octets\":7000}],\"n_total\":1,\"at_us\":3000000}");
	cr_expect_eq(value(TOP_PORTS, 0, "uplink_bps"), 500 * 8 / 2);
	cr_expect_eq(value(TOP_PORTS, 0, "downlink_bps"), 2000 * 8 / 2);
	cr_expect_eq(value(TOP_PORTS, 0, "rate_bps"), 2500 * 8 / 2);
}

Test(client_top_model, rows_that_moved_in_the_listing_keep_their_rates)
{
	take(TOP_CLASSES, "{\"classes\":[{\"name\":\"a\",\"uplink_octets\":0,"
			  "\"downlink_octets\":0},{\"name\":\"b\",\"uplink_octets\":100,"
			  "\"downlink_octets\":0}],\"at_us\":1000000}");
	take(TOP_CLASSES, "{\"classes\":[{\"name\":\"b\",\"uplink_octets\":200,"
			  "\"downlink_octets\":0},{\"name\":\"a\",\"uplink_octets\":1,"
			  "\"downlink_octets\":0}],\"at_us\":2000000}");
	cr_expect_eq(value(TOP_CLASSES, 0, "uplink_bps"), 800);
	cr_expect_eq(value(TOP_CLASSES, 1, "uplink_bps"), 8);
}

Test(client_top_model, a_flow_that_began_in_between_began_at_nothing)
{
	take(TOP_FLOWS, "{\"flows\":[],\"at_us\":1000000}");
	take(TOP_FLOWS, "{\"flows\":[{\"id\":7,\"uplink_octets\":100,\"downlink_octets\":25,"
			"\"age_us\":400000},{\"id\":8,\"uplink_octets\":100,\"downlink_octets\":0,"
			"\"age_us\":9000000}],\"at_us\":2000000}");
	cr_expect_eq(value(TOP_FLOWS, 0, "rate_bps"), 1000);
	cr_expect_eq(value(TOP_FLOWS, 1, "rate_bps"), -1, "an old one that was not listed before");
}

Test(client_top_model, an_id_that_is_used_again_is_another_flow)
{
	take(TOP_FLOWS, "{\"flows\":[{\"id\":7,\"uplink_octets\":5000,\"downlink_octets\":0,"
			"\"age_us\":900000}],\"at_us\":1000000}");
	take(TOP_FLOWS, "{\"flows\":[{\"id\":7,\"uplink_octets\":6000,\"downlink_octets\":0,"
			"\"age_us\":500000}],\"at_us\":2000000}");
	cr_expect_eq(value(TOP_FLOWS, 0, "uplink_bps"), 48000, "6000 octets, not 1000");
	take(TOP_FLOWS, "{\"flows\":[{\"id\":7,\"uplink_octets\":6500,\"downlink_octets\":0,"
			"\"age_us\":1500000}],\"at_us\":3000000}");
	cr_expect_eq(value(TOP_FLOWS, 0, "uplink_bps"), 4000, "the same one goes on");
}

Test(client_top_model, another_daemon_begins_anew)
{
	static const char *const ports[] = {
		"{\"ports\":[{\"name\":\"wan0\",\"uplink_octets\":1000,\"downlink_octets\":0}],"
		"\"at_us\":1000000}",
		"{\"ports\":[{\"name\":\"wan0\",\"uplink_octets\":4000,\"downlink_octets\":0}],"
		"\"at_us\":2000000}",
	};

	take(TOP_STATUS, "{\"pid\":10}");
	take(TOP_PORTS, ports[0]);
	take(TOP_STATUS, "{\"pid\":11}");
	take(TOP_PORTS, ports[1]);
	cr_expect_eq(value(TOP_PORTS, 0, "uplink_bps"), -1);
}

Test(client_top_model, counters_or_clocks_that_go_back_make_no_rate)
{
	take(TOP_DROPS, "{\"drops\":[{\"reason\":\"a\",\"packets\":9}],\"at_us\":5000000}");
	take(TOP_DROPS, "{\"drops\":[{\"reason\":\"a\",\"packets\":8}],\"at_us\":6000000}");
	cr_expect_eq(value(TOP_DROPS, 0, "packets_per_s"), -1);
	take(TOP_DROPS, "{\"drops\":[{\"reason\":\"a\",\"packets\":9}],\"at_us\":6000000}");
	cr_expect_eq(value(TOP_DROPS, 0, "packets_per_s"), -1);
	take(TOP_DROPS, "{\"drops\":[{\"reason\":\"a\",\"packets\":19}],\"at_us\":7000000}");
	cr_expect_eq(value(TOP_DROPS, 0, "packets_per_s"), 10);
}

Test(client_top_model, an_answer_of_another_shape_is_refused)
{
	static const char *const answers[] = {
		"{}", "{\"flows\":{}}", "{\"flows\":5}", "{\"ports\":[]}"};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char error[CONNECTION_ERROR_MAX] = "";
		json_t *answer = json_loads(answers[i], 0, NULL);

		cr_expect_eq(top_model_take(&model, TOP_FLOWS, answer, error), -1);
		cr_expect_neq(error[0], '\0');
		json_decref(answer);
	}
	take(TOP_FLOWS, "{\"flows\":[5,null,{\"id\":\"x\",\"uplink_octets\":\"y\"}],\"at_us\":1}");
	take(TOP_FLOWS, "{\"flows\":[5,null,{\"id\":\"x\",\"uplink_octets\":\"y\"}],\"at_us\":9}");
}
