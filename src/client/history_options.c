/* SPDX-License-Identifier: BSD-3-Clause */
#include "history_options.h"

#include <weir/base/units.h>

#include <errno.h>
#include <stdlib.h>

#define US_PER_S    1000000u
#define EVERY_MAX_S 3600u
#define KEEP_MAX    100000u
#define FLASH_MIN   (1u << 20)

enum {
	OPTION_HISTORY = 512,
	OPTION_EVERY,
	OPTION_SIZE,
	OPTION_FLASH,
	OPTION_DEVICES,
	OPTION_KEEP
};

static const struct argp_option options[] = {
	{"history", OPTION_HISTORY, "FILE", 0,
		"keep minutes, hours and days in this file (default: none are kept)", 1},
	{"history-every", OPTION_EVERY, "TIME", 0,
		"write them so often, 1s to 1h (default 5m): so much a power cut can take", 1},
	{"history-size", OPTION_SIZE, "OCTETS", 0,
		"the file is not longer (default 64MiB); the oldest minutes yield first", 1},
	{"history-flash", OPTION_FLASH, "OCTETS", 0,
		"write no more a day (default 64MiB): batches become fewer instead", 1},
	{"history-devices", OPTION_DEVICES, "N", 0,
		"devices with rows of their own in a minute, hour or day; the others are one sum "
		"(default 512)",
		1},
	{"history-keep", OPTION_KEEP, "MINUTES,HOURS,DAYS", 0,
		"how many to keep (default 2880,1488,1826: two days, two months, five years)", 1},
	{NULL, 0, NULL, 0, NULL, 0},
};

static void every_read(struct history_collecting *h, const char *text, struct argp_state *state)
{
	uint64_t us;

	if (units_parse_time(text, &us) != 0 || us < US_PER_S || us / US_PER_S > EVERY_MAX_S)
		argp_error(state, "--history-every takes 1s to 1h, not \"%s\"", text);
	else
		h->every_s = (uint32_t)(us / US_PER_S);
}

static uint64_t octets_read(
	const char *name, const char *text, uint64_t least, struct argp_state *state)
{
	uint64_t octets = 0;

	if (units_parse_octets(text, &octets) != 0 || octets < least || octets > INT64_MAX)
		argp_error(state, "%s takes octets, %llu at least, not \"%s\"", name,
			(unsigned long long)least, text);
	return octets;
}

static void devices_read(struct history_collecting *h, const char *text, struct argp_state *state)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || text[0] == '-' || n > HISTORY_DEVICES_MAX)
		argp_error(state, "--history-devices takes a number up to %d, not \"%s\"",
			HISTORY_DEVICES_MAX, text);
	else
		h->store.n_devices = (uint32_t)n;
}

static void keep_read(struct history_collecting *h, const char *text, struct argp_state *state)
{
	const char *at = text;

	for (int i = 0; i < HISTORY_LEVELS; i++) {
		char *end;
		unsigned long n = strtoul(at, &end, 10);

		if (end == at || at[0] == '-' || n == 0 || n > KEEP_MAX
			|| *end != (i < HISTORY_DAYS ? ',' : '\0')) {
			argp_error(state,
				"--history-keep takes three numbers such as 2880,1488,1826, not "
				"\"%s\"",
				text);
			return;
		}
		h->store.n_keep[i] = (uint32_t)n;
		at = end + 1;
	}
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct history_collecting *h = state->input;

	switch (key) {
	case OPTION_HISTORY:
		h->store.file = arg;
		return 0;
	case OPTION_EVERY:
		every_read(h, arg, state);
		return 0;
	case OPTION_SIZE:
		h->store.max_bytes = octets_read("--history-size", arg, HISTORY_BYTES_MIN, state);
		return 0;
	case OPTION_FLASH:
		h->flash_bytes_per_day = octets_read("--history-flash", arg, FLASH_MIN, state);
		return 0;
	case OPTION_DEVICES:
		devices_read(h, arg, state);
		return 0;
	case OPTION_KEEP:
		keep_read(h, arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp history_argp = {.options = options, .parser = option_parse};
