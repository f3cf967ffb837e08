/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of history: sums, bounds, restarts, questions. */
#include "history_clock.h"
#include "history_fixture.h"
#include "history_query.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

Test(client_history, minutes_hours_and_days_add_up_to_the_counters, .init = setup, .fini = teardown)
{
	struct history *h = open_usual();
	uint64_t octets = 0;

	(void)history_run(h, "a");
	for (int64_t t = NOON; t < NOON + 26 * HISTORY_HOUR; t += 70) {
		octets += (uint64_t)t % 977;
		count(h, HISTORY_CLASS, "web", octets, t);
		count_since(h, HISTORY_DEVICE, "192.0.2.1", 5, octets * 2, t);
		look(h, 7, t);
		if (t % 3 == 0)
			commit(h);
	}
	commit(h);
	history_close(h);
	for (enum history_level l = 0; l < HISTORY_LEVELS; l++) {
		cr_expect_eq(sum_of("class", "web", history_per_s[l]), (int64_t)octets);
		cr_expect_eq(sum_of("device", "192.0.2.1", history_per_s[l]), 2 * (int64_t)octets);
	}
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 3600"), 26);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 86400"), 2);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 86400 AND t % 86400 <> 0"), 0);
	cr_expect_eq(ask("SELECT sum(uplink_octets) FROM total WHERE per = 60"),
		ask("SELECT sum(uplink_octets) FROM total WHERE per = 86400"));
	cr_expect_eq(
		ask("SELECT count(*) FROM total p JOIN total c ON c.per = 3600 AND c.t = p.t - "
		    "p.t % 3600 WHERE p.per = 60"),
		ask("SELECT count(*) FROM total WHERE per = 60"), "a minute without its hour");
}

Test(client_history, a_day_begins_at_midnight_where_the_machine_is, .init = setup, .fini = teardown)
{
	setenv("TZ", "America/New_York", 1);
	/* The clock went back on 2026-11-01: that day has 25 hours. */
	cr_expect_eq(history_floor(HISTORY_DAYS, 1793505600), 1793505600); /* 00:00 EDT */
	cr_expect_eq(history_floor(HISTORY_DAYS, 1793505600 + 25 * HISTORY_HOUR - 1), 1793505600);
	cr_expect_eq(history_floor(HISTORY_DAYS, 1793505600 + 25 * HISTORY_HOUR),
		1793505600 + 25 * HISTORY_HOUR);
	cr_expect_eq(history_floor(HISTORY_HOURS, NOON + 61), NOON);
	cr_expect_eq(history_floor(HISTORY_MINUTES, NOON + 61), NOON + 60);
}

Test(client_history, maxima_minima_and_marks_of_moments_are_kept, .init = setup, .fini = teardown)
{
	struct history *h = open_usual();
	struct history_total none = {.seen_s = 10};
	struct history_total busy = {.octets = {100, 200},
		.peak_bps = {50, 60},
		.shaped_bps = {900, 1000},
		.wait_us = {7, 8},
		.radio_us = {9, 10},
		.n_dropped = 3,
		.seen_s = 10,
		.marks = HISTORY_MARK_GAP};
	struct history_total calm = {.octets = {1, 2},
		.peak_bps = {5, 6},
		.shaped_bps = {800, 2000},
		.n_dropped = 4,
		.seen_s = 10,
		.marks = HISTORY_MARK_RESTART};

	cr_assert_eq(history_add_total(h, &none, NOON), 0);
	cr_assert_eq(history_add_total(h, &busy, NOON + 10), 0);
	commit(h); /* half of it in the file, half in memory */
	cr_assert_eq(history_add_total(h, &calm, NOON + 20), 0);
	cr_assert_eq(history_add_total(h, &none, NOON + 30), 0);
	cr_assert_eq(history_add_total(h, &none, NOON + 60), 0);
	commit(h);
	history_close(h);
	for (enum history_level l = 0; l < HISTORY_LEVELS; l++) {
		char text[512];

		(void)snprintf(text, sizeof(text),
			"SELECT uplink_octets = 101 AND downlink_octets = 202 AND uplink_peak_bps "
			"= 50 "
			"AND downlink_peak_bps = 60 AND uplink_shaped_bps = 800 AND "
			"downlink_shaped_bps = 1000 AND uplink_delay_us = 7 AND downlink_delay_us "
			"= 8 "
			"AND uplink_radio_delay_us = 9 AND downlink_radio_delay_us = 10 AND "
			"dropped_packets = 7 AND seen_s = %d AND marks = 5 FROM total WHERE per = "
			"%lld",
			l == HISTORY_MINUTES ? 40 : 50, (long long)history_per_s[l]);
		cr_expect_eq(ask(text), 1, "per %lld", (long long)history_per_s[l]);
	}
	cr_expect_eq(
		ask("SELECT uplink_shaped_bps IS NULL FROM total WHERE per = 60 ORDER BY t DESC"),
		1, "no shaper is not a rate of 0");
}

Test(client_history, a_restart_of_either_side_counts_nothing_twice_and_loses_nothing, .init = setup,
	.fini = teardown)
{
	struct history *h = open_usual();

	cr_expect(history_run(h, "run 1"));
	count(h, HISTORY_CLASS, "web", 1000, NOON);
	look(h, 1, NOON);
	commit(h);
	count(h, HISTORY_CLASS, "web", 1500, NOON + 60); /* lost with weir-web */
	history_close(h);

	h = open_usual();
	cr_expect(!history_run(h, "run 1"), "it is the same run");
	count(h, HISTORY_CLASS, "web", 1800, NOON + 300);
	look(h, 1, NOON + 300);
	cr_expect(history_run(h, "run 2"));
	count(h, HISTORY_CLASS, "web", 2000, NOON + 360); /* more than before, and yet anew */
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 1800 + 2000);

	h = open_usual(); /* weir began anew while weir-web was down */
	cr_expect(history_run(h, "run 3"));
	count(h, HISTORY_CLASS, "web", 30, NOON + 420);
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 1800 + 2000 + 30);
}

Test(client_history, a_device_that_went_and_came_back_begins_anew, .init = setup, .fini = teardown)
{
	struct history *h = open_usual();

	(void)history_run(h, "a");
	count_since(h, HISTORY_DEVICE, "192.0.2.1", 100, 5000, NOON);
	history_named(h, HISTORY_DEVICE); /* a listing without it */
	count_since(h, HISTORY_DEVICE, "192.0.2.1", 900, 7000, NOON + 60);
	history_named(h, HISTORY_DEVICE);
	count_since(h, HISTORY_DEVICE, "192.0.2.1", 950, 7500, NOON + 90); /* within one look */
	count_since(h, HISTORY_DEVICE, "192.0.2.1", 950, 7600, NOON + 95);
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("device", "%", HISTORY_HOUR), 5000 + 7000 + 7600);
}

Test(client_history, an_address_that_another_device_got_is_another_key, .init = setup,
	.fini = teardown)
{
	static const char *const macs[] = {"02:00:00:00:00:01", "02:00:00:00:00:02"};
	struct history_query q = {.series = "device",
		.key = "192.0.2.1",
		.level = HISTORY_HOURS,
		.from_s = NOON,
		.to_s = NOON + 1};
	struct history *h = open_usual();
	int why;
	json_t *a;

	(void)history_run(h, "a");
	for (int i = 0; i < 2; i++) {
		struct history_counter c = {.key = {HISTORY_DEVICE, "192.0.2.1", ""},
			.octets = {(uint64_t)100 << i, 0}};
		uint64_t grown[N_DIRECTIONS];

		memcpy(c.key.mac, macs[i], sizeof(c.key.mac));
		cr_assert_eq(history_count(h, &c, NOON, grown), 0);
	}
	look(h, 1, NOON);
	commit(h);
	history_close(h);
	a = history_ask(file, &q, &why, error);
	cr_expect_eq(json_integer_value(
			     json_array_get(json_array_get(json_object_get(a, "rows"), 0), 1)),
		300);
	json_decref(a);
	q.mac = macs[1];
	a = history_ask(file, &q, &why, error);
	cr_expect_eq(json_integer_value(
			     json_array_get(json_array_get(json_object_get(a, "rows"), 0), 1)),
		200);
	json_decref(a);
	q.key = NULL;
	a = history_ask(file, &q, &why, error);
	cr_expect_eq(json_array_size(json_object_get(a, "keys")), 2);
	cr_expect_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(a, "keys"), 0), "mac")),
		macs[1], "the largest comes first");
	json_decref(a);
}

Test(client_history, what_a_class_had_goes_to_the_default_one_when_it_is_configured_no_longer,
	.init = setup, .fini = teardown)
{
	struct history *h = open_usual();

	(void)history_run(h, "a");
	count(h, HISTORY_CLASS, "default", 100, NOON);
	count(h, HISTORY_CLASS, "web", 1000, NOON);
	history_name(h, &(struct history_key){HISTORY_CLASS, "default", ""});
	history_named(h, HISTORY_CLASS);
	count(h, HISTORY_CLASS, "default", 100 + 1000 + 7, NOON + 60); /* as weir sums it now */
	history_named(h, HISTORY_CLASS);
	commit(h);
	count(h, HISTORY_CLASS, "web", 50, NOON + 120); /* configured again: it begins at 0 */
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "default", HISTORY_DAY), 107);
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 1050);
}

Test(client_history, an_answer_that_was_wrong_for_a_moment_adds_nothing, .init = setup,
	.fini = teardown)
{
	static const uint64_t seen[] = {100, 250, 240, 260, 100, 300};
	struct history *h = open_usual();

	(void)history_run(h, "a");
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		count(h, HISTORY_CLASS, "web", seen[i], NOON + (int64_t)i * 60);
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 300);
}

Test(client_history, devices_beyond_the_bound_are_one_sum_the_busiest_have_rows, .init = setup,
	.fini = teardown)
{
	struct history_options options = HISTORY_DEFAULTS;
	struct history *h;
	char key[16];

	options.n_devices = 3;
	h = open_with(options);
	(void)history_run(h, "a");
	for (unsigned round = 1; round <= 2; round++) {
		for (unsigned i = 1; i <= 10; i++) {
			(void)snprintf(key, sizeof(key), "192.0.2.%u", i);
			count_since(
				h, HISTORY_DEVICE, key, 5, (uint64_t)i * 100 * round, NOON + round);
		}
		count(h, HISTORY_CLASS, "web", round, NOON + round);
		commit(h);
	}
	history_close(h);
	for (enum history_level l = 0; l < HISTORY_LEVELS; l++) {
		int64_t per = history_per_s[l];

		cr_expect_eq(sum_of("device", "%", per), 2 * 5500);
		cr_expect_eq(sum_of("device", "192.0.2.10", per), 2000);
		cr_expect_eq(sum_of("device", "192.0.2.8", per), 1600);
		cr_expect_eq(sum_of("device", HISTORY_OTHER, per), 2 * 2800);
		cr_expect_eq(sum_of("class", "web", per), 2);
	}
	cr_expect_eq(ask("SELECT count(*) FROM usage WHERE per = 60"), 3 + 1 + 1);
}

Test(client_history, no_more_periods_are_kept_than_were_asked_for, .init = setup, .fini = teardown)
{
	struct history_options options = HISTORY_DEFAULTS;
	struct history *h;

	options.n_keep[HISTORY_MINUTES] = 100;
	options.n_keep[HISTORY_HOURS] = 10;
	options.n_keep[HISTORY_DAYS] = 2;
	h = open_with(options);
	(void)history_run(h, "a");
	for (int64_t i = 0; i < 4000; i++) {
		count_since(h, HISTORY_DEVICE, "192.0.2.1", 5, (uint64_t)i, NOON + i * 60);
		look(h, 1, NOON + i * 60);
		if (i % 50 == 0)
			commit(h);
	}
	commit(h);
	history_close(h);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 60"), 100);
	cr_expect_eq(ask("SELECT min(t) FROM total WHERE per = 60"), NOON + 3900 * 60);
	cr_expect_eq(ask("SELECT count(*) FROM usage WHERE per = 60"), 100);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 3600"), 10);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 86400"), 2);
	cr_expect_eq(ask("SELECT count(*) FROM usage WHERE per = 86400"), 2);
}

Test(client_history, a_clock_that_was_years_ahead_costs_only_as_many_periods_as_it_made,
	.init = setup, .fini = teardown)
{
	struct history_options options = HISTORY_DEFAULTS;
	struct history *h;

	options.n_keep[HISTORY_MINUTES] = 100;
	h = open_with(options);
	for (int64_t i = 0; i < 100; i++)
		look(h, 1, NOON + i * 60);
	commit(h);
	for (int64_t i = 0; i < 5; i++)
		look(h, 1, NOON + 4000 * HISTORY_DAY + i * 60);
	commit(h);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 60 AND t < 1900000000"), 95);
	history_close(h);
	h = open_with(options);
	for (int64_t i = 100; i < 105; i++)
		look(h, 1, NOON + i * 60);
	commit(h);
	history_close(h);
	cr_expect_eq(ask("SELECT count(*) FROM total WHERE per = 60"), 100);
}

Test(client_history, time_is_guessed_forward_until_it_is_trusted_and_what_waits_moves_then,
	.init = setup, .fini = teardown)
{
	struct history_clock clock = {0};
	struct history *h = open_usual();
	int64_t shift_s;
	int64_t t;

	/* The wall clock shows 1970; the file ends at noon. */
	t = history_clock_now(&clock, false, 100, 50, NOON, &shift_s);
	cr_expect_eq(t, NOON);
	look(h, 7, t);
	t = history_clock_now(&clock, false, 999999999, 110, NOON, &shift_s);
	cr_expect_eq(t, NOON + 60, "a clock that is set wrong moves nothing");
	look(h, 8, t);
	t = history_clock_now(&clock, true, NOON + 90000, 120, NOON, &shift_s);
	cr_expect_eq(t, NOON + 90000);
	cr_expect_eq(shift_s, 90000 - 70);
	history_shift(h, shift_s);
	commit(h);
	history_close(h);
	cr_expect_eq(ask("SELECT min(t) FROM total WHERE per = 60"), NOON + 89880);
	cr_expect_eq(ask("SELECT max(t) FROM total WHERE per = 60"), NOON + 89940);
	cr_expect_eq(ask("SELECT sum(uplink_octets) FROM total WHERE per = 60"), 15);
	t = history_clock_now(&clock, true, NOON + 1, 180, NOON, &shift_s);
	cr_expect_eq(t, NOON + 1, "a trusted clock may be set back");
	cr_expect_eq(shift_s, 0);
}

Test(client_history, the_file_stays_within_its_size_and_the_oldest_minutes_yield, .init = setup,
	.fini = teardown, .timeout = 100)
{
	struct history_options options = HISTORY_DEFAULTS;
	struct history *h;
	char key[16];

	options.max_bytes = 1u << 20;
	h = open_with(options);
	(void)history_run(h, "a");
	for (int64_t i = 1; i <= 600; i++) {
		for (unsigned d = 0; d < 100; d++) {
			(void)snprintf(key, sizeof(key), "192.0.2.%u", d);
			count_since(h, HISTORY_DEVICE, key, 5, (uint64_t)i, NOON + i * 60);
		}
		look(h, 1, NOON + i * 60);
		if (i % 5 == 0)
			commit(h);
		cr_assert_leq(size_of(file), 1 << 20);
	}
	history_close(h);
	cr_expect_gt(ask("SELECT count(*) FROM total WHERE per = 60"), 60);
	cr_expect_lt(ask("SELECT count(*) FROM total WHERE per = 60"), 600);
	cr_expect_eq(ask("SELECT max(t) FROM total WHERE per = 60"), NOON + 600 * 60);
	cr_expect_eq(sum_of("device", "%", HISTORY_DAY), 100 * 600, "days are whole");
}

Test(client_history, questions_are_checked_and_say_what_to_ask_instead, .init = setup,
	.fini = teardown)
{
	static const struct {
		struct history_query q;
		int why;
		const char *says;
	} cases[] = {
		{{"moon", NULL, NULL, HISTORY_HOURS, NOON, NOON + 1}, -EINVAL, "there is: total"},
		{{"total", "x", NULL, HISTORY_HOURS, NOON, NOON + 1}, -EINVAL, "no keys"},
		{{"total", NULL, NULL, HISTORY_HOURS, NOON, NOON}, -EINVAL, "begins before"},
		{{"total", NULL, NULL, HISTORY_HOURS, -1, NOON}, -EINVAL, "1970"},
		{{"total", NULL, NULL, HISTORY_MINUTES, 0, NOON}, -EINVAL, "longer periods"},
		{{"device", NULL, NULL, HISTORY_HOURS, 0, NOON}, -EINVAL, "4000"},
		{{"total", NULL, NULL, HISTORY_DAYS, NOON, NOON + 1}, -ENOENT, "no history in"},
	};
	int why;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_null(history_ask(file, &cases[i].q, &why, error));
		cr_expect_eq(why, cases[i].why, "case %zu: %d", i, why);
		cr_expect_not_null(strstr(error, cases[i].says), "case %zu: %s", i, error);
	}
}

Test(client_history,
	a_minute_in_which_a_key_did_nothing_is_a_zero_and_one_that_nobody_saw_is_no_row,
	.init = setup, .fini = teardown)
{
	struct history_query q = {.series = "class",
		.key = "web'; DROP TABLE usage; --",
		.level = HISTORY_MINUTES,
		.from_s = NOON,
		.to_s = NOON + 600};
	struct history *h = open_usual();
	json_t *a;
	int why;

	(void)history_run(h, "a");
	count(h, HISTORY_CLASS, q.key, 42, NOON);
	look(h, 42, NOON);
	look(h, 0, NOON + 60);
	look(h, 0, NOON + 180);
	commit(h);
	a = history_ask(file, &q, &why, error);
	cr_assert_not_null(a, "%s", error);
	cr_expect_eq(json_integer_value(json_object_get(a, "per")), 60);
	cr_expect_eq(json_array_size(json_object_get(a, "columns")), 3);
	cr_expect_eq(json_array_size(json_object_get(a, "rows")), 3);
	cr_expect_eq(json_integer_value(
			     json_array_get(json_array_get(json_object_get(a, "rows"), 0), 1)),
		42);
	cr_expect_eq(json_integer_value(
			     json_array_get(json_array_get(json_object_get(a, "rows"), 1), 1)),
		0);
	json_decref(a);
	cr_expect_eq(sum_of("class", "web%", HISTORY_MINUTE), 42, "the table is still there");
	history_close(h);
}

Test(client_history, sums_over_a_span_are_the_same_by_any_period_that_fits_it, .init = setup,
	.fini = teardown)
{
	static const struct {
		const char *zone;
		int64_t from_s;
		int64_t to_s;
	} spans[] = {
		{"UTC", NOON + 60 * 7, NOON + 60 * 3000},
		{"UTC", NOON, NOON + 3600 * 26},
		{"UTC", NOON + 60, NOON + 120},
		{"UTC", NOON + 60 * 50, NOON + 60 * 70},
		{"America/New_York", NOON + 3600, NOON + 3600 * 47},
		{"Asia/Kolkata", NOON + 3600 * 2, NOON + 3600 * 45},
	};

	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		int64_t from_s = spans[i].from_s;
		int64_t to_s = spans[i].to_s;
		uint64_t octets = 0;
		uint64_t want = 0;
		struct history *h;

		setenv("TZ", spans[i].zone, 1);
		h = open_usual();
		(void)history_run(h, "a");
		for (int64_t m = 0; m < 2880; m++) {
			int64_t t = NOON + m * 60;

			octets += (uint64_t)m + 1;
			want += t >= from_s && t < to_s ? (uint64_t)m + 1 : 0;
			count(h, HISTORY_CLASS, "web", octets, t);
			look(h, 1, t);
		}
		commit(h);
		history_close(h);
		for (enum history_level l = HISTORY_MINUTES; l <= HISTORY_HOURS; l++) {
			struct history_query q = {"class", NULL, NULL, l, from_s, to_s};
			int why;
			json_t *a = history_ask(file, &q, &why, error);
			json_t *row = json_array_get(json_object_get(a, "keys"), 0);

			if (from_s % history_per_s[l] == 0 && to_s % history_per_s[l] == 0)
				cr_expect_eq(
					json_integer_value(json_object_get(row, "uplink_octets")),
					(json_int_t)want, "span %zu, level %d", i, (int)l);
			json_decref(a);
		}
		cr_assert_eq(unlink(file), 0);
	}
}
