/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/units.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t size;
};

/* From the smallest on; show_* uses the powers of 1000 alone, which come first. */
static const struct unit octet_units[] = {
	{"B", 1},
	{"kB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", 1000000000000},
	{"KiB", 1ull << 10},
	{"MiB", 1ull << 20},
	{"GiB", 1ull << 30},
	{"TiB", 1ull << 40},
	{NULL, 0},
};

#define N_OCTET_UNITS_1000 5

static const struct unit rate_units[] = {
	{"bps", 1},
	{"kbps", 1000},
	{"Mbps", 1000000},
	{"Gbps", 1000000000},
	{NULL, 0},
};

static const struct unit time_units[] = {
	{"us", 1},
	{"ms", 1000},
	{"s", 1000000},
	{"m", 60000000},
	{"h", 3600000000},
	{"d", 86400000000},
	{NULL, 0},
};

#define N_RATE_UNITS (sizeof(rate_units) / sizeof(rate_units[0]) - 1)
#define N_TIME_UNITS (sizeof(time_units) / sizeof(time_units[0]) - 1)

static const struct unit share_units[] = {{"%", 10000}, {NULL, 0}};

#define SHARE_MAX_PPM 1000000

/* Digits behind the point: 1 B is 0.0009765625 KiB. */
#define FRACTION_DIGITS_MAX 12

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct unit *unit_find(const struct unit *units, const char *name, size_t len)
{
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strlen(u->name) == len && memcmp(u->name, name, len) == 0)
			return u;
	}
	return NULL;
}

/* A number as written: whole + fraction / fraction_scale. */
struct decimal {
	uint64_t whole;
	uint64_t fraction;
	uint64_t fraction_scale;
};

/* Reads "12" or "12.5" and returns what follows it; NULL with *ret_error set when there is none. */
static const char *decimal_read(const char *text, struct decimal *ret_number, int *ret_error)
{
	struct decimal d = {.fraction_scale = 1};
	uint32_t n_digits = 0;

	*ret_error = -EINVAL;
	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++) {
		if (__builtin_mul_overflow(d.whole, 10u, &d.whole)
			|| __builtin_add_overflow(d.whole, (uint64_t)(*text - '0'), &d.whole)) {
			*ret_error = -ERANGE;
			return NULL;
		}
	}
	if (*text == '.') {
		text++;
		if (!is_digit(*text))
			return NULL;
		for (; is_digit(*text); text++) {
			if (++n_digits > FRACTION_DIGITS_MAX)
				return NULL;
			d.fraction = d.fraction * 10 + (uint64_t)(*text - '0');
			d.fraction_scale *= 10;
		}
	}
	*ret_number = d;
	return text;
}

static int decimal_times(const struct decimal *d, uint64_t size, uint64_t *ret_value)
{
	unsigned __int128 fraction = (unsigned __int128)d->fraction * size;
	unsigned __int128 value;

	if (fraction % d->fraction_scale != 0)
		return -EINVAL;
	value = (unsigned __int128)d->whole * size + fraction / d->fraction_scale;
	if (value > UINT64_MAX)
		return -ERANGE;
	*ret_value = (uint64_t)value;
	return 0;
}

static size_t unit_len(const char *text)
{
	size_t len = 0;

	while (text[len] != '\0' && !is_digit(text[len]))
		len++;
	return len;
}

/* One number with its unit; *text moves behind it. */
static int term_parse(const char **text, const struct unit *units, const struct unit **ret_unit,
	uint64_t *ret_value)
{
	struct decimal number = {0};
	const struct unit *u;
	const char *rest;
	size_t len;
	int error;

	rest = decimal_read(*text, &number, &error);
	if (rest == NULL)
		return error;
	len = unit_len(rest);
	u = unit_find(units, rest, len);
	if (u == NULL)
		return -EINVAL;
	error = decimal_times(&number, u->size, ret_value);
	if (error != 0)
		return error;
	*ret_unit = u;
	*text = rest + len;
	return 0;
}

static int single_parse(const char *text, const struct unit *units, uint64_t *ret_value)
{
	const struct unit *u = NULL;
	uint64_t value = 0;
	int error = term_parse(&text, units, &u, &value);

	if (error != 0)
		return error;
	if (*text != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int units_parse_octets(const char *text, uint64_t *ret_octets)
{
	return single_parse(text, octet_units, ret_octets);
}

int units_parse_rate(const char *text, uint64_t *ret_bps)
{
	return single_parse(text, rate_units, ret_bps);
}

int units_parse_time(const char *text, uint64_t *ret_us)
{
	const struct unit *last = NULL;
	uint64_t sum = 0;

	do {
		const struct unit *u = NULL;
		uint64_t value = 0;
		int error = term_parse(&text, time_units, &u, &value);

		if (error != 0)
			return error;
		/* "4m2h" is more likely a slip than a sum. */
		if (last != NULL && u >= last)
			return -EINVAL;
		if (__builtin_add_overflow(sum, value, &sum))
			return -ERANGE;
		last = u;
	} while (*text != '\0');
	*ret_us = sum;
	return 0;
}

int units_parse_share(const char *text, uint32_t *ret_ppm)
{
	uint64_t ppm = 0;
	int error = single_parse(text, share_units, &ppm);

	if (error != 0)
		return error;
	if (ppm > SHARE_MAX_PPM)
		return -ERANGE;
	*ret_ppm = (uint32_t)ppm;
	return 0;
}

/* Writes value / size exactly, or returns false when that takes more digits than a parser accepts. */
static bool decimal_format(uint64_t value, const struct unit *u, char *buf)
{
	char digits[FRACTION_DIGITS_MAX + 2] = ".";
	uint64_t rest = value % u->size;
	size_t n = 1;

	while (rest != 0 && n <= FRACTION_DIGITS_MAX) {
		rest *= 10;
		digits[n++] = (char)('0' + rest / u->size);
		rest %= u->size;
	}
	if (rest != 0)
		return false;
	digits[n == 1 ? 0 : n] = '\0';
	(void)snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "%s%s", value / u->size, digits, u->name);
	return true;
}

/* The shortest exact form in one unit; of equally short ones that without a point, then the larger unit. */
static void shortest_format(uint64_t value, const struct unit *units, char *buf)
{
	char candidate[UNITS_TEXT_MAX];

	decimal_format(value, &units[0], buf);
	for (const struct unit *u = units + 1; u->name != NULL; u++) {
		size_t len;

		if (value < u->size || !decimal_format(value, u, candidate))
			continue;
		len = strlen(candidate);
		if (len < strlen(buf) || (len == strlen(buf) && strchr(candidate, '.') == NULL))
			memcpy(buf, candidate, len + 1);
	}
}

const char *units_format_octets(uint64_t octets, char *buf)
{
	if (octets == 0)
		return memcpy(buf, "0B", sizeof("0B"));
	shortest_format(octets, octet_units, buf);
	return buf;
}

const char *units_format_rate(uint64_t bps, char *buf)
{
	if (bps == 0)
		return memcpy(buf, "0bps", sizeof("0bps"));
	shortest_format(bps, rate_units, buf);
	return buf;
}

/* "2h4m": a sum, wherever it is no longer than the single unit. */
static void sum_format(uint64_t us, char *buf)
{
	char sum[UNITS_TEXT_MAX * 3] = "";
	size_t len = 0;

	for (size_t i = N_TIME_UNITS; i-- > 0;) {
		const struct unit *u = &time_units[i];

		if (us < u->size)
			continue;
		len += (size_t)snprintf(
			sum + len, sizeof(sum) - len, "%" PRIu64 "%s", us / u->size, u->name);
		us %= u->size;
	}
	if (len <= strlen(buf))
		memcpy(buf, sum, len + 1);
}

const char *units_format_time(uint64_t us, char *buf)
{
	if (us == 0)
		return memcpy(buf, "0s", sizeof("0s"));
	shortest_format(us, time_units, buf);
	sum_format(us, buf);
	return buf;
}

const char *units_format_share(uint32_t ppm, char *buf)
{
	decimal_format(ppm, &share_units[0], buf);
	return buf;
}

static uint64_t scaled_round(uint64_t value, uint64_t scale, uint64_t size)
{
	return (uint64_t)(((unsigned __int128)value * scale + size / 2) / size);
}

/* Three digits of value / size, rounded, without zeros at the end of a fraction. */
static const char *three_digits(uint64_t value, const struct unit *units, size_t n_units, char *buf)
{
	const struct unit *u = &units[n_units - 1];
	uint64_t scale = 100;
	uint64_t n;

	while (u > units && value < u->size)
		u--;
	while (scale > 1 && scaled_round(value, scale, u->size) >= 1000)
		scale /= 10;
	n = scaled_round(value, scale, u->size);
	/* 999.6 kB rounds up into the next unit, and 59.96 s too. */
	if (u + 1 < units + n_units && n * u->size >= u[1].size * scale) {
		u++;
		n = 1;
		scale = 1;
	}
	while (scale > 1 && n % 10 == 0) {
		n /= 10;
		scale /= 10;
	}
	if (scale == 1)
		(void)snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 " %s", n, u->name);
	else
		(void)snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 ".%0*u %s", n / scale,
			scale == 100 ? 2 : 1, (uint8_t)(n % scale), u->name);
	return buf;
}

const char *units_show_octets(uint64_t octets, char *buf)
{
	return three_digits(octets, octet_units, N_OCTET_UNITS_1000, buf);
}

const char *units_show_rate(uint64_t bps, char *buf)
{
	return three_digits(bps, rate_units, N_RATE_UNITS, buf);
}

const char *units_show_time(uint64_t us, char *buf)
{
	return three_digits(us, time_units, N_TIME_UNITS, buf);
}
