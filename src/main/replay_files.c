/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of --out: see replay_run.h. */
#include "replay_run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_PATH_MAX 1024
#define PART          ".part" /* of a name, until the file is whole */

enum file {
	FILE_LAN,
	FILE_UPLINK,
	FILE_FLOWS,
	FILE_USAGE,
	FILE_DROPS,
	N_FILES
};

static const char *const file_names[N_FILES] = {
	[FILE_LAN] = "lan.pcap",
	[FILE_UPLINK] = "uplink.pcap",
	[FILE_FLOWS] = "flows.jsonl",
	[FILE_USAGE] = "usage.json",
	[FILE_DROPS] = "drops.json",
};

int replay_fail(const char *what, const char *name, int error)
{
	fprintf(stderr, "weir replay: %s %s: %s\n", what, name, strerror(-error));
	return error;
}

enum link_framing replay_framing_of(const struct config_port *p)
{
	if (p->framing == CONFIG_FRAMING_AUTO)
		return p->link == LINK_CELLULAR ? FRAMING_RAW_IP : FRAMING_ETHERNET;
	return p->framing == CONFIG_FRAMING_RAW_IP ? FRAMING_RAW_IP : FRAMING_ETHERNET;
}

bool replay_uplinks_are_ethernet(const struct config *c)
{
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].role == PORT_UPLINK
			&& replay_framing_of(&c->ports[i]) != FRAMING_ETHERNET)
			return false;
	return true;
}

/* DIR and what is missing above it. */
static int make_dir(const char *dir)
{
	char path[FILE_PATH_MAX];
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof(path))
		return len == 0 ? -ENOENT : -ENAMETOOLONG;
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

static int path_of(const char *dir, enum file file, const char *suffix, char path[FILE_PATH_MAX])
{
	int n = snprintf(path, FILE_PATH_MAX, "%s/%s%s", dir, file_names[file], suffix);

	return n < FILE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool is_capture(const char *path, char *const *captures, uint32_t n_captures)
{
	struct stat out;
	struct stat in;

	if (stat(path, &out) != 0)
		return false;
	for (uint32_t i = 0; i < n_captures; i++)
		if (stat(captures[i], &in) == 0 && in.st_dev == out.st_dev
			&& in.st_ino == out.st_ino)
			return true;
	return false;
}

/* Removes what an earlier run left, whole or not. */
static int remove_old(const char *dir, char *const *captures, uint32_t n_captures)
{
	static const char *const suffixes[] = {"", PART};
	char path[FILE_PATH_MAX];

	for (int i = 0; i < 2 * N_FILES; i++) {
		int rc = path_of(dir, (enum file)(i / 2), suffixes[i % 2], path);

		if (rc != 0)
			return replay_fail("cannot write to", dir, rc);
		if (is_capture(path, captures, n_captures))
			return replay_fail("will not write over the capture", path, -EEXIST);
		if (unlink(path) != 0 && errno != ENOENT)
			return replay_fail("cannot replace", path, -errno);
	}
	return 0;
}

static int open_writer(const char *dir, enum file file, enum capture_link_type link_type,
	struct capture_writer **ret_writer)
{
	char path[FILE_PATH_MAX];
	int rc = path_of(dir, file, PART, path);

	if (rc == 0)
		rc = capture_writer_create(path, link_type, ret_writer);
	return rc == 0 ? 0 : replay_fail("cannot write", path, rc);
}

int replay_files_open(
	struct replay_run *r, const char *dir, char *const *captures, uint32_t n_captures)
{
	char error[EXPORT_ERROR_MAX];
	char path[FILE_PATH_MAX];
	int rc;

	if (dir == NULL)
		return 0;
	rc = make_dir(dir);
	if (rc != 0)
		return replay_fail("cannot make the folder", dir, rc);
	rc = remove_old(dir, captures, n_captures);
	if (rc != 0)
		return rc;
	r->out_dir = dir;
	rc = open_writer(dir, FILE_LAN, CAPTURE_LINK_ETHERNET, &r->lan_writer);
	if (rc == 0)
		rc = open_writer(dir, FILE_UPLINK,
			replay_uplinks_are_ethernet(r->config) ? CAPTURE_LINK_ETHERNET
							       : CAPTURE_LINK_RAW_IP,
			&r->uplink_writer);
	if (rc == 0)
		rc = path_of(dir, FILE_FLOWS, PART, path);
	if (rc != 0)
		return rc;
	rc = export_records_open(path, error, &r->records);
	if (rc != 0)
		fprintf(stderr, "weir replay: %s\n", error);
	return rc;
}

int replay_ipfix_open(
	struct replay_run *r, const char *file, char *const *captures, uint32_t n_captures)
{
	char error[EXPORT_ERROR_MAX];
	char part[FILE_PATH_MAX];
	struct export_ipfix_params params = {
		.transport = IPFIX_FILE,
		.file = part,
		.domain = r->config->ipfix.domain,
		.buffer = r->config->ipfix.buffer,
		.template_every_us = r->config->ipfix.template_every_us,
	};
	int rc;
	int fd;

	if (file == NULL)
		return 0;
	if (is_capture(file, captures, n_captures))
		return replay_fail("will not write over the capture", file, -EEXIST);
	if (snprintf(part, sizeof(part), "%s" PART, file) >= (int)sizeof(part))
		return replay_fail("cannot write", file, -ENAMETOOLONG);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return replay_fail("cannot write", part, -errno);
	close(fd);
	r->ipfix_file = file;
	rc = export_ipfix_open(&params, error, &r->ipfix);
	if (rc != 0)
		fprintf(stderr, "weir replay: %s\n", error);
	return rc;
}

/* Writes what waits; -ENOSPC when some of it cannot be written. The name is given to the whole file alone. */
static int ipfix_finish(struct replay_run *r)
{
	char part[FILE_PATH_MAX];
	struct export_ipfix_counts counts;
	uint64_t n_left;

	if (r->ipfix == NULL)
		return 0;
	export_ipfix_drain(r->ipfix);
	export_ipfix_tick(r->ipfix, r->path_config, r->now_us);
	counts = export_ipfix_counts(r->ipfix);
	if (counts.why_down[0] != '\0')
		fprintf(stderr, "weir replay: %s: %s\n", r->ipfix_file, counts.why_down);
	n_left = export_ipfix_close(r->ipfix) + counts.n_lost;
	r->ipfix = NULL;
	(void)snprintf(part, sizeof(part), "%s" PART, r->ipfix_file);
	if (n_left > 0)
		return -ENOSPC;
	return rename(part, r->ipfix_file) != 0 ? -errno : 0;
}

/* Closes all that is open; the first error, or -ENOSPC for records that found no room. */
static int close_all(struct replay_run *r)
{
	uint64_t n_lost = r->records != NULL ? export_records_counts(r->records).n_lost : 0;
	int rc = capture_writer_close(r->lan_writer);
	int uplink_rc = capture_writer_close(r->uplink_writer);

	n_lost += export_records_close(r->records);
	r->lan_writer = NULL;
	r->uplink_writer = NULL;
	r->records = NULL;
	if (rc == 0)
		rc = uplink_rc;
	return rc == 0 && n_lost > 0 ? -ENOSPC : rc;
}

static int write_sums(struct replay_run *r)
{
	char path[FILE_PATH_MAX];
	int rc = path_of(r->out_dir, FILE_USAGE, PART, path);

	if (rc == 0)
		rc = replay_write_usage(r, path);
	if (rc == 0)
		rc = path_of(r->out_dir, FILE_DROPS, PART, path);
	return rc == 0 ? replay_write_drops(r, path) : rc;
}

int replay_files_finish(struct replay_run *r)
{
	char part[FILE_PATH_MAX];
	char path[FILE_PATH_MAX];
	int rc = close_all(r);

	if (rc == 0)
		rc = ipfix_finish(r);
	if (r->out_dir == NULL)
		return rc;
	if (rc == 0)
		rc = write_sums(r);
	for (int i = 0; i < N_FILES && rc == 0; i++) {
		rc = path_of(r->out_dir, (enum file)i, PART, part);
		if (rc == 0)
			rc = path_of(r->out_dir, (enum file)i, "", path);
		if (rc == 0 && rename(part, path) != 0)
			rc = -errno;
	}
	return rc;
}

void replay_files_discard(struct replay_run *r)
{
	char path[FILE_PATH_MAX];

	close_all(r);
	if (r->ipfix_file != NULL) {
		export_ipfix_close(r->ipfix);
		r->ipfix = NULL;
		(void)snprintf(path, sizeof(path), "%s" PART, r->ipfix_file);
		unlink(path); /* is not there when the file is whole */
	}
	for (int i = 0; i < N_FILES && r->out_dir != NULL; i++)
		if (path_of(r->out_dir, (enum file)i, PART, path) == 0)
			unlink(path);
}
