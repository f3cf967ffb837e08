/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/config.h>
#include <weir/control/data_file.h>
#include <weir/control/device_names.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VENDORS_FILE_MAX (16u << 20)
#define LEASES_FILE_MAX  (1u << 20)
#define PREFIX_DIGITS    6
#define MADE_UP          0x02 /* of a MAC's first byte: locally administered */

struct vendor {
	uint32_t prefix; /* the MAC's first three bytes */
	uint32_t name;   /* place in `text` */
};

struct lease_name {
	struct ip_addr addr;
	struct mac_addr mac;
	char name[LEASE_NAME_MAX];
};

/* What a station has called itself. */
struct heard_name {
	struct mac_addr mac;
	bool is_device;
	char name[LEASE_NAME_MAX];
	uint64_t at; /* a count of those that were heard */
};

struct device_names {
	struct vendor *vendors; /* in the order of their prefixes */
	uint32_t n_vendors;
	char *text; /* their names, each with its NUL */
	char leases_file[CONFIG_FILE_MAX];
	struct stat leases_stat;   /* as it was read; all zero: not yet */
	struct lease_name *leases; /* in the order of their addresses */
	uint32_t n_leases;
	struct heard_name *heard; /* in the order of their MACs */
	uint32_t n_heard;
	uint64_t heard_count;
};

static int vendors_compare(const void *left, const void *right)
{
	const struct vendor *a = left;
	const struct vendor *b = right;

	return (a->prefix > b->prefix) - (a->prefix < b->prefix);
}

static int leases_compare(const void *left, const void *right)
{
	const struct lease_name *a = left;
	const struct lease_name *b = right;

	return memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

/* The next line of a text, its end made a NUL; NULL after the last. */
static char *line_next(char **text)
{
	char *line = *text;
	char *end;

	if (line == NULL || *line == '\0')
		return NULL;
	end = strpbrk(line, "\r\n");
	*text = end == NULL ? NULL : end + strspn(end, "\r\n");
	if (end != NULL)
		*end = '\0';
	return line;
}

static char *file_read(const char *path, size_t max)
{
	char *bytes;
	size_t n;
	char *text;

	if (data_file_read(path, max, &bytes, &n) != 0)
		return NULL;
	text = realloc(bytes, n + 1);
	if (text == NULL)
		free(bytes);
	else
		text[n] = '\0';
	return text;
}

/* "AABBCC     (base 16)\t\tNAME": the name, or NULL when the line is another. */
static const char *vendor_line(const char *line, uint32_t *ret_prefix)
{
	static const char mark[] = "(base 16)";
	char *end;
	unsigned long prefix = strtoul(line, &end, 16);
	const char *name;

	if (end != line + PREFIX_DIGITS || !isxdigit((unsigned char)line[0]))
		return NULL;
	name = end + strspn(end, " \t");
	if (strncmp(name, mark, sizeof(mark) - 1) != 0)
		return NULL;
	name += sizeof(mark) - 1;
	name += strspn(name, " \t");
	*ret_prefix = (uint32_t)prefix;
	return *name == '\0' ? NULL : name;
}

/* Appends a name, cut and in ASCII, at `at`; returns where the next goes. It is no longer than what it was read from. */
static size_t vendor_name_add(char *text, size_t at, const char *name)
{
	for (int i = 0; i < VENDOR_NAME_MAX - 1 && name[i] != '\0'; i++) {
		char c = name[i];

		if (c < ' ' || c > '~')
			c = '?';
		text[at++] = c;
	}
	text[at++] = '\0';
	return at;
}

/* Names move to the front of the file's own text, which is longer: a line has its prefix before its name. Returns what they take. */
static size_t vendors_parse(struct device_names *n, char *text)
{
	char *rest = text;
	char *line;
	size_t at = 0;

	while (n->n_vendors < VENDORS_MAX && (line = line_next(&rest)) != NULL) {
		struct vendor *v = &n->vendors[n->n_vendors];
		const char *name = vendor_line(line, &v->prefix);

		if (name == NULL)
			continue;
		v->name = (uint32_t)at;
		at = vendor_name_add(text, at, name);
		n->n_vendors++;
	}
	return at;
}

static void vendors_read(struct device_names *n, const char *path)
{
	void *smaller;
	size_t len_bytes;

	n->text = file_read(path, VENDORS_FILE_MAX);
	if (n->text == NULL)
		return;
	n->vendors = malloc(VENDORS_MAX * sizeof(*n->vendors));
	len_bytes = n->vendors == NULL ? 0 : vendors_parse(n, n->text);
	if (len_bytes == 0)
		return;
	qsort(n->vendors, n->n_vendors, sizeof(*n->vendors), vendors_compare);
	/* Where a smaller block is refused, the larger stays. */
	smaller = realloc(n->text, len_bytes);
	if (smaller != NULL)
		n->text = smaller;
	smaller = realloc(n->vendors, n->n_vendors * sizeof(*n->vendors));
	if (smaller != NULL)
		n->vendors = smaller;
}

static bool is_host_name(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n > 0 && n < LEASE_NAME_MAX && name[n] == '\0';
}

static bool lease_read(char *line, struct lease_name *ret_lease)
{
	char *words[4];
	char *rest = line;

	for (int i = 0; i < 4; i++)
		words[i] = strsep(&rest, " ");
	if (words[3] == NULL || !is_host_name(words[3])
		|| mac_addr_parse(words[1], &ret_lease->mac) != 0
		|| ip_addr_parse(words[2], &ret_lease->addr) != 0)
		return false;
	memcpy(ret_lease->name, words[3], strlen(words[3]) + 1);
	return true;
}

static void leases_read(struct device_names *n)
{
	char *text = file_read(n->leases_file, LEASES_FILE_MAX);
	char *rest = text;
	char *line;

	n->n_leases = 0;
	if (n->leases == NULL)
		n->leases = malloc(LEASE_NAMES_MAX * sizeof(*n->leases));
	while (n->leases != NULL && n->n_leases < LEASE_NAMES_MAX
		&& (line = line_next(&rest)) != NULL)
		n->n_leases += lease_read(line, &n->leases[n->n_leases]) ? 1 : 0;
	free(text);
	if (n->n_leases > 1)
		qsort(n->leases, n->n_leases, sizeof(*n->leases), leases_compare);
}

int device_names_create(const char *vendors, const char *leases, struct device_names **ret_names)
{
	struct device_names *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return -ENOMEM;
	(void)snprintf(n->leases_file, sizeof(n->leases_file), "%s", leases);
	vendors_read(n, vendors);
	device_names_follow(n);
	*ret_names = n;
	return 0;
}

void device_names_destroy(struct device_names *n)
{
	if (n == NULL)
		return;
	free(n->vendors);
	free(n->text);
	free(n->leases);
	free(n->heard);
	free(n);
}

void device_names_follow(struct device_names *n)
{
	struct stat now;

	if (n->leases_file[0] == '\0')
		return;
	if (stat(n->leases_file, &now) != 0)
		memset(&now, 0, sizeof(now));
	if (now.st_ino == n->leases_stat.st_ino && now.st_size == n->leases_stat.st_size
		&& now.st_mtim.tv_sec == n->leases_stat.st_mtim.tv_sec
		&& now.st_mtim.tv_nsec == n->leases_stat.st_mtim.tv_nsec)
		return;
	n->leases_stat = now;
	leases_read(n);
}

/* Where the name of this MAC is, or belongs. */
static uint32_t heard_place(const struct device_names *n, const struct mac_addr *mac)
{
	uint32_t first = 0;
	uint32_t end = n->n_heard;

	while (first < end) {
		uint32_t middle = first + (end - first) / 2;

		if (memcmp(&n->heard[middle].mac, mac, sizeof(*mac)) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static struct heard_name *heard_find(const struct device_names *n, const struct mac_addr *mac)
{
	uint32_t at = heard_place(n, mac);

	return at < n->n_heard && mac_addr_equal(&n->heard[at].mac, mac) ? &n->heard[at] : NULL;
}

/* The name that makes room. */
static uint32_t heard_victim(const struct device_names *n)
{
	uint32_t victim = 0;

	for (uint32_t i = 1; i < n->n_heard; i++) {
		const struct heard_name *a = &n->heard[i];
		const struct heard_name *b = &n->heard[victim];

		if (a->is_device != b->is_device ? b->is_device : a->at < b->at)
			victim = i;
	}
	return victim;
}

/* A new place for a MAC; NULL without memory. */
static struct heard_name *heard_add(struct device_names *n, const struct mac_addr *mac)
{
	uint32_t at;

	if (n->heard == NULL)
		n->heard = calloc(HEARD_NAMES_MAX, sizeof(*n->heard));
	if (n->heard == NULL)
		return NULL;
	if (n->n_heard == HEARD_NAMES_MAX) {
		at = heard_victim(n);
		n->n_heard--;
		memmove(&n->heard[at], &n->heard[at + 1], (n->n_heard - at) * sizeof(*n->heard));
	}
	at = heard_place(n, mac);
	memmove(&n->heard[at + 1], &n->heard[at], (n->n_heard - at) * sizeof(*n->heard));
	n->n_heard++;
	n->heard[at] = (struct heard_name){.mac = *mac};
	return &n->heard[at];
}

bool device_names_hear(struct device_names *n, const struct mac_addr *mac, const char *name,
	bool is_device, char ret_before[LEASE_NAME_MAX])
{
	struct heard_name *h;

	if (!is_host_name(name))
		return false;
	h = heard_find(n, mac);
	if (h == NULL)
		h = heard_add(n, mac);
	if (h == NULL)
		return false;
	h->at = ++n->heard_count;
	h->is_device |= is_device;
	if (strcmp(h->name, name) == 0)
		return false;
	memcpy(ret_before, h->name, sizeof(h->name));
	memcpy(h->name, name, strlen(name) + 1);
	return true;
}

void device_names_see(struct device_names *n, const struct mac_addr *mac)
{
	struct heard_name *h = heard_find(n, mac);

	if (h != NULL)
		h->is_device = true;
}

const char *device_names_host(
	const struct device_names *n, const struct ip_addr *addr, const struct mac_addr *mac)
{
	struct lease_name key = {.addr = *addr};
	const struct lease_name *found = NULL;
	const struct heard_name *heard;

	if (n == NULL)
		return NULL;
	if (n->n_leases > 0)
		found = bsearch(&key, n->leases, n->n_leases, sizeof(key), leases_compare);
	if (found != NULL && mac_addr_equal(&found->mac, mac))
		return found->name;
	heard = heard_find(n, mac);
	return heard == NULL ? NULL : heard->name;
}

const char *device_names_vendor(const struct device_names *n, const struct mac_addr *mac)
{
	struct vendor key = {.prefix = (uint32_t)mac->bytes[0] << 16 | (uint32_t)mac->bytes[1] << 8
				       | mac->bytes[2]};
	const struct vendor *found;

	if (n == NULL || n->n_vendors == 0 || (mac->bytes[0] & MADE_UP) != 0)
		return NULL;
	found = bsearch(&key, n->vendors, n->n_vendors, sizeof(key), vendors_compare);
	return found == NULL ? NULL : n->text + found->name;
}
