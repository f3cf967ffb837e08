/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay.h"

#include "eal.h"
#include "replay_run.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/apply.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_USAGE = 2,
	EXIT_DAMAGED = 3
};

#define DEFAULT_SEED  1 /* the same result every time unless asked otherwise */
#define MTU_DEFAULT   1500
#define MIB           (1u << 20)
#define EAL_SPARE_MIB 64  /* rings and EAL's own */
#define MBUF_OVERHEAD 512 /* struct rte_mbuf, metadata, headroom, the pool's own */

struct arguments {
	const char *config_file;
	const char *out_dir;    /* NULL: only the summary */
	const char *ipfix_file; /* NULL: none */
	char *const *captures;
	uint32_t n_captures;
	uint64_t seed; /* 0: as configured */
	bool json;
};

static const char usage[] =
	"usage: weir replay CONF CAPTURE... [--out DIR] [--ipfix FILE] [--seed N] [--json]\n"
	"\n"
	"Plays captures (pcap, pcapng) through the gateway that CONF describes, on the captures' "
	"own clock.\n"
	"Captures with both directions in them are fine: replies are addressed as the gateway has "
	"translated them.\n"
	"Between hosts of no configured LAN the private one, else the first to speak, is given an "
	"address of\n"
	"the LAN; the summary lists them.\n"
	"\n"
	"  --out DIR   write lan.pcap, uplink.pcap, flows.jsonl, usage.json and drops.json there\n"
	"  --ipfix FILE  write the flow records there as IPFIX messages (RFC 5655), at the "
	"captures' "
	"times\n"
	"  --seed N    of all chance, above 0; the same input and seed give the same bytes "
	"(default: the\n"
	"              configuration's, else 1)\n"
	"  --json      the summary as JSON\n"
	"\n"
	"DIR holds whole files of this run or none.\n"
	"\n"
	"exit status: 0 all played and every sum agrees; 1 an error, or sums that do not agree; 2 "
	"wrong arguments;\n"
	"3 a capture was damaged, and what lies before the damage was played\n";

static int parse_arguments(int argc, char **argv, struct arguments *ret_args)
{
	static const struct option options[] = {
		{"out", required_argument, NULL, 'o'},
		{"ipfix", required_argument, NULL, 'i'},
		{"seed", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct arguments args = {0};
	char *end;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			args.out_dir = optarg;
			break;
		case 'i':
			args.ipfix_file = optarg;
			break;
		case 's':
			errno = 0;
			args.seed = strtoull(optarg, &end, 0);
			if (errno != 0 || end == optarg || *end != '\0' || args.seed == 0)
				return -EINVAL;
			break;
		case 'j':
			args.json = true;
			break;
		case 'h':
			return -ECANCELED;
		default:
			return -EINVAL;
		}
	}
	if (argc - optind < 2)
		return -EINVAL;
	args.config_file = argv[optind];
	args.captures = argv + optind + 1;
	args.n_captures = (uint32_t)(argc - optind - 1);
	*ret_args = args;
	return 0;
}

/* What is no capture from its first byte on is a wrong argument more likely than a damaged capture. */
static int open_captures(const struct arguments *args, struct replay_run *r)
{
	struct capture_file_stats f;
	int rc = capture_set_create(&r->captures);

	for (uint32_t i = 0; rc == 0 && i < args->n_captures; i++) {
		rc = capture_set_add(r->captures, args->captures[i]);
		if (rc != 0)
			return replay_fail("cannot open", args->captures[i], rc);
		capture_set_stats(r->captures, i, &f);
		if (f.link_name[0] != '\0')
			continue;
		fprintf(stderr,
			"weir replay: %s is no capture: %s; pcap and pcapng files are read, "
			"uncompressed\n",
			f.path, f.damage);
		return -EINVAL;
	}
	return rc;
}

static int open_port(
	struct replay_run *r, const struct path_config *pc, uint32_t id, struct sides_params *sides)
{
	const struct path_port *pp = &pc->ports[id];
	bool is_uplink = pp->role == PORT_UPLINK;
	struct replay_port_params params = {
		.name = pp->name,
		.framing = is_uplink ? replay_framing_of(&r->config->ports[id]) : FRAMING_ETHERNET,
		.mac = {{0x02, 0, 0, 0, 0, (uint8_t)(id + 1)}},
		.mtu = pp->mtu != 0 ? pp->mtu : MTU_DEFAULT,
		.writer = is_uplink              ? r->uplink_writer
			  : pp->role == PORT_LAN ? r->lan_writer
						 : NULL,
		.raw_capture = is_uplink && !replay_uplinks_are_ethernet(r->config),
		.now_us = &r->now_us,
	};
	int rc = replay_port_open(&params, &r->ports[id]);

	if (rc != 0)
		return rc;
	r->n_ports = id + 1;
	sides->ports[id] = (struct sides_port){
		.role = is_uplink              ? SIDES_UPLINK
			: pp->role == PORT_LAN ? SIDES_LAN
					       : SIDES_UNUSED,
		.framing = params.framing,
		.address = pp->address,
		.mac = params.mac,
		.vlan = pp->vlan,
	};
	return 0;
}

static bool find_external(void *context, const struct sides_conversation *c,
	struct ip_addr *ret_external, uint16_t *ret_external_port)
{
	const struct replay_run *r = context;
	struct flow_key_v4 up = replay_uplink_key(c);

	return doors_external_find(r->path, &up, ret_external, ret_external_port);
}

static int open_books(struct replay_run *r)
{
	struct budget_time now = replay_budget_time(r);
	struct ledger_recovery recovery;

	int rc = clocks_create(r->config, (int64_t)r->now_us, &r->clocks);

	if (rc != 0)
		return rc;
	journal_none_init(&r->journal);
	return budget_create(r->config, r->path, &r->journal, &now, &recovery, &r->budget);
}

/* Pool, ports, sides and path; takes path_config over. */
static int open_path(struct replay_run *r, struct path_setup *setup, struct path_config *pc)
{
	struct sides_params sides = {
		.seed = setup->seed, .external_find = find_external, .context = r};
	int rc = -ENOMEM;

	r->scratch = malloc(REPLAY_SCRATCH_BYTES);
	r->pool = path_pool_create("replay", config_packet_buffers(r->config) + REPLAY_WINDOW,
		REPLAY_ROOM_BYTES, false);
	if (r->scratch == NULL || r->pool == NULL)
		goto err_config;
	for (uint32_t i = 0; i < pc->n_ports; i++) {
		rc = open_port(r, pc, i, &sides);
		if (rc != 0)
			goto err_config;
		setup->ports[i] = r->ports[i];
	}
	rc = sides_create(&sides, &r->sides);
	if (rc == -EINVAL)
		fprintf(stderr, "weir replay: a replay needs a LAN port and an uplink port, each "
				"with an IPv4 address\n");
	if (rc != 0)
		goto err_config;
	setup->pool = r->pool;
	setup->virtual_clock = true;
	setup->profile = false;
	rc = path_create(setup, pc, r->now_us, &r->path);
	if (rc != 0)
		goto err_config;
	r->path_config = doors_config(r->path);
	rc = remote_names_create(
		r->config->runtime.remote_names_max, setup->device_capacity, 1, &r->remote_names);
	if (rc != 0)
		return rc;
	remote_names_set_times(r->remote_names, &r->path_config->names_times);
	if (r->records != NULL)
		export_records_set_remote_names(r->records, r->remote_names);
	return open_books(r);

err_config:
	path_config_destroy(pc);
	return rc;
}

static void close_all(struct replay_run *r)
{
	replay_files_discard(r);
	budget_destroy(r->budget);
	clocks_destroy(r->clocks);
	remote_names_destroy(r->remote_names);
	path_destroy(r->path);
	for (uint32_t i = 0; i < r->n_ports; i++)
		port_close(r->ports[i]);
	sides_destroy(r->sides);
	capture_set_destroy(r->captures);
	free(r->scratch);
}

/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): all that a signal handler may write to */
static volatile sig_atomic_t caught;

static void catch (int signal_number)
{
	caught = signal_number;
}

/* Without SA_RESTART: a signal also ends the wait for a slow pipe. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = catch};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Ends as the signal would have ended it, for those who wait for this process. */
static void end_by_signal(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	sigaction(caught, &action, NULL);
	(void)raise(caught);
}

static int play(const struct arguments *args, struct replay_run *r)
{
	struct path_config *pc;
	struct path_setup setup;
	int rc = open_captures(args, r);

	if (rc == 0)
		rc = replay_files_open(r, args->out_dir, args->captures, args->n_captures);
	if (rc == 0)
		rc = replay_ipfix_open(r, args->ipfix_file, args->captures, args->n_captures);
	if (rc != 0)
		return rc;
	r->has_next = capture_set_next(r->captures, &r->next);
	if (r->has_next)
		r->now_us = r->next.time_us;
	r->first_us = r->now_us;
	r->schedules = replay_schedules(r);
	rc = config_to_path_at(r->config, &r->schedules, &setup, &pc);
	if (rc != 0)
		return replay_fail("cannot use", args->config_file, rc);
	if (args->seed != 0 || setup.seed == 0)
		setup.seed = args->seed != 0 ? args->seed : DEFAULT_SEED;
	rc = open_path(r, &setup, pc);
	if (rc != 0)
		return replay_fail("cannot set up", args->config_file, rc);
	rc = replay_run(r);
	if (rc == 0)
		rc = replay_files_finish(r);
	if (rc == -EINTR)
		fprintf(stderr,
			"weir replay: interrupted after %" PRIu64 " packets; nothing was written\n",
			r->n_packets);
	else if (rc == -ENOMEM)
		replay_fail("cannot keep", "what is to be remembered of the captures", rc);
	else if (rc != 0)
		replay_fail("cannot write to",
			args->out_dir != NULL ? args->out_dir : args->ipfix_file, rc);
	return rc;
}

static struct config *load_config(const char *file)
{
	struct config_report report = {0};
	struct config *config = NULL;
	int rc = config_load(file, 0, &config, &report);

	config_report_print(&report, file, stderr);
	config_report_clean(&report);
	return rc == 0 ? config : NULL;
}

static int run(const struct arguments *args, const struct config *config)
{
	uint32_t pool_mib = (uint32_t)((uint64_t)config_packet_buffers(config)
				       * (REPLAY_ROOM_BYTES + MBUF_OVERHEAD) / MIB);
	struct replay_run *r = calloc(1, sizeof(*r));
	int status = EXIT_FAILURE;

	if (r == NULL)
		return EXIT_FAILURE;
	r->config = config;
	r->interrupted = &caught;
	if (eal_start(false, pool_mib + EAL_SPARE_MIB, NULL) != 0)
		goto out_run;
	clock_init();
	catch_signals();
	if (play(args, r) == 0) {
		replay_print(r, args->json, stdout);
		status = replay_check(r, stderr) > 0 ? EXIT_FAILURE
			 : replay_is_damaged(r)      ? EXIT_DAMAGED
						     : EXIT_SUCCESS;
	}
	close_all(r);
	eal_stop();
	if (fflush(stdout) != 0 && status == EXIT_SUCCESS)
		status = EXIT_FAILURE;
out_run:
	free(r);
	if (caught != 0 && status != EXIT_SUCCESS)
		end_by_signal();
	return status;
}

int replay_main(int argc, char **argv)
{
	struct arguments args;
	struct config *config;
	int status;
	int rc = parse_arguments(argc, argv, &args);

	if (rc != 0) {
		fputs(usage, rc == -ECANCELED ? stdout : stderr);
		return rc == -ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
	}
	config = load_config(args.config_file);
	if (config == NULL)
		return EXIT_FAILURE;
	status = run(&args, config);
	config_destroy(config);
	return status;
}
