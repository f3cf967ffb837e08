/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/export_records.h>
#include <weir/control/text.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES_MAX_BYTES (1u << 20)
#define LINE_MAX_BYTES                                                                             \
	2048u /* about 1000 are used: 25 fields with the longest values, names escaped */
#define WRITE_BYTES (256u << 10)

struct export_records {
	int fd; /* -1: could not be opened yet */
	char path[PATH_MAX];
	int64_t wall_offset_us;
	struct remote_names *remote_names; /* NULL: none */
	struct text lines;
	bool cut;           /* the first line's beginning is in the file already */
	uint32_t n_waiting; /* lines held */
	struct export_counts counts;
	struct log_limit log_limit;
};

static void log_failure(struct export_records *x, const char *why, uint64_t now_us)
{
	if (!log_limit_take(&x->log_limit, now_us))
		return;
	log_event(LOG_WARNING,
		"export.stuck file=\"%s\" reason=\"%s\" lost_records=%" PRIu64 " suppressed=%u",
		x->path, why, x->counts.n_lost, x->log_limit.n_suppressed);
	x->log_limit.n_suppressed = 0;
}

/* O_NONBLOCK: `path` may be a FIFO whose reader is gone or slow. */
static int file_open(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

int export_records_open(
	const char *path, char error[EXPORT_ERROR_MAX], struct export_records **ret_export)
{
	struct export_records *x;
	int fd;

	if (strlen(path) >= sizeof(x->path)) {
		(void)snprintf(error, EXPORT_ERROR_MAX, "the path of the records file is too long");
		return -ENAMETOOLONG;
	}
	fd = file_open(path);
	if (fd < 0) {
		(void)snprintf(error, EXPORT_ERROR_MAX, "cannot write records to %s: %s", path,
			strerror(-fd));
		return fd;
	}
	x = calloc(1, sizeof(*x));
	if (x == NULL) {
		close(fd);
		(void)snprintf(
			error, EXPORT_ERROR_MAX, "cannot write records to %s: no memory", path);
		return -ENOMEM;
	}
	x->fd = fd;
	memcpy(x->path, path, strlen(path) + 1);
	x->log_limit = (struct log_limit){.interval_us = 60 * US_PER_S, .burst = 2};
	text_init(&x->lines, LINES_MAX_BYTES);
	*ret_export = x;
	return 0;
}

void export_records_set_wall_offset(struct export_records *x, int64_t wall_offset_us)
{
	x->wall_offset_us = wall_offset_us;
}

void export_records_set_remote_names(struct export_records *x, struct remote_names *names)
{
	x->remote_names = names;
}

static void endpoint(
	struct text *t, const char *v4_key, const char *v6_key, const struct ip_addr *addr)
{
	text_field_addr(t, ip_addr_is_v4(addr) ? v4_key : v6_key, addr);
}

static const char *port_name(const struct path_config *config, uint8_t id)
{
	return id < config->n_ports ? config->ports[id].name : "";
}

/* Interim records end no flow; the registry's word for "reported because it is long" is active timeout. */
static uint8_t end_reason(const struct flow_record *r)
{
	return r->end_reason == FLOW_END_NONE ? FLOW_END_ACTIVE_TIMEOUT : r->end_reason;
}

static void line_append(
	struct export_records *x, const struct path_config *config, const struct flow_record *r)
{
	struct text *t = &x->lines;
	uint64_t wall_offset_us = (uint64_t)x->wall_offset_us;
	const char *remote_name = remote_names_find(x->remote_names, r);

	text_append(t, "{", 1);
	text_field_u64(t, "flowStartMicroseconds", r->start_us + wall_offset_us);
	text_field_u64(t, "flowEndMicroseconds", r->end_us + wall_offset_us);
	text_field_u64(t, "flowId", r->flow_id);
	text_field_u64(t, "protocolIdentifier", r->proto);
	endpoint(t, "sourceIPv4Address", "sourceIPv6Address", &r->internal);
	text_field_u64(t, "sourceTransportPort", r->internal_port);
	endpoint(t, "destinationIPv4Address", "destinationIPv6Address", &r->remote);
	text_field_u64(t, "destinationTransportPort", r->remote_port);
	endpoint(t, "postNATSourceIPv4Address", "postNATSourceIPv6Address", &r->external);
	text_field_u64(t, "postNAPTSourceTransportPort", r->external_port);
	text_field_u64(t, "octetDeltaCount", r->octet_delta_count[UPLINK]);
	text_field_u64(t, "packetDeltaCount", r->packet_delta_count[UPLINK]);
	text_field_u64(t, "reverseOctetDeltaCount", r->octet_delta_count[DOWNLINK]);
	text_field_u64(t, "reversePacketDeltaCount", r->packet_delta_count[DOWNLINK]);
	text_field_u64(t, "tcpControlBits", r->tcp_flags[UPLINK]);
	text_field_u64(t, "reverseTcpControlBits", r->tcp_flags[DOWNLINK]);
	text_field_u64(t, "flowEndReason", end_reason(r));
	text_field_string(t, "ingressInterface", port_name(config, r->lan_port));
	text_field_string(t, "egressInterface", port_name(config, r->wan_port));
	text_field_mac(t, "sourceMacAddress", &r->device_mac);
	text_field_string(t, "className", classes_name(config->classes, r->class_id));
	if (remote_name != NULL)
		text_field_string(t, "destinationName", remote_name);
	text_append(t, "}\n", 2);
}

/* Lines that end within the first `n` bytes. */
static uint32_t lines_count(const char *bytes, size_t n)
{
	const char *end = bytes + n;
	uint32_t n_lines = 0;

	for (const char *c = bytes; c < end && (c = memchr(c, '\n', (size_t)(end - c))) != NULL;
		c++)
		n_lines++;
	return n_lines;
}

static void lines_remove(struct export_records *x, size_t n)
{
	x->n_waiting -= lines_count(x->lines.data, n);
	x->cut = x->lines.data[n - 1] != '\n';
	memmove(x->lines.data, x->lines.data + n, x->lines.n - n);
	x->lines.n -= n;
}

/* One write of all that waits: a slow disk delays control, never the path. */
static void lines_write(struct export_records *x, uint64_t now_us)
{
	ssize_t n;

	if (x->lines.n == 0)
		return;
	if (x->fd < 0) {
		x->fd = file_open(x->path);
		if (x->fd < 0) {
			log_failure(x, strerror(-x->fd), now_us);
			x->fd = -1;
			return;
		}
	}
	n = write(x->fd, x->lines.data, x->lines.n);
	if (n > 0)
		lines_remove(x, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		log_failure(x, strerror(errno), now_us);
}

static bool line_has_room(struct export_records *x, uint64_t now_us)
{
	if (LINES_MAX_BYTES - x->lines.n >= LINE_MAX_BYTES
		&& text_reserve(&x->lines, LINE_MAX_BYTES))
		return true;
	x->lines.failed = 0;
	lines_write(x, now_us);
	return LINES_MAX_BYTES - x->lines.n >= LINE_MAX_BYTES
	       && text_reserve(&x->lines, LINE_MAX_BYTES);
}

void export_records_add(struct export_records *x, const struct path_config *config,
	const struct flow_record *records, uint32_t n_records, uint64_t now_us)
{
	uint32_t n_lost = 0;

	for (uint32_t i = 0; i < n_records; i++) {
		/* After a failure the rest of this batch does not try again: a full disk must not cost a system call a record. */
		if (n_lost == 0 && line_has_room(x, now_us)) {
			line_append(x, config, &records[i]);
			x->n_waiting++;
			x->counts.n_written++;
		} else {
			n_lost++;
		}
	}
	x->lines.failed = 0;
	x->counts.n_lost += n_lost;
	if (n_lost > 0)
		log_failure(x, "too many records wait to be written", now_us);
	else if (x->lines.n >= WRITE_BYTES)
		lines_write(x, now_us);
}

/* True when `path` names another file than the open one, or none. */
static bool file_moved(const struct export_records *x)
{
	struct stat open_file;
	struct stat named;

	if (fstat(x->fd, &open_file) != 0)
		return true;
	return stat(x->path, &named) != 0 || named.st_dev != open_file.st_dev
	       || named.st_ino != open_file.st_ino;
}

/* A line whose first half is in the old file is of no use to a reader of either: its rest is lost. */
static void cut_line_drop(struct export_records *x)
{
	const char *end;

	if (!x->cut)
		return;
	end = memchr(x->lines.data, '\n', x->lines.n);
	lines_remove(x, (size_t)(end - x->lines.data) + 1);
	x->counts.n_written--;
	x->counts.n_lost++;
}

void export_records_reopen(struct export_records *x, uint64_t now_us)
{
	int fd;

	lines_write(x, now_us);
	fd = file_open(x->path);
	if (fd < 0) {
		/* The old file, wherever it is now, is better than none. */
		log_failure(x, strerror(-fd), now_us);
		return;
	}
	cut_line_drop(x);
	if (x->fd >= 0)
		close(x->fd);
	x->fd = fd;
	lines_write(x, now_us);
}

void export_records_flush(struct export_records *x, uint64_t now_us)
{
	if (x->fd >= 0 && file_moved(x))
		export_records_reopen(x, now_us);
	else
		lines_write(x, now_us);
}

struct export_counts export_records_counts(const struct export_records *x)
{
	return x->counts;
}

uint32_t export_records_close(struct export_records *x)
{
	uint32_t n_unwritten;

	if (x == NULL)
		return 0;
	lines_write(x, 0);
	n_unwritten = x->n_waiting;
	if (x->n_waiting > 0)
		log_event(LOG_WARNING, "export.closed file=\"%s\" unwritten_records=%u", x->path,
			x->n_waiting);
	if (x->fd >= 0)
		close(x->fd);
	text_clean(&x->lines);
	free(x);
	return n_unwritten;
}
