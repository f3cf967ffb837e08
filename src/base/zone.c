/* SPDX-License-Identifier: BSD-3-Clause */
#include "zone_rule.h"

#include <weir/base/civil.h>
#include <weir/base/zone.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES 65536 /* the largest zone takes 4 kB */
#define NAME_MAX_BYTES 64
#define TIMES_MAX      2000 /* as glibc's TZ_MAX_TIMES */
#define TYPES_MAX      256
#define RULE_MAX_BYTES 128

#define HEADER_BYTES 44
#define TYPE_BYTES   6

/* RFC 8536 section 3.2: more than -25 hours, less than 26. */
#define OFFSET_MIN_S (-89999)
#define OFFSET_MAX_S 93599

struct zone {
	uint32_t n_times;
	int64_t times[TIMES_MAX]; /* from which on the type of the same index holds */
	uint8_t types[TIMES_MAX];
	int32_t offsets_s[TYPES_MAX];
	bool has_rule; /* for the time after the last transition */
	struct zone_rule rule;
};

/* The counts of a header, in the file's order. */
struct tzif_header {
	char version;
	uint32_t n_isut;
	uint32_t n_isstd;
	uint32_t n_leaps;
	uint32_t n_times;
	uint32_t n_types;
	uint32_t n_chars;
};

static uint32_t read_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t read_i64(const uint8_t *p)
{
	return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

static int header_read(const uint8_t *p, size_t len, struct tzif_header *ret_header)
{
	if (len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
		return -EINVAL;
	*ret_header = (struct tzif_header){
		.version = (char)p[4],
		.n_isut = read_u32(p + 20),
		.n_isstd = read_u32(p + 24),
		.n_leaps = read_u32(p + 28),
		.n_times = read_u32(p + 32),
		.n_types = read_u32(p + 36),
		.n_chars = read_u32(p + 40),
	};
	return 0;
}

/* Octets of the data behind a header whose times take `time_bytes` each. Six counts of 32 bits fit easily. */
static uint64_t data_bytes(const struct tzif_header *h, uint64_t time_bytes)
{
	return h->n_times * (time_bytes + 1) + (uint64_t)h->n_types * TYPE_BYTES + h->n_chars
	       + h->n_leaps * (time_bytes + 4) + h->n_isstd + h->n_isut;
}

static bool header_is_valid(const struct tzif_header *h)
{
	return h->version >= '2' && h->version <= '4' && h->n_times <= TIMES_MAX && h->n_types > 0
	       && h->n_types <= TYPES_MAX && h->n_leaps == 0
	       && (h->n_isut == 0 || h->n_isut == h->n_types)
	       && (h->n_isstd == 0 || h->n_isstd == h->n_types);
}

static int times_read(struct zone *z, const struct tzif_header *h, const uint8_t *p)
{
	const uint8_t *types = p + h->n_times * sizeof(int64_t);

	for (uint32_t i = 0; i < h->n_times; i++) {
		z->times[i] = read_i64(p + i * sizeof(int64_t));
		z->types[i] = types[i];
		if (types[i] >= h->n_types || (i > 0 && z->times[i] <= z->times[i - 1]))
			return -EINVAL;
	}
	z->n_times = h->n_times;
	for (uint32_t i = 0; i < h->n_types; i++) {
		z->offsets_s[i] = (int32_t)read_u32(types + h->n_times + (size_t)i * TYPE_BYTES);
		if (z->offsets_s[i] < OFFSET_MIN_S || z->offsets_s[i] > OFFSET_MAX_S)
			return -EINVAL;
	}
	return 0;
}

/* A rule between two line ends; none leaves the last type for ever. */
static int footer_read(struct zone *z, const uint8_t *p, size_t len)
{
	const uint8_t *end;

	if (len < 2 || p[0] != '\n')
		return -EINVAL;
	end = memchr(p + 1, '\n', len - 1);
	if (end == NULL || end - p > RULE_MAX_BYTES)
		return -EINVAL;
	if (end == p + 1)
		return 0;
	z->has_rule = true;
	return zone_rule_parse((const char *)p + 1, (size_t)(end - p - 1), &z->rule);
}

int zone_read(const void *octets, size_t len_bytes, struct zone **ret_zone)
{
	const uint8_t *p = octets;
	const uint8_t *end = p + len_bytes;
	struct tzif_header h;
	struct zone *z;
	int error;

	/* First the block of version 1, with 32-bit times, for readers of old. */
	if (header_read(p, len_bytes, &h) != 0
		|| data_bytes(&h, sizeof(int32_t)) > len_bytes - HEADER_BYTES)
		return -EINVAL;
	p += HEADER_BYTES + data_bytes(&h, sizeof(int32_t));
	if (header_read(p, (size_t)(end - p), &h) != 0 || !header_is_valid(&h)
		|| data_bytes(&h, sizeof(int64_t)) > (size_t)(end - p) - HEADER_BYTES)
		return -EINVAL;
	p += HEADER_BYTES;
	z = calloc(1, sizeof(*z));
	if (z == NULL)
		return -ENOMEM;
	error = times_read(z, &h, p);
	p += data_bytes(&h, sizeof(int64_t));
	if (error == 0)
		error = footer_read(z, p, (size_t)(end - p));
	if (error != 0) {
		free(z);
		return error;
	}
	*ret_zone = z;
	return 0;
}

/* Below the directory and nowhere else. */
static bool is_name(const char *name)
{
	size_t len = strnlen(name, NAME_MAX_BYTES);

	if (len == 0 || len == NAME_MAX_BYTES || name[0] == '/' || strstr(name, "..") != NULL)
		return false;
	for (; *name != '\0'; name++) {
		if (!isalnum((unsigned char)*name) && strchr("/_+-", *name) == NULL)
			return false;
	}
	return true;
}

static int file_read(int fd, uint8_t *octets, size_t size, size_t *ret_len)
{
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)size)
		return -EINVAL;
	do {
		n = read(fd, octets + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0 && len < size);
	*ret_len = len;
	return 0;
}

static int utc_make(struct zone **ret_zone)
{
	struct zone *z = calloc(1, sizeof(*z)); /* no transition, and type 0 has no offset */

	if (z == NULL)
		return -ENOMEM;
	*ret_zone = z;
	return 0;
}

int zone_open(const char *name, struct zone **ret_zone)
{
	char path[sizeof(ZONE_DIR) + NAME_MAX_BYTES];
	uint8_t *octets;
	size_t len = 0;
	int error;
	int fd;

	if (strcmp(name, "UTC") == 0)
		return utc_make(ret_zone);
	if (!is_name(name))
		return -EINVAL;
	(void)snprintf(path, sizeof(path), ZONE_DIR "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	octets = malloc(FILE_MAX_BYTES);
	error = octets == NULL ? -ENOMEM : file_read(fd, octets, FILE_MAX_BYTES, &len);
	if (error == 0)
		error = zone_read(octets, len, ret_zone);
	free(octets);
	(void)close(fd);
	return error;
}

void zone_close(struct zone *z)
{
	free(z);
}

/* How many transitions are not after the instant. */
static uint32_t n_passed(const struct zone *z, int64_t utc_s)
{
	uint32_t low = 0;
	uint32_t high = z->n_times;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (z->times[middle] <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct zone_piece piece_at(const struct zone *z, int64_t utc_s)
{
	uint32_t n = n_passed(z, utc_s);

	if (n == z->n_times && z->has_rule)
		return zone_rule_piece(&z->rule, utc_s);
	return (struct zone_piece){
		.offset_s = z->offsets_s[n == 0 ? 0 : z->types[n - 1]],
		.end_s = n == z->n_times ? INT64_MAX : z->times[n],
	};
}

static int64_t clamp(int64_t s)
{
	return s < ZONE_MIN_S ? ZONE_MIN_S : s > ZONE_MAX_S ? ZONE_MAX_S : s;
}

void zone_local(const struct zone *z, int64_t utc_s, struct zone_time *ret_local)
{
	int64_t utc = clamp(utc_s);
	int32_t offset_s = piece_at(z, utc).offset_s;
	int64_t local = utc + offset_s;
	int64_t day = civil_floor_div(local, CIVIL_DAY_S);
	uint32_t second = (uint32_t)civil_floor_mod(local, CIVIL_DAY_S);
	struct civil_date date = civil_date(day);

	*ret_local = (struct zone_time){
		.year = date.year,
		.month = date.month,
		.day = date.day,
		.hour = (uint8_t)(second / 3600),
		.minute = (uint8_t)(second / 60 % 60),
		.second = (uint8_t)(second % 60),
		.weekday = (uint8_t)civil_weekday(day),
		.offset_s = offset_s,
	};
}

int64_t zone_utc(const struct zone *z, int64_t day, uint32_t second_of_day)
{
	int64_t day_min = ZONE_MIN_S / CIVIL_DAY_S;
	int64_t day_max = ZONE_MAX_S / CIVIL_DAY_S;
	int64_t local = (day < day_min          ? day_min
				: day > day_max ? day_max
						: day)
				* CIVIL_DAY_S
			+ second_of_day;
	int64_t at = local - OFFSET_MAX_S; /* no clock shows the time before */

	for (;;) {
		struct zone_piece p = piece_at(z, at);
		int64_t shown = local - p.offset_s;
		int64_t first = shown > at ? shown : at;

		if (first < p.end_s)
			return first;
		at = p.end_s;
	}
}
