/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay.h"

#include "eal.h"
#include "replay_run.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/apply.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	EXIT_DAMAGED = 3
};

#define FILE_PATH_MAX 1024
#define DEFAULT_SEED  1 /* the same result every time unless asked otherwise */
#define MTU_DEFAULT   1500
#define MIB           (1u << 20)
#define EAL_SPARE_MIB 64  /* rings and EAL's own */
#define MBUF_OVERHEAD 512 /* struct rte_mbuf, metadata, headroom, the pool's own */

struct arguments {
	const char *config_file;
	const char *out_dir; /* NULL: only the summary */
	char *const *captures;
	uint32_t n_captures;
	uint64_t seed; /* 0: as configured */
	bool json;
};

static const char usage[] =
	"usage: weir replay CONF CAPTURE... [--out DIR] [--seed N] [--json]\n"
	"\n"
	"Plays captures (pcap, pcapng) through the gateway that CONF describes, on the captures' "
	"own clock.\n"
	"Captures with both directions in them are fine: replies are addressed as the gateway has "
	"translated them.\n"
	"Hosts outside every configured LAN that speak first are given an address of the LAN; the "
	"summary lists them.\n"
	"\n"
	"  --out DIR   write lan.pcap, uplink.pcap, flows.jsonl, usage.json and drops.json there\n"
	"  --seed N    of all chance, above 0; the same input and seed give the same bytes "
	"(default: the\n"
	"              configuration's, else 1)\n"
	"  --json      the summary as JSON\n"
	"\n"
	"exit status: 0 all played and every sum agrees; 1 an error, or sums that do not agree; 2 "
	"wrong arguments;\n"
	"3 a capture was damaged, and what lies before the damage was played\n";

static int parse_arguments(int argc, char **argv, struct arguments *ret_args)
{
	static const struct option options[] = {
		{"out", required_argument, NULL, 'o'},
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

static int fail(const char *what, const char *name, int error)
{
	fprintf(stderr, "weir replay: %s %s: %s\n", what, name, strerror(-error));
	return error;
}

/* DIR and what is missing above it. */
static int make_dir(const char *dir)
{
	char path[FILE_PATH_MAX];
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, len + 1);
	for (char *at = path + 1; *at != '\0'; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(path, 0777) != 0 && errno != EEXIST ? -errno : 0;
}

/* An output file's path; refuses to write over one of the captures. */
static int out_path(const struct arguments *args, const char *name, char path[FILE_PATH_MAX])
{
	struct stat out;
	struct stat in;

	if (snprintf(path, FILE_PATH_MAX, "%s/%s", args->out_dir, name) >= FILE_PATH_MAX)
		return fail("cannot write", name, -ENAMETOOLONG);
	if (stat(path, &out) != 0)
		return 0;
	for (uint32_t i = 0; i < args->n_captures; i++)
		if (stat(args->captures[i], &in) == 0 && in.st_dev == out.st_dev
			&& in.st_ino == out.st_ino)
			return fail("will not write over the capture", path, -EEXIST);
	return 0;
}

static int open_captures(const struct arguments *args, struct replay_run *r)
{
	int rc = capture_set_create(&r->captures);

	for (uint32_t i = 0; rc == 0 && i < args->n_captures; i++) {
		rc = capture_set_add(r->captures, args->captures[i]);
		if (rc != 0)
			return fail("cannot open", args->captures[i], rc);
	}
	return rc;
}

static enum link_framing framing_of(const struct config_port *p)
{
	if (p->framing == CONFIG_FRAMING_AUTO)
		return p->link == LINK_CELLULAR ? FRAMING_RAW_IP : FRAMING_ETHERNET;
	return p->framing == CONFIG_FRAMING_RAW_IP ? FRAMING_RAW_IP : FRAMING_ETHERNET;
}

/* The uplinks' capture holds Ethernet frames when every uplink has them; otherwise it holds IP packets. */
static bool uplinks_are_ethernet(const struct config *c)
{
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].role == PORT_UPLINK && framing_of(&c->ports[i]) != FRAMING_ETHERNET)
			return false;
	return true;
}

static int open_files(const struct arguments *args, struct replay_run *r)
{
	char error[EXPORT_ERROR_MAX];
	char path[FILE_PATH_MAX];
	int rc;

	if (args->out_dir == NULL)
		return 0;
	rc = make_dir(args->out_dir);
	if (rc != 0)
		return fail("cannot make the folder", args->out_dir, rc);
	rc = out_path(args, "lan.pcap", path);
	if (rc != 0)
		return rc;
	rc = capture_writer_create(path, CAPTURE_LINK_ETHERNET, &r->lan_writer);
	if (rc != 0)
		return fail("cannot write", path, rc);
	rc = out_path(args, "uplink.pcap", path);
	if (rc != 0)
		return rc;
	rc = capture_writer_create(path,
		uplinks_are_ethernet(r->config) ? CAPTURE_LINK_ETHERNET : CAPTURE_LINK_RAW_IP,
		&r->uplink_writer);
	if (rc != 0)
		return fail("cannot write", path, rc);
	rc = out_path(args, "flows.jsonl", path);
	if (rc != 0)
		return rc;
	if (unlink(path) != 0 && errno != ENOENT)
		return fail("cannot write", path, -errno);
	rc = export_records_open(path, error, &r->records);
	if (rc != 0)
		fprintf(stderr, "weir replay: %s\n", error);
	return rc;
}

static int open_port(
	struct replay_run *r, const struct path_config *pc, uint32_t id, struct sides_params *sides)
{
	const struct path_port *pp = &pc->ports[id];
	bool is_uplink = pp->role == PORT_UPLINK;
	struct replay_port_params params = {
		.name = pp->name,
		.framing = is_uplink ? framing_of(&r->config->ports[id]) : FRAMING_ETHERNET,
		.mac = {{0x02, 0, 0, 0, 0, (uint8_t)(id + 1)}},
		.mtu = pp->mtu != 0 ? pp->mtu : MTU_DEFAULT,
		.writer = is_uplink              ? r->uplink_writer
			  : pp->role == PORT_LAN ? r->lan_writer
						 : NULL,
		.raw_capture = is_uplink && !uplinks_are_ethernet(r->config),
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

/* Pool, ports, sides and path; takes path_config over. */
static int open_path(struct replay_run *r, struct path_setup *setup, struct path_config *pc)
{
	struct sides_params sides = {
		.seed = setup->seed, .external_find = find_external, .context = r};
	int rc = -ENOMEM;

	r->scratch = malloc(REPLAY_SCRATCH_BYTES);
	r->pool = path_pool_create(
		"replay", r->config->runtime.packet_buffers + REPLAY_WINDOW, REPLAY_ROOM_BYTES);
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
	return 0;

err_config:
	path_config_destroy(pc);
	return rc;
}

static int close_files(struct replay_run *r)
{
	uint64_t n_lost = 0;
	int rc = capture_writer_close(r->lan_writer);
	int uplink_rc = capture_writer_close(r->uplink_writer);

	r->lan_writer = NULL;
	r->uplink_writer = NULL;
	if (r->records != NULL) {
		export_records_flush(r->records, r->now_us);
		n_lost = export_records_counts(r->records).n_lost;
		export_records_close(r->records);
		r->records = NULL;
	}
	if (rc == 0)
		rc = uplink_rc;
	return rc == 0 && n_lost > 0 ? -EIO : rc;
}

static void close_all(struct replay_run *r)
{
	close_files(r);
	path_destroy(r->path);
	for (uint32_t i = 0; i < r->n_ports; i++)
		port_close(r->ports[i]);
	sides_destroy(r->sides);
	capture_set_destroy(r->captures);
	free(r->scratch);
}

static int play(const struct arguments *args, struct replay_run *r)
{
	struct path_config *pc;
	struct path_setup setup;
	int rc = open_captures(args, r);

	if (rc == 0)
		rc = open_files(args, r);
	if (rc != 0)
		return rc;
	rc = config_to_path(r->config, &setup, &pc);
	if (rc != 0)
		return fail("cannot use", args->config_file, rc);
	if (args->seed != 0 || setup.seed == 0)
		setup.seed = args->seed != 0 ? args->seed : DEFAULT_SEED;
	r->has_next = capture_set_next(r->captures, &r->next);
	if (r->has_next)
		r->now_us = r->next.time_us;
	r->first_us = r->now_us;
	rc = open_path(r, &setup, pc);
	if (rc != 0)
		return fail("cannot set up", args->config_file, rc);
	rc = replay_run(r);
	if (rc == 0)
		rc = close_files(r);
	if (rc == 0 && args->out_dir != NULL)
		rc = replay_write_files(r, args->out_dir);
	if (rc != 0)
		return fail(
			"cannot write to", args->out_dir != NULL ? args->out_dir : "memory", rc);
	return 0;
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
	uint32_t pool_mib = (uint32_t)((uint64_t)config->runtime.packet_buffers
				       * (REPLAY_ROOM_BYTES + MBUF_OVERHEAD) / MIB);
	struct replay_run *r = calloc(1, sizeof(*r));
	int status = EXIT_FAILURE;

	if (r == NULL)
		return EXIT_FAILURE;
	r->config = config;
	if (eal_start(false, pool_mib + EAL_SPARE_MIB, NULL) != 0)
		goto out_run;
	clock_init();
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
