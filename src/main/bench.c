/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include "bench_measure.h"
#include "bench_new.h"
#include "eal.h"

#include <weir/base/clock.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_USAGE = 2
};

#define FLOWS_MAX_CASES 16
#define FLOWS_MAX       (1u << 24)
#define WORKERS_MAX     64
#define FRAME_MIN       64
#define FRAME_MAX       1518
#define EAL_SPARE_MIB   64
#define MBUF_BYTES      (BENCH_ROOM_BYTES + 512)

/* The home site of the manual, with room for the flows. */
static const char default_config[] =
	"gateway: bench\n"
	"ports:\n"
	"  lan0:  { role: lan, device: eth1, address: 192.168.50.1/24 }\n"
	"  wwan0: { role: uplink, device: wwan0, link: cellular, framing: raw-ip, address: "
	"198.51.100.1/32, plan: sim1 }\n"
	"plans:\n"
	"  sim1: { quota: 500GB }\n";

struct arguments {
	const char *config_file; /* NULL: default_config */
	uint32_t flows[FLOWS_MAX_CASES];
	uint32_t n_flows;
	bool flows_given;
	struct bench_case what; /* n_flows is filled in for each case */
	const char *direction;
	double seconds;
	uint64_t count; /* 0: measure time */
	bool json;
};

static const char usage[] =
	"usage: weir bench [--config CONF] [--flows N,N...] [--direction uplink|downlink|both]\n"
	"                  [--frame 64|imix|N] [--workers N] [--senders N] [--new-flows] "
	"[--seconds S] "
	"[--json]\n"
	"\n"
	"Feeds the path from memory with frames of random flows, and tells what a packet costs, "
	"stage by stage.\n"
	"\n"
	"  --config CONF    rules, shaping and the like of this configuration (default: a plain "
	"home site)\n"
	"  --flows N,N...   established flows (default: 1,1000,65536,1000000)\n"
	"  --direction D    uplink, downlink, or both at once (default: uplink)\n"
	"  --frame F        octets on the wire, 64 to 1518, or imix: 7 : 4 : 1 of 64, 594 and 1518 "
	"(default: 64)\n"
	"  --workers N      so many threads, each with a path and flows of its own (default: 1)\n"
	"  --senders N      so many threads beside each worker, which share its sending (default: "
	"0)\n"
	"  --new-flows      each packet begins a flow, and --flows of them live at a time: what a "
	"new one costs\n"
	"                   with its end, and how long a step takes while a million end at once\n"
	"  --seconds S      for each number of flows, set-up not included (default: 2)\n"
	"  --json           as JSON\n"
	"  --count N        no times: N packets on a virtual clock and nothing else, for "
	"callgrind\n"
	"\n"
	"Cycles are ticks of the time stamp counter. The total leaves out the source, which is "
	"measured alone.\n";

/* ---- arguments ---- */

static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < min || n > max)
		return -EINVAL;
	*ret_number = n;
	return 0;
}

/* Leaves the text as it is: the program may have to be executed again with it (eal.h). */
static int parse_flows(const char *text, struct arguments *args)
{
	char word[16];
	uint64_t n;

	for (args->n_flows = 0;; text++) {
		size_t len = strcspn(text, ",");

		if (args->n_flows == FLOWS_MAX_CASES || len >= sizeof(word))
			return -EINVAL;
		memcpy(word, text, len);
		word[len] = '\0';
		if (parse_number(word, 1, FLOWS_MAX, &n) != 0)
			return -EINVAL;
		args->flows[args->n_flows++] = (uint32_t)n;
		text += len;
		if (*text == '\0')
			return 0;
	}
}

static int parse_direction(const char *text, struct arguments *args)
{
	bool both = strcmp(text, "both") == 0;

	args->direction = text;
	args->what.feeds[UPLINK] = both || strcmp(text, "uplink") == 0;
	args->what.feeds[DOWNLINK] = both || strcmp(text, "downlink") == 0;
	return args->what.feeds[UPLINK] || args->what.feeds[DOWNLINK] ? 0 : -EINVAL;
}

static int parse_frame_size(const char *text, struct arguments *args)
{
	uint64_t n = BENCH_FRAME_IMIX;
	int rc = strcmp(text, "imix") == 0 ? 0 : parse_number(text, FRAME_MIN, FRAME_MAX, &n);

	args->what.frame_octets = (uint16_t)n;
	return rc;
}

static int parse_seconds(const char *text, struct arguments *args)
{
	char *end;

	args->seconds = strtod(text, &end);
	return end != text && *end == '\0' && args->seconds > 0.0 && args->seconds < 3600.0
		       ? 0
		       : -EINVAL;
}

static int parse_option(int c, char *value, struct arguments *args)
{
	uint64_t n = 1;
	int rc = 0;

	switch (c) {
	case 'c':
		args->config_file = value;
		return 0;
	case 'f':
		args->flows_given = true;
		return parse_flows(value, args);
	case 'd':
		return parse_direction(value, args);
	case 'F':
		return parse_frame_size(value, args);
	case 'w':
		rc = parse_number(value, 1, WORKERS_MAX, &n);
		args->what.n_workers = (uint32_t)n;
		return rc;
	case 'S':
		rc = parse_number(value, 0, SENDERS_MAX, &n);
		args->what.n_senders = (uint32_t)n;
		return rc;
	case 's':
		return parse_seconds(value, args);
	case 'n':
		return parse_number(value, 1, UINT32_MAX, &args->count);
	case 'j':
		args->json = true;
		return 0;
	case 'N':
		args->what.new_flows = true;
		return 0;
	case 'h':
		return -ECANCELED;
	default:
		return -EINVAL;
	}
}

/* What the option would have taken. */
static void complain(int c, const char *value)
{
	static const struct {
		int option;
		const char *name;
		const char *takes;
	} rows[] = {
		{'f', "--flows", "up to 16 numbers from 1 to 16777216 with commas between them"},
		{'d', "--direction", "uplink, downlink or both"},
		{'F', "--frame", "a number from 64 to 1518, or imix"},
		{'w', "--workers", "a number from 1 to 64"},
		{'S', "--senders", "a number from 0 to 16"},
		{'s', "--seconds", "a number above 0 and below 3600"},
		{'n', "--count", "a number of packets, 1 or more"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].option == c)
			fprintf(stderr, "weir bench: %s takes %s, not '%s'\n", rows[i].name,
				rows[i].takes, value);
}

/* Hosts begin flows upwards, and one path is what is asked about. */
static int check_new_flows(struct arguments *args)
{
	if (!args->what.new_flows)
		return 0;
	if (args->what.feeds[DOWNLINK] || args->what.n_workers != 1) {
		fputs("weir bench: --new-flows goes with one worker and uplink alone\n", stderr);
		return -EINVAL;
	}
	if (!args->flows_given) {
		args->flows[0] = 65536;
		args->flows[1] = 1000000;
		args->n_flows = 2;
	}
	return 0;
}

static int parse_arguments(int argc, char **argv, struct arguments *args)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"flows", required_argument, NULL, 'f'},
		{"direction", required_argument, NULL, 'd'},
		{"frame", required_argument, NULL, 'F'},
		{"workers", required_argument, NULL, 'w'},
		{"senders", required_argument, NULL, 'S'},
		{"seconds", required_argument, NULL, 's'},
		{"count", required_argument, NULL, 'n'},
		{"new-flows", no_argument, NULL, 'N'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*args = (struct arguments){
		.flows = {1, 1000, 65536, 1000000},
		.n_flows = 4,
		.what = {.feeds = {[UPLINK] = true}, .frame_octets = FRAME_MIN, .n_workers = 1},
		.direction = "uplink",
		.seconds = 2.0,
	};
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		int rc = parse_option(c, optarg, args);

		if (rc == -EINVAL)
			complain(c, optarg);
		if (rc != 0)
			return rc;
	}
	if (optind == argc)
		return check_new_flows(args);
	fprintf(stderr, "weir bench: '%s' is one argument too many\n", argv[optind]);
	return -EINVAL;
}

/* ---- running ---- */

static struct config *load_config(const char *file)
{
	struct config_report report = {0};
	struct config *config = NULL;
	int rc = file != NULL ? config_load(file, 0, &config, &report)
			      : config_read(default_config, sizeof(default_config) - 1, 0, &config,
				      &report);

	if (file != NULL || rc != 0)
		config_report_print(&report, file != NULL ? file : "default configuration", stderr);
	config_report_clean(&report);
	return rc == 0 ? config : NULL;
}

static uint32_t n_cores(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
}

static int start(const struct arguments *args)
{
	uint64_t pool_bytes = (uint64_t)args->what.n_workers * BENCH_MBUFS * MBUF_BYTES;
	unsigned need_mib = (unsigned)(pool_bytes >> 20) + EAL_SPARE_MIB;
	bool huge = args->count == 0 && eal_huge_mib_free() >= need_mib;

	if (!huge && args->count == 0)
		fprintf(stderr,
			"weir bench: warning: %u MiB of huge pages are needed and %u MiB are free, "
			"so every figure is higher\n"
			"than it need be: sysctl vm.nr_hugepages=%u\n",
			need_mib, eal_huge_mib_free(), need_mib / 2 + 256);
	return eal_start(huge, need_mib, NULL);
}

static int count_packets(const struct arguments *args, const struct config *config)
{
	struct bench_case what = args->what;
	struct bench_worker *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return -ENOMEM;
	what.n_flows = args->flows[0];
	what.n_workers = 1;
	w->config = config;
	w->what = &what;
	w->is_counted = true;
	w->virtual_clock = true;
	w->virtual_us = US_PER_S;
	rc = bench_worker_open(w, false);
	if (rc == 0 && what.new_flows)
		bench_new_count(w, args->count);
	else if (rc == 0)
		printf("{\"packets\": %" PRIu64 "}\n", bench_counted(w, args->count));
	else
		fprintf(stderr, "weir bench: %s\n", w->error);
	bench_worker_close(w);
	free(w);
	return rc;
}

/* ---- results ---- */

static json_t *rounded(double value)
{
	double scaled = value * 100.0 + 0.5;

	return json_real((double)(int64_t)scaled / 100.0);
}

static json_t *result_json(
	const struct arguments *args, const struct bench_case *what, const struct bench_result *r)
{
	json_t *stages = json_object();
	json_t *cycles = json_object();
	json_t *o = json_object();

	for (uint32_t i = 0; i < r->n_stages; i++)
		json_object_set_new(stages, r->stage_names[i], rounded(r->stage_cycles[i]));
	json_object_set_new(cycles, "total", rounded(r->cycles_total));
	json_object_set_new(cycles, "source", rounded(r->cycles_source));
	json_object_set_new(cycles, "stages", stages);
	json_object_set_new(o, "flows", json_integer(what->n_flows));
	json_object_set_new(o, "direction", json_string(args->direction));
	json_object_set_new(o, "frame",
		what->frame_octets == BENCH_FRAME_IMIX ? json_string("imix")
						       : json_integer(what->frame_octets));
	json_object_set_new(o, "workers", json_integer(what->n_workers));
	json_object_set_new(o, "senders", json_integer(what->n_senders));
	json_object_set_new(
		o, "packets_per_second", json_integer((json_int_t)r->packets_per_second));
	json_object_set_new(o, "cycles_per_packet", cycles);
	json_object_set_new(o, "instructions_per_packet",
		r->instructions < 0.0 ? json_null() : rounded(r->instructions));
	json_object_set_new(o, "memory_latency_cycles", rounded(r->memory_latency_cycles));
	json_object_set_new(o, "spread", rounded(r->spread));
	return o;
}

static void print_head(const struct arguments *args)
{
	char frame[8] = "imix";

	if (args->what.frame_octets != BENCH_FRAME_IMIX)
		snprintf(frame, sizeof(frame), "%u", args->what.frame_octets);
	printf("%s, frames of %s octets, %u worker%s; cycles a packet, the source left out\n\n",
		args->direction, frame, args->what.n_workers, args->what.n_workers == 1 ? "" : "s");
	printf("%9s %9s %8s %8s %8s %8s %7s\n", "flows", "Mpackets/s", "cycles", "source", "instr",
		"memory", "spread");
}

static void print_result(const struct bench_case *what, const struct bench_result *r)
{
	char instructions[16] = "-";

	if (r->instructions >= 0.0)
		snprintf(instructions, sizeof(instructions), "%.0f", r->instructions);
	printf("%9u %10.2f %8.1f %8.1f %8s %8.0f %6.0f%%\n", what->n_flows,
		r->packets_per_second / 1e6, r->cycles_total, r->cycles_source, instructions,
		r->memory_latency_cycles, r->spread * 100.0);
	printf("         ");
	for (uint32_t i = 0; i < r->n_stages; i++)
		printf(" %s %.1f", r->stage_names[i], r->stage_cycles[i]);
	printf("\n");
	fflush(stdout);
}

/* One object, with all runs under a name. */
static void print_json(const char *name, json_t *runs)
{
	json_t *o = json_object();

	json_object_set(o, name, runs);
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	printf("\n");
	json_decref(o);
}

static int measure_new(const struct arguments *args, const struct config *config)
{
	json_t *runs = args->json ? json_array() : NULL;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < args->n_flows; i++) {
		struct bench_case what = args->what;

		what.n_flows = args->flows[i];
		rc = bench_new_measure(config, &what, args->seconds, runs);
	}
	if (args->json && rc == 0)
		print_json("new_flows", runs);
	json_decref(runs);
	return rc;
}

static int measure_all(const struct arguments *args, const struct config *config)
{
	json_t *runs = json_array();
	int rc = 0;

	if (!args->json)
		print_head(args);
	for (uint32_t i = 0; rc == 0 && i < args->n_flows; i++) {
		struct bench_case what = args->what;
		struct bench_result result;

		what.n_flows = args->flows[i];
		rc = bench_measure(config, &what, args->seconds, &result);
		if (rc != 0) {
			fprintf(stderr, "weir bench: %u flows: %s\n", what.n_flows, result.error);
			break;
		}
		if (result.n_dropped > 0)
			fprintf(stderr,
				"weir bench: warning: %u flows: the path dropped %" PRIu64
				" packets\n",
				what.n_flows, result.n_dropped);
		if (!args->json)
			print_result(&what, &result);
		json_array_append_new(runs, result_json(args, &what, &result));
	}
	if (args->json && rc == 0)
		print_json("runs", runs);
	json_decref(runs);
	return rc;
}

int bench_main(int argc, char **argv)
{
	struct arguments args;
	struct config *config;
	uint32_t n_threads;
	int rc = parse_arguments(argc, argv, &args);

	if (rc != 0) {
		fputs(rc == -ECANCELED ? usage : "weir bench --help tells more\n",
			rc == -ECANCELED ? stdout : stderr);
		return rc == -ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
	}
	n_threads = args.what.n_workers * (1 + args.what.n_senders);
	if (n_threads > n_cores()) {
		fprintf(stderr, "weir bench: %u threads need as many cores, and there are %u\n",
			n_threads, n_cores());
		return EXIT_USAGE;
	}
	config = load_config(args.config_file);
	if (config == NULL)
		return EXIT_FAILURE;
	rc = start(&args);
	if (rc == 0) {
		clock_init();
		if (args.count > 0)
			rc = count_packets(&args, config);
		else
			rc = args.what.new_flows ? measure_new(&args, config)
						 : measure_all(&args, config);
		eal_stop();
	}
	config_destroy(config);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
