/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file <interface>.offloads says who holds an interface, and what is to be put back. Its holder keeps it locked
 * (flock), so a lock that can be had means that the holder has died, with no question of reused process ids. It is
 * written before anything is changed: a crash at any instruction leaves enough to undo everything.
 */
#include "netdev.h"

#include <weir/base/log.h>
#include <weir/port/takeover.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX         ".offloads"
#define TABLE_MAX      (sizeof("weir_") + 3ul * NETDEV_NAME_MAX)
#define RULES_MAX      1024
#define EGRESS_MAX     256
#define STATE_PATH_MAX 512
#define RECORD_MAX     256

struct takeover {
	char device[NETDEV_NAME_MAX];
	char path[STATE_PATH_MAX];
	int lock_fd;
	int index;           /* of the interface whose offloads were changed */
	uint32_t switched;   /* offloads to be put back */
	bool is_owned;       /* the table goes with the socket in nft */
	bool has_egress;     /* the kernel's own sending is kept back */
	struct nft_ctx *nft; /* holds the socket that owns the table */
};

/* Writes the sentence and is r. */
#define REFUSE(error, r, ...) ((void)snprintf(error, PORT_ERROR_MAX, __VA_ARGS__), (r))

/* A table name takes letters, digits and these; what else an interface may be called is written in hex. */
static void format_table(const char *device, char table[TABLE_MAX])
{
	size_t len = (size_t)snprintf(table, TABLE_MAX, "weir_");

	for (; *device != '\0'; device++) {
		bool is_plain = isalnum((unsigned char)*device) || strchr(".-", *device) != NULL;

		len += (size_t)snprintf(table + len, TABLE_MAX - len, is_plain ? "%c" : "_%02x",
			(unsigned char)*device);
	}
}

static struct nft_ctx *open_nft(void)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	if (nft == NULL)
		return NULL;
	if (nft_ctx_buffer_error(nft) != 0 || nft_ctx_buffer_output(nft) != 0) {
		nft_ctx_free(nft);
		return NULL;
	}
	return nft;
}

/*
 * PACKET_QDISC_BYPASS does not lead around this hook, so weir's own frames show a mark. Frames of 802.1X go no further than
 * the other end of the link, and without them a Wi-Fi link ends.
 */
static void format_egress(const char *device, char chain[EGRESS_MAX])
{
	(void)snprintf(chain, EGRESS_MAX,
		"chain egress {\n"
		"type filter hook egress device \"%s\" priority -500; policy drop;\n"
		"meta mark %#x accept\n"
		"meta protocol 0x888e accept\n"
		"counter\n"
		"}\n",
		device, TAKEOVER_MARK);
}

/* One transaction: whatever table of this name there was is replaced. */
static int add_table(struct nft_ctx *nft, const char *device, bool is_owned, bool has_egress)
{
	char table[TABLE_MAX], rules[RULES_MAX], egress[EGRESS_MAX] = "";

	format_table(device, table);
	if (has_egress)
		format_egress(device, egress);
	(void)snprintf(rules, sizeof(rules),
		"add table netdev %s\n"
		"delete table netdev %s\n"
		"table netdev %s {\n"
		"%s"
		"chain ingress { type filter hook ingress device \"%s\" priority -500; policy "
		"drop; }\n"
		"%s"
		"}\n",
		table, table, table, is_owned ? "flags owner\n" : "", device, egress);
	return nft_run_cmd_from_buffer(nft, rules) == 0 ? 0 : -EIO;
}

static void delete_table(struct nft_ctx *nft, const char *device)
{
	char table[TABLE_MAX], rules[RULES_MAX];

	format_table(device, table);
	(void)snprintf(rules, sizeof(rules), "add table netdev %s\ndelete table netdev %s\n", table,
		table);
	(void)nft_run_cmd_from_buffer(nft, rules);
}

/* Closing the socket is what removes an owned table; the other kind has to be deleted. */
static void drop_table(struct takeover *t)
{
	if (t->nft == NULL)
		return;
	if (!t->is_owned)
		delete_table(t->nft, t->device);
	nft_ctx_free(t->nft);
	t->nft = NULL;
}

/* The first line of what nft had to say. */
static void copy_complaint(struct nft_ctx *nft, char *to, size_t size)
{
	const char *text = nft_ctx_get_error_buffer(nft);

	(void)snprintf(to, size, "%.*s", (int)strcspn(text != NULL ? text : "", "\n"),
		text != NULL ? text : "");
}

/*
 * As much as this kernel can: owned tables came with Linux 5.12, and without them a crash leaves the table to
 * takeover_recover(); the egress hook came with 5.16, and not every distribution builds it.
 */
static int hold(struct takeover *t, char error[PORT_ERROR_MAX])
{
	static const struct {
		bool is_owned;
		bool has_egress;
	} ways[] = {{true, true}, {true, false}, {false, false}};
	char complaint[96] = "";

	drop_table(t);
	t->nft = open_nft();
	if (t->nft == NULL)
		return REFUSE(error, -ENOMEM, "no memory for nftables");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		t->is_owned = ways[i].is_owned;
		t->has_egress = ways[i].has_egress;
		if (add_table(t->nft, t->device, t->is_owned, t->has_egress) == 0)
			return 0;
		copy_complaint(t->nft, complaint, sizeof(complaint));
	}
	nft_ctx_free(t->nft);
	t->nft = NULL;
	return REFUSE(error, -EPERM,
		"%s: cannot keep the kernel from answering (nft: %s): needs CAP_NET_ADMIN, and "
		"nftables with the netdev family (modprobe nf_tables)",
		t->device, complaint);
}

/* Once for an interface, and not for each time that it comes back. */
static void tell_of_egress(const struct takeover *t)
{
	if (!t->has_egress)
		log_event(LOG_WARNING,
			"takeover.egress interface=%s reason=\"this kernel has no nftables egress "
			"hook, "
			"so it may send frames of its own that weir does not count\" "
			"remedy=\"Linux "
			"5.16 with CONFIG_NETFILTER_EGRESS; or sysctl "
			"net.ipv6.conf.%s.disable_ipv6=1, and no address on it\"",
			t->device, t->device);
}

static int format_path(char path[STATE_PATH_MAX], const char *state_dir, const char *device)
{
	int len = snprintf(path, STATE_PATH_MAX, "%s/%s" SUFFIX, state_dir, device);

	return len < 0 || len >= STATE_PATH_MAX - 8 ? -ENAMETOOLONG : 0;
}

/* Opens a record and locks it. -ENOENT: there is none. -EBUSY: its holder lives. */
static int open_record(const char *path, int *ret_fd)
{
	struct stat held, named;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r = 0;

	if (fd < 0)
		return -errno;
	/* Its holder may have replaced it between open and lock. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &held) < 0 || stat(path, &named) < 0
		|| held.st_ino != named.st_ino)
		r = -EBUSY;
	if (r < 0)
		(void)close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int read_record(int fd, int *ret_index, uint32_t *ret_switched)
{
	char text[RECORD_MAX], *off;
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	if (len < 0)
		return -errno;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	off = strstr(text, " off=");
	if (strncmp(text, "ifindex=", 8) != 0 || off == NULL)
		return -EINVAL;
	*ret_index = (int)strtol(text + 8, NULL, 10);
	*ret_switched = netdev_parse_offloads(off + 5);
	return 0;
}

/* Replaces the record, and with it the lock: the new one is locked before it gets its name. */
static int write_record(struct takeover *t)
{
	char text[RECORD_MAX], names[NETDEV_OFFLOADS_TEXT], temp[STATE_PATH_MAX + 8];
	size_t len;
	int fd, r;

	len = (size_t)snprintf(text, sizeof(text), "ifindex=%d off=%s\n", t->index,
		netdev_format_offloads(t->switched, names));
	(void)snprintf(temp, sizeof(temp), "%s.new", t->path);
	(void)unlink(temp);
	fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	if (r == 0 && write(fd, text, len) != (ssize_t)len)
		r = -EIO;
	if (r == 0 && (fsync(fd) < 0 || rename(temp, t->path) < 0))
		r = -errno;
	if (r < 0) {
		(void)unlink(temp);
		(void)close(fd);
		return r;
	}
	if (t->lock_fd >= 0)
		(void)close(t->lock_fd);
	t->lock_fd = fd;
	return 0;
}

/* Another interface may have the name by now: its offloads are its own. */
static void put_back(const char *device, int index, uint32_t switched)
{
	char names[NETDEV_OFFLOADS_TEXT];
	struct netdev n;
	int r;

	if (switched == 0 || netdev_read(device, &n) < 0 || n.index != index)
		return;
	(void)netdev_format_offloads(switched, names);
	r = netdev_set_offloads(device, switched, true);
	if (r < 0)
		log_event(LOG_WARNING, "takeover.restore interface=%s on=%s error=\"%s\"", device,
			names, strerror(-r));
	else
		log_event(LOG_INFO, "takeover.restore interface=%s on=%s", device, names);
}

static int still_offloads(struct takeover *t, char error[PORT_ERROR_MAX])
{
	char names[NETDEV_OFFLOADS_TEXT];
	uint32_t active = 0, still = 0;
	struct netdev n = {0};
	int r = netdev_read(t->device, &n);

	if (r == 0)
		r = netdev_read_offloads(t->device, &active);
	if (r < 0)
		return REFUSE(
			error, r, "%s: cannot read its offloads: %s", t->device, strerror(-r));
	if (n.index != t->index)
		t->switched = 0;
	t->index = n.index;
	t->switched |= active;
	r = write_record(t);
	if (r < 0)
		return REFUSE(error, r,
			"%s: cannot write %.120s: %s: make its directory writable for weir",
			t->device, t->path, strerror(-r));
	if (active == 0)
		return 0;
	r = netdev_set_offloads(t->device, active, false);
	if (r == 0)
		r = netdev_read_offloads(t->device, &still);
	if (r < 0 || still != 0)
		return REFUSE(error, r < 0 ? r : -EOPNOTSUPP,
			"%s: merges frames and cannot be told not to: ethtool -K %s %s off, or use "
			"another "
			"interface",
			t->device, t->device,
			netdev_format_offloads(still != 0 ? still : active, names));
	log_event(LOG_INFO, "takeover.offloads interface=%s off=%s", t->device,
		netdev_format_offloads(active, names));
	return 0;
}

/* Undoes what the dead holder of a record did. -EBUSY when it lives. */
static int recover_one(const char *path, const char *device)
{
	struct nft_ctx *nft;
	uint32_t switched = 0;
	int fd = -1, index = 0;
	int r = open_record(path, &fd);

	if (r < 0)
		return r;
	nft = open_nft();
	if (nft != NULL) {
		delete_table(nft, device);
		nft_ctx_free(nft);
	}
	if (read_record(fd, &index, &switched) == 0)
		put_back(device, index, switched);
	(void)unlink(path);
	(void)close(fd);
	return 0;
}

int takeover_begin(const char *device, const char *state_dir, struct takeover **ret_takeover,
	char error[PORT_ERROR_MAX])
{
	struct takeover *t;
	int r;

	if (!netdev_name_is_valid(device))
		return REFUSE(error, -EINVAL,
			"\"%s\" cannot be an interface: at most 15 plain characters", device);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return REFUSE(error, -ENOMEM, "%s: out of memory", device);
	t->lock_fd = -1;
	memcpy(t->device, device, strlen(device) + 1);
	r = format_path(t->path, state_dir, device);
	if (r < 0) {
		r = REFUSE(error, r, "%s: the state directory's path is too long", device);
		goto err_free;
	}
	if (mkdir(state_dir, 0755) < 0 && errno != EEXIST) {
		r = -errno;
		r = REFUSE(error, r, "%s: cannot make the state directory %s: %s", device,
			state_dir, strerror(errno));
		goto err_free;
	}
	if (recover_one(t->path, device) == -EBUSY) {
		r = REFUSE(error, -EBUSY,
			"%s: another weir holds it (%.80s is locked): stop that one, or give one "
			"of "
			"them "
			"another state directory",
			device, t->path);
		goto err_free;
	}
	r = takeover_renew(t, error);
	if (r < 0) {
		takeover_end(t);
		return r;
	}
	tell_of_egress(t);
	*ret_takeover = t;
	return 0;

err_free:
	free(t);
	return r;
}

int takeover_renew(struct takeover *t, char error[PORT_ERROR_MAX])
{
	int held_index = t->index;
	int r = still_offloads(t, error);

	/* The table outlives a mere down and up; a new interface of the same name needs a new chain. */
	if (r < 0 || (t->nft != NULL && t->index == held_index))
		return r;
	return hold(t, error);
}

void takeover_end(struct takeover *t)
{
	if (t == NULL)
		return;
	drop_table(t);
	if (t->lock_fd >= 0) {
		put_back(t->device, t->index, t->switched);
		(void)unlink(t->path);
		(void)close(t->lock_fd);
	}
	free(t);
}

int takeover_recover(const char *state_dir)
{
	DIR *dir = opendir(state_dir);
	struct dirent *entry;
	int n = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		char device[NETDEV_NAME_MAX], path[STATE_PATH_MAX];
		size_t len = strlen(entry->d_name);

		if (len <= strlen(SUFFIX) || len - strlen(SUFFIX) >= sizeof(device)
			|| strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		(void)snprintf(
			device, sizeof(device), "%.*s", (int)(len - strlen(SUFFIX)), entry->d_name);
		if (!netdev_name_is_valid(device) || format_path(path, state_dir, device) < 0)
			continue;
		if (recover_one(path, device) == 0)
			n++;
	}
	(void)closedir(dir);
	return n;
}
