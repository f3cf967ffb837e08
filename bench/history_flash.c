/* SPDX-License-Identifier: BSD-3-Clause */
/* What a day of history costs the flash: days of batches written at once to a real disk, and what the kernel counted of it. */
#include "../src/client/history.h"
#include "../src/client/history_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BEGIN     1795435200
#define BATCH_S   300
#define N_CLASSES 8

static uint64_t written_bytes(void)
{
	char line[128];
	uint64_t n = 0;
	FILE *f = fopen("/proc/self/io", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "write_bytes: ", 13) == 0)
			n = strtoull(line + 13, NULL, 10);
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int count(
	struct history *h, enum history_series series, unsigned i, uint64_t octets, int64_t t)
{
	struct history_counter c = {.key.series = series, .octets = {octets / 5, octets}};
	uint64_t grown[N_DIRECTIONS];

	(void)snprintf(c.key.key, sizeof(c.key.key), "192.168.%u.%u", i / 250, i % 250);
	if (series == HISTORY_DEVICE)
		(void)snprintf(c.key.mac, sizeof(c.key.mac), "02:00:00:00:%02x:%02x",
			(uint8_t)(i >> 8), (uint8_t)i);
	history_name(h, &c.key);
	return history_count(h, &c, t, grown);
}

/* A minute in which all devices are busy: the worst. */
static int minute(struct history *h, unsigned n_devices, int64_t m)
{
	struct history_total total = {.octets = {123456, 9876543},
		.peak_bps = {1000000, 20000000},
		.shaped_bps = {5000000, 50000000},
		.wait_us = {12000, 34000},
		.seen_s = 60};
	int64_t t = BEGIN + m * HISTORY_MINUTE;
	int result = history_add_total(h, &total, t);

	for (unsigned i = 0; i < n_devices; i++)
		result |= count(h, HISTORY_DEVICE, i, (uint64_t)(m + 1) * 100000 * (i % 7 + 1), t);
	for (unsigned i = 0; i < N_CLASSES; i++)
		result |= count(h, HISTORY_CLASS, i, (uint64_t)(m + 1) * 1000000, t);
	for (unsigned i = 0; i < 3; i++)
		result |= count(h, HISTORY_PORT, i, (uint64_t)(m + 1) * 1000000, t);
	result |= count(h, HISTORY_PLAN, 0, (uint64_t)(m + 1) * 1000000, t);
	return result;
}

static void question_time(const char *file, const char *what, struct history_query q)
{
	char error[CONNECTION_ERROR_MAX] = "";
	double begin = now_ms();
	int why;
	json_t *answer = history_ask(file, &q, &why, error);

	(void)printf(
		"  %s: %.1f ms%s%s\n", what, now_ms() - begin, error[0] == '\0' ? "" : " ", error);
	json_decref(answer);
}

int main(int argc, char **argv)
{
	struct history_options options = HISTORY_DEFAULTS;
	char text[2][CONNECTION_ERROR_MAX] = {"", ""};
	struct history *h = NULL;
	double spent_ms = 0;
	double longest_ms = 0;
	uint64_t begin;
	unsigned n_devices;
	int64_t n_minutes;
	struct stat s;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: %s FILE DEVICES DAYS\n", argv[0]);
		return 2;
	}
	options.file = argv[1];
	n_devices = (unsigned)strtoul(argv[2], NULL, 10);
	n_minutes = strtol(argv[3], NULL, 10) * HISTORY_DAY / HISTORY_MINUTE;
	begin = written_bytes();
	if (history_open(&options, &h, text[0], text[1]) != 0) {
		(void)fprintf(stderr, "%s\n", text[1]);
		return 1;
	}
	(void)history_run(h, "bench");
	for (int64_t m = 0; m < n_minutes; m++) {
		double batch_ms = now_ms();

		if (minute(h, n_devices, m) != 0)
			return 1;
		if ((m + 1) % (BATCH_S / HISTORY_MINUTE) != 0)
			continue;
		if (history_commit(h, text[1]) != 0) {
			(void)fprintf(stderr, "%s\n", text[1]);
			return 1;
		}
		batch_ms = now_ms() - batch_ms;
		spent_ms += batch_ms;
		longest_ms = batch_ms > longest_ms ? batch_ms : longest_ms;
	}
	(void)printf("%u devices, all busy, %" PRIi64 " days: ", n_devices, n_minutes / 1440);
	(void)printf("%.1f MB a day by its own count, ",
		(double)history_stats(h).written_bytes / 1e6 / (double)n_minutes * 1440);
	(void)printf("%" PRIu64 " batches of %.1f ms, the longest %.1f ms\n",
		history_stats(h).n_batches, spent_ms / (double)history_stats(h).n_batches,
		longest_ms);
	history_close(h);
	(void)stat(argv[1], &s);
	(void)printf("  %.1f MB a day as the kernel counts, file of %.1f MB\n",
		(double)(written_bytes() - begin) / 1e6 / (double)n_minutes * 1440,
		(double)s.st_size / 1e6);
	question_time(argv[1], "a device's 2 days by minute",
		(struct history_query){"device", "192.168.0.0", NULL, HISTORY_MINUTES,
			BEGIN + (n_minutes - 2880) * 60, BEGIN + n_minutes * 60});
	question_time(argv[1], "all devices' sums over a day of minutes",
		(struct history_query){"device", NULL, NULL, HISTORY_MINUTES,
			BEGIN + (n_minutes - 1440) * 60, BEGIN + n_minutes * 60});
	question_time(argv[1], "all devices' sums over a month of hours",
		(struct history_query){
			"device", NULL, NULL, HISTORY_HOURS, BEGIN, BEGIN + 31 * HISTORY_DAY});
	return 0;
}
