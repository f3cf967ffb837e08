/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_profile.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MS(n) ((n)*NS_PER_MS)

Test(bench_cellink_profile, keys_reach_one_direction_or_both)
{
	static struct profile p; /* larger than a frame should be */
	char why[WHY_MAX] = "";

	profile_init(&p);
	cr_assert_eq(profile_set(&p, "rate", "5Mbps", NULL, why), 0, "%s", why);
	cr_assert_eq(profile_set(&p, "uplink-rate", "1.5Mbps", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "delay", "30ms", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "downlink-jitter", "5ms", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "loss", "0.1%", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "uplink-buffer", "2000ms", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "downlink-buffer", "4MB 500ms", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "outage", "20s+3s 60s+500ms", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "outage-period", "2m", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "fading-sigma", "4.5dB", NULL, why), 0);
	cr_assert_eq(profile_set(&p, "loop", "no", NULL, why), 0);
	cr_assert_eq(profile_check(&p, why), 0, "%s", why);
	cr_expect_eq(p.direction[UPLINK].rate_bps, 1500000);
	cr_expect_eq(p.direction[DOWNLINK].rate_bps, 5000000);
	cr_expect_eq(p.direction[UPLINK].delay_ns, MS(30));
	cr_expect_eq(p.direction[UPLINK].jitter_ns, 0);
	cr_expect_eq(p.direction[DOWNLINK].jitter_ns, MS(5));
	cr_expect_eq(p.direction[DOWNLINK].loss_ppm, 1000);
	cr_expect_eq(p.direction[UPLINK].buffer_octets, 0);
	cr_expect_eq(p.direction[UPLINK].buffer_ns, MS(2000));
	cr_expect_eq(p.direction[DOWNLINK].buffer_octets, 4000000);
	cr_expect_eq(p.direction[DOWNLINK].buffer_ns, MS(500));
	cr_expect_eq(p.outages.n, 2);
	cr_expect_eq(p.outages.list[1].to_ns, MS(60500));
	cr_expect_eq(p.outages.period_ns, MS(120000));
	cr_expect_not(p.loop);
}

Test(bench_cellink_profile, refuses_values_that_make_no_sense)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{"rate", "5"},
		{"rate", "5MB"},
		{"delay", "30"},
		{"delay", "30km"},
		{"loss", "101%"},
		{"buffer", "0B"},
		{"buffer", "much"},
		{"buffer", ""},
		{"mtu", "67"},
		{"mtu", "9001"},
		{"mtu", "1500B"},
		{"loop", "maybe"},
		{"outage", "20s"},
		{"outage", "20s+0s"},
		{"outage", "20s+5s 22s+1s"},
		{"fading-sigma", "6"},
		{"trace", ""},
		{"uplink-mtu", "1500"},
		{"speed", "5Mbps"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct profile p; /* larger than a frame should be */
		char why[WHY_MAX] = "";

		profile_init(&p);
		cr_expect_eq(profile_set(&p, cases[i].key, cases[i].value, NULL, why), -EINVAL,
			"%s: %s", cases[i].key, cases[i].value);
		cr_expect_neq(why[0], '\0');
	}
}

Test(bench_cellink_profile, refuses_what_is_incomplete)
{
	static const struct {
		const char *keys[4][2];
		const char *what;
	} cases[] = {
		{{{"uplink-rate", "1Mbps"}}, "downlink-rate"},
		{{{"rate", "1Mbps"}, {"rrc-delay", "260ms"}}, "rrc-idle"},
		{{{"rate", "1Mbps"}, {"outage-period", "60s"}}, "needs an outage"},
		{{{"rate", "1Mbps"}, {"outage-period", "60s"}, {"outage", "50s+10s"}},
			"must end before"},
		{{{"rate", "1Mbps"}, {"dead-spot-every", "60s"}}, "dead-spot-length"},
		{{{"rate", "1Mbps"}, {"rate-floor", "2Mbps"}, {"rate-ceiling", "1Mbps"}},
			"ceiling"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct profile p; /* larger than a frame should be */
		char why[WHY_MAX] = "";

		profile_init(&p);
		for (size_t k = 0; k < 4 && cases[i].keys[k][0] != NULL; k++)
			cr_assert_eq(profile_set(&p, cases[i].keys[k][0], cases[i].keys[k][1], NULL,
					     why),
				0, "%s", why);
		cr_expect_eq(profile_check(&p, why), -EINVAL);
		cr_expect_not_null(strstr(why, cases[i].what), "%s", why);
	}
}

Test(bench_cellink_profile, later_rate_takes_the_place_of_a_trace)
{
	static struct profile p; /* larger than a frame should be */
	char why[WHY_MAX] = "";

	profile_init(&p);
	cr_assert_eq(profile_set(&p, "trace", "some.trace", "/folder", why), 0);
	cr_expect_str_eq(p.direction[UPLINK].trace, "/folder/some.trace");
	cr_assert_eq(profile_set(&p, "uplink-trace", "/other.trace", "/folder", why), 0);
	cr_expect_str_eq(p.direction[UPLINK].trace, "/other.trace");
	cr_assert_eq(profile_set(&p, "rate", "1Mbps", NULL, why), 0);
	cr_expect_str_empty(p.direction[UPLINK].trace);
}

Test(bench_cellink_profile, errors_in_a_file_name_their_line)
{
	char path[] = "/tmp/cellink-profile-XXXXXX", why[WHY_MAX] = "";
	static const char text[] = "# a comment\n\nrate: 5Mbps # another\ndelay 30ms\n";
	int fd = mkstemp(path);
	static struct profile p; /* larger than a frame should be */

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	cr_assert_eq(close(fd), 0);
	profile_init(&p);
	cr_expect_eq(profile_load(&p, path, "/nowhere", why), -EINVAL);
	cr_expect_not_null(strstr(why, ":4: not a `key: value` line"), "%s", why);
	cr_expect_eq(p.direction[UPLINK].rate_bps, 5000000);
	cr_assert_eq(unlink(path), 0);
	cr_expect_eq(profile_load(&p, "none-of-that-name", "/nowhere", why), -ENOENT);
}

/* Loads one of the profiles that are shipped and makes both its capacities. */
static void expect_usable(const char *name)
{
	static struct profile p; /* larger than a frame should be */
	char why[WHY_MAX] = "";

	profile_init(&p);
	cr_assert_eq(profile_load(&p, name, CELLINK_PROFILES, why), 0, "%s: %s", name, why);
	cr_assert_eq(profile_check(&p, why), 0, "%s: %s", name, why);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		struct capacity *c = NULL;

		cr_expect_eq(profile_capacity(&p, (enum direction)d, 1, why, &c), 0, "%s: %s", name,
			why);
		cr_expect_gt(capacity_mean_bps(c), 0);
		capacity_destroy(c);
	}
}

Test(bench_cellink_profile, every_profile_shipped_is_usable)
{
	DIR *folder = opendir(CELLINK_PROFILES);
	const struct dirent *entry;
	int n = 0;

	cr_assert_not_null(folder);
	for (entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		char *name = strdup(entry->d_name), *end = strstr(name, ".profile");

		if (end != NULL) {
			*end = '\0';
			expect_usable(name);
			n++;
		}
		free(name);
	}
	(void)closedir(folder);
	cr_expect_geq(n, 9, "%d", n);
}
