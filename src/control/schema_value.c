/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/addr.h>
#include <weir/base/units.h>
#include <weir/control/config.h>
#include <weir/control/schema.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* As much of a value as a message repeats. */
#define SHOWN "%.40s"

static int why_not(char *why, const char *text, const char *what, const char *instead)
{
	(void)snprintf(why, SCHEMA_WHY_MAX, "'" SHOWN "' %s; write %s", text, what, instead);
	return -EINVAL;
}

/* What a quantity is called, how it is read and written, and an example. */
struct quantity {
	const char *noun;
	int (*parse)(const char *text, uint64_t *ret_value);
	const char *(*format)(uint64_t value, char *buf);
	const char *example;
	const char *units[2]; /* the likeliest ones where it was forgotten */
};

static int share_parse(const char *text, uint64_t *ret_value)
{
	uint32_t ppm;
	int error = units_parse_share(text, &ppm);

	if (error == 0)
		*ret_value = ppm;
	return error;
}

static const char *share_format(uint64_t value, char *buf)
{
	return units_format_share((uint32_t)value, buf);
}

static int integer_parse(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10u, &value)
			|| __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

static const char *integer_format(uint64_t value, char *buf)
{
	(void)snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64, value);
	return buf;
}

/* clang-format off */
static const struct quantity integers = {
	"a number", integer_parse, integer_format, "100", { "", "" } };
static const struct quantity octets = {
	"an amount of octets", units_parse_octets, units_format_octets, "500MB", { "MB", "B" } };
static const struct quantity rates = {
	"a rate", units_parse_rate, units_format_rate, "256kbps", { "kbps", "bps" } };
static const struct quantity times = {
	"a time", units_parse_time, units_format_time, "60s", { "s", "ms" } };
static const struct quantity shares = {
	"a share", share_parse, share_format, "80%", { "%", "%" } };
/* clang-format on */

static const struct quantity *quantity_of(enum schema_type type)
{
	switch ((int)type) {
	case SCHEMA_INTEGER:
		return &integers;
	case SCHEMA_OCTETS:
		return &octets;
	case SCHEMA_RATE:
		return &rates;
	case SCHEMA_TIME:
		return &times;
	case SCHEMA_SHARE:
		return &shares;
	default:
		return NULL;
	}
}

/* How people write units that weir does not take: what is meant where it can only be one thing. */
static const struct {
	const char *written;
	const char *meant;
} unit_slips[] = {
	{"k", "kB"},
	{"m", "MB"},
	{"g", "GB"},
	{"t", "TB"},
	{"b", "B"},
	{"kb", "kB"},
	{"mb", "MB"},
	{"gb", "GB"},
	{"tb", "TB"},
	{"kib", "KiB"},
	{"mib", "MiB"},
	{"gib", "GiB"},
	{"bytes", "B"},
	{"octets", "B"},
	{"bps", "bps"},
	{"k", "kbps"},
	{"kbps", "kbps"},
	{"kbit", "kbps"},
	{"kbit/s", "kbps"},
	{"m", "Mbps"},
	{"mbps", "Mbps"},
	{"mbit", "Mbps"},
	{"mbit/s", "Mbps"},
	{"gbps", "Gbps"},
	{"gbit", "Gbps"},
	{"gbit/s", "Gbps"},
	{"msec", "ms"},
	{"ms", "ms"},
	{"s", "s"},
	{"sec", "s"},
	{"secs", "s"},
	{"second", "s"},
	{"seconds", "s"},
	{"m", "m"},
	{"min", "m"},
	{"mins", "m"},
	{"minute", "m"},
	{"minutes", "m"},
	{"h", "h"},
	{"hour", "h"},
	{"hours", "h"},
	{"d", "d"},
	{"day", "d"},
	{"days", "d"},
	{"percent", "%"},
};

#define GUESS_MAX 48

static bool is_fit(const struct schema_row *row, const struct quantity *q, const char *text)
{
	uint64_t value;

	return q->parse(text, &value) == 0 && value >= row->min && value <= row->max;
}

/* Without blanks, and with a point for a comma. False when it is too long to be worth a guess. */
static bool pack(const char *text, char packed[GUESS_MAX])
{
	size_t len = 0;

	for (; *text != '\0' && len < GUESS_MAX / 2; text++) {
		if (*text != ' ' && *text != '_')
			packed[len++] = *text;
	}
	packed[len] = '\0';
	for (char *c = strchr(packed, ','); c != NULL; c = strchr(c, ','))
		*c = '.';
	return *text == '\0';
}

/* What was probably meant by a quantity that does not parse; NULL where nothing comes to mind. */
static const char *quantity_guess(const struct schema_row *row, const struct quantity *q,
	const char *text, char guess[GUESS_MAX])
{
	char packed[GUESS_MAX];
	int n_number;

	if (!pack(text, packed))
		return NULL;
	n_number = (int)strspn(packed, "0123456789.");
	(void)snprintf(guess, GUESS_MAX, "%s", packed);
	if (is_fit(row, q, guess))
		return guess;
	for (size_t i = 0; i < sizeof(unit_slips) / sizeof(unit_slips[0]); i++) {
		if (strcasecmp(packed + n_number, unit_slips[i].written) != 0)
			continue;
		(void)snprintf(guess, GUESS_MAX, "%.*s%s", n_number, packed, unit_slips[i].meant);
		if (is_fit(row, q, guess))
			return guess;
	}
	for (size_t i = 0; i < 2 && packed[n_number] == '\0'; i++) {
		(void)snprintf(guess, GUESS_MAX, "%.*s%s", n_number, packed, q->units[i]);
		if (is_fit(row, q, guess))
			return guess;
	}
	return NULL;
}

static void uint_store(void *field, size_t size_bytes, uint64_t value)
{
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;

	if (size_bytes == sizeof(u8))
		memcpy(field, &u8, sizeof(u8));
	else if (size_bytes == sizeof(u16))
		memcpy(field, &u16, sizeof(u16));
	else if (size_bytes == sizeof(u32))
		memcpy(field, &u32, sizeof(u32));
	else
		memcpy(field, &value, sizeof(value));
}

static int quantity_set(const struct schema_row *row, const char *text, void *field, char *why)
{
	const struct quantity *q = quantity_of(row->type);
	char range[SCHEMA_RANGE_MAX];
	char guess[GUESS_MAX];
	char instead[SCHEMA_RANGE_MAX];
	const char *meant;
	uint64_t value = 0;
	int error = q->parse(text, &value);

	if (error == -EINVAL && row->type == SCHEMA_INTEGER)
		return why_not(why, text, "is not a whole number", schema_range(row, range));
	if (error == -EINVAL) {
		meant = quantity_guess(row, q, text, guess);
		if (meant == NULL && is_fit(row, q, q->example))
			meant = q->example;
		(void)snprintf(instead, sizeof(instead), "%s%s",
			meant == NULL ? "" : "a number with a unit: ",
			meant == NULL ? schema_range(row, range) : meant);
		return why_not(why, text,
			text[strspn(text, "0123456789.")] == '\0' ? "has no unit"
								  : "cannot be read",
			instead);
	}
	if (value == 0 && error == 0 && (row->flags & SCHEMA_OR_ZERO) != 0) {
		uint_store(field, row->size_bytes, 0);
		return 0;
	}
	if (error != 0 || value < row->min || value > row->max)
		return why_not(why, text, "is out of range", schema_range(row, range));
	uint_store(field, row->size_bytes, value);
	return 0;
}

static int word_set(const struct schema_row *row, const char *text, void *field, char *why)
{
	uint32_t distance = UINT32_MAX;
	const char *nearest = NULL;
	char range[SCHEMA_RANGE_MAX];
	char instead[SCHEMA_RANGE_MAX];

	for (const struct schema_word *w = row->words; w->text != NULL; w++) {
		if (strcmp(text, w->text) == 0) {
			uint_store(field, row->size_bytes, w->value);
			return 0;
		}
		if (schema_is_nearer(text, w->text, &distance))
			nearest = w->text;
	}
	if (nearest != NULL)
		(void)snprintf(instead, sizeof(instead), "'%s'", nearest);
	else
		(void)snprintf(instead, sizeof(instead), "%s%s%s", schema_range(row, range),
			row->fallback_words != NULL ? ", or remove the key for " : "",
			row->fallback_words != NULL ? row->fallback_words : "");
	return why_not(why, text, "is not known here", instead);
}

static int bool_set(const char *text, bool *field, char *why)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0) {
			*field = i % 2 == 1;
			return 0;
		}
	}
	return why_not(why, text, "is neither true nor false", "true or false");
}

static int address_set(const struct schema_row *row, const char *text, void *field, char *why)
{
	static const char ipv6[] = "is IPv6, which this version does not route";
	static const char dhcp[] = "is not asked for by this version: addresses are fixed";
	char range[SCHEMA_RANGE_MAX];
	struct ip_prefix p;

	if (strcasecmp(text, "dhcp") == 0 || strcasecmp(text, "auto") == 0)
		return why_not(why, text, dhcp, schema_range(row, range));
	if (row->type == SCHEMA_ADDRESS) {
		if (ip_addr_parse(text, &p.addr) != 0)
			return why_not(why, text, "is no address", schema_range(row, range));
		if (!ip_addr_is_v4(&p.addr))
			return why_not(why, text, ipv6, schema_range(row, range));
		memcpy(field, &p.addr, sizeof(p.addr));
		return 0;
	}
	if (ip_prefix_parse(text, &p) != 0)
		return why_not(why, text, "is no address with a length", schema_range(row, range));
	if (!ip_addr_is_v4(&p.addr))
		return why_not(why, text, ipv6, schema_range(row, range));
	/* Member by member: configurations are compared by their octets, padding included. */
	memcpy((char *)field + offsetof(struct ip_prefix, addr), &p.addr, sizeof(p.addr));
	memcpy((char *)field + offsetof(struct ip_prefix, len_bits), &p.len_bits,
		sizeof(p.len_bits));
	return 0;
}

static int protocol_set(const struct schema_row *row, const char *text, uint8_t *field, char *why)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} names[] = {{"any", 0}, {"tcp", 6}, {"udp", 17}, {"icmp", 1}};
	char range[SCHEMA_RANGE_MAX];
	uint64_t value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) == 0) {
			*field = names[i].proto;
			return 0;
		}
	}
	if (integer_parse(text, &value) != 0 || value == 0 || value > UINT8_MAX)
		return why_not(why, text, "is no protocol", schema_range(row, range));
	*field = (uint8_t)value;
	return 0;
}

static int port_range_set(const struct schema_row *row, const char *text, void *field, char *why)
{
	const char *dash = strchr(text, '-');
	size_t len = dash == NULL ? strlen(text) : (size_t)(dash - text);
	char first[8] = "";
	char range[SCHEMA_RANGE_MAX];
	uint64_t min;
	uint64_t max;
	struct config_range ports;

	if (len >= sizeof(first))
		return why_not(why, text, "is no port", schema_range(row, range));
	memcpy(first, text, len);
	if (integer_parse(first, &min) != 0
		|| integer_parse(dash == NULL ? text : dash + 1, &max) != 0)
		return why_not(why, text, "is no port", schema_range(row, range));
	if (min < row->min || max > row->max || min > row->max)
		return why_not(why, text, "is out of range", schema_range(row, range));
	if (min > max)
		return why_not(why, text, "is upside down", "the lower port first");
	ports = (struct config_range){(uint16_t)min, (uint16_t)max};
	memcpy(field, &ports, sizeof(ports));
	return 0;
}

/* Code points with a name: RFC 2474 (CS), 2597 (AF), 3246 (EF), 5865 (VA), 8622 (LE). */
static const struct {
	const char *name;
	uint8_t dscp;
} code_points[] = {
	{"any", DSCP_NONE},
	{"BE", 0},
	{"CS0", 0},
	{"LE", 1},
	{"CS1", 8},
	{"AF11", 10},
	{"AF12", 12},
	{"AF13", 14},
	{"CS2", 16},
	{"AF21", 18},
	{"AF22", 20},
	{"AF23", 22},
	{"CS3", 24},
	{"AF31", 26},
	{"AF32", 28},
	{"AF33", 30},
	{"CS4", 32},
	{"AF41", 34},
	{"AF42", 36},
	{"AF43", 38},
	{"CS5", 40},
	{"VA", 44},
	{"EF", 46},
	{"CS6", 48},
	{"CS7", 56},
};

static int dscp_set(const struct schema_row *row, const char *text, uint8_t *field, char *why)
{
	char range[SCHEMA_RANGE_MAX];
	uint64_t value;

	for (size_t i = 0; i < sizeof(code_points) / sizeof(code_points[0]); i++) {
		if (strcasecmp(text, code_points[i].name) == 0) {
			*field = code_points[i].dscp;
			return 0;
		}
	}
	if (integer_parse(text, &value) != 0 || value >= DSCP_NONE)
		return why_not(why, text, "is no code point", schema_range(row, range));
	*field = (uint8_t)value;
	return 0;
}

/* Member by member: configurations are compared by their octets, padding included. */
static int member_set(const struct schema_row *row, const char *text, void *field, char *why)
{
	struct config_member *m = field;
	struct mac_addr mac;
	char range[SCHEMA_RANGE_MAX];

	if (mac_addr_parse(text, &mac) == 0) {
		if ((mac.bytes[0] & 1) != 0)
			return why_not(why, text, "is a group's address, which no device has",
				schema_range(row, range));
		m->kind = MEMBER_MAC;
		m->mac = mac;
		return 0;
	}
	if (row->type == SCHEMA_MAC || address_set(row, text, &m->prefix, why) != 0)
		return why_not(why, text, "names no device", schema_range(row, range));
	m->kind = MEMBER_PREFIX;
	return 0;
}

static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

#define N_DAYS 7

/* The day whose first three letters are at `text`; N_DAYS when there is none. */
static uint32_t day_of(const char *text)
{
	uint32_t day = 0;

	while (day < N_DAYS && strncasecmp(text, day_names[day], 3) != 0)
		day++;
	return day;
}

/* One day or a range, which may go over the week's end: "fri-mon". False when it is neither. */
static bool days_add(const char *text, size_t len, uint8_t *days)
{
	uint32_t first = len >= 3 ? day_of(text) : N_DAYS;
	uint32_t last = len == 3 ? first : N_DAYS;

	if (len == 7 && text[3] == '-')
		last = day_of(text + 4);
	if (first == N_DAYS || last == N_DAYS)
		return false;
	for (uint32_t day = first;; day = (day + 1) % N_DAYS) {
		*days |= (uint8_t)(1u << day);
		if (day == last)
			return true;
	}
}

static int days_set(const struct schema_row *row, const char *text, uint8_t *field, char *why)
{
	char range[SCHEMA_RANGE_MAX];
	const char *at = text;
	uint8_t days = 0;

	for (;;) {
		size_t len = strcspn(at, ", ");

		if (!days_add(at, len, &days))
			return why_not(why, text, "names no days", schema_range(row, range));
		at += len;
		if (*at == '\0')
			break;
		at += strspn(at, ", ");
	}
	*field = days;
	return 0;
}

static int clock_set(const struct schema_row *row, const char *text, void *field, char *why)
{
	char range[SCHEMA_RANGE_MAX];
	char hour[3] = "";
	uint16_t minutes;
	uint64_t h;
	uint64_t m;

	if (strlen(text) != 5 || text[2] != ':')
		return why_not(why, text, "is no time of day", schema_range(row, range));
	memcpy(hour, text, 2);
	if (integer_parse(hour, &h) != 0 || integer_parse(text + 3, &m) != 0 || m > 59
		|| h * 60 + m > 24 * 60)
		return why_not(why, text, "is no time of day", schema_range(row, range));
	minutes = (uint16_t)(h * 60 + m);
	memcpy(field, &minutes, sizeof(minutes));
	return 0;
}

static int string_store(const struct schema_row *row, const char *text, char *field, char *why)
{
	char limit[48];

	if (strlen(text) >= row->size_bytes) {
		(void)snprintf(limit, sizeof(limit), "at most %zu characters", row->size_bytes - 1);
		return why_not(why, text, "is too long", limit);
	}
	memset(field, 0, row->size_bytes);
	memcpy(field, text, strlen(text) + 1);
	return 0;
}

static int string_set(const struct schema_row *row, const char *text, char *field, char *why)
{
	char range[SCHEMA_RANGE_MAX];

	if (row->type == SCHEMA_NAME
		&& text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0')
		return why_not(why, text, "is no name", schema_range(row, range));
	if (row->type == SCHEMA_FILE && text[0] != '/')
		return why_not(why, text, "is no absolute path", schema_range(row, range));
	if (strchr(text, ' ') != NULL)
		return why_not(why, text, "holds a space", schema_range(row, range));
	return string_store(row, text, field, why);
}

int schema_parse(
	const struct schema_row *row, const char *text, void *field, char why[SCHEMA_WHY_MAX])
{
	char range[SCHEMA_RANGE_MAX];

	if (text[0] == '\0') {
		(void)snprintf(why, SCHEMA_WHY_MAX, "has no value; write %s, or remove the key",
			schema_range(row, range));
		return -EINVAL;
	}
	switch (row->type) {
	case SCHEMA_WORD:
		return word_set(row, text, field, why);
	case SCHEMA_BOOL:
		return bool_set(text, field, why);
	case SCHEMA_INTEGER:
	case SCHEMA_OCTETS:
	case SCHEMA_RATE:
	case SCHEMA_TIME:
	case SCHEMA_SHARE:
		return quantity_set(row, text, field, why);
	case SCHEMA_ADDRESS:
	case SCHEMA_PREFIX:
		return address_set(row, text, field, why);
	case SCHEMA_PROTOCOL:
		return protocol_set(row, text, field, why);
	case SCHEMA_PORT_RANGE:
		return port_range_set(row, text, field, why);
	case SCHEMA_DSCP:
		return dscp_set(row, text, field, why);
	case SCHEMA_MEMBER:
	case SCHEMA_MAC:
		return member_set(row, text, field, why);
	case SCHEMA_DAYS:
		return days_set(row, text, field, why);
	case SCHEMA_CLOCK:
		return clock_set(row, text, field, why);
	case SCHEMA_NAME:
	case SCHEMA_TEXT:
	case SCHEMA_FILE:
		return string_set(row, text, field, why);
	case SCHEMA_SECTION:
	case SCHEMA_NAMED:
	case SCHEMA_LIST:
	case SCHEMA_ITEM:
		break; /* the caller binds these to their nodes instead */
	}
	return why_not(why, text, "is no section", "the keys below it");
}

static void words_range(const struct schema_row *row, char *buf)
{
	size_t len = 0;

	for (const struct schema_word *w = row->words; w->text != NULL && len < SCHEMA_RANGE_MAX;
		w++) {
		const char *between = w == row->words ? "" : w[1].text == NULL ? " or " : ", ";

		len += (size_t)snprintf(
			buf + len, SCHEMA_RANGE_MAX - len, "%s%s", between, w->text);
	}
}

static void quantity_range(const struct schema_row *row, char *buf)
{
	const struct quantity *q = quantity_of(row->type);
	char min[UNITS_TEXT_MAX];
	char max[UNITS_TEXT_MAX];

	q->format(row->min, min);
	q->format(row->max, max);
	if (row->min == row->max)
		(void)snprintf(buf, SCHEMA_RANGE_MAX, "%s", min);
	else
		(void)snprintf(buf, SCHEMA_RANGE_MAX, "%s from %s to %s%s", q->noun, min, max,
			(row->flags & SCHEMA_OR_ZERO) != 0 ? ", or 0s for off" : "");
}

static const char member_range[] =
	"a MAC (02:00:5e:10:00:01), an address (192.168.50.20) or a network (192.168.50.0/24)";

const char *schema_range(const struct schema_row *row, char buf[SCHEMA_RANGE_MAX])
{
	static const char *const fixed[] = {
		[SCHEMA_SECTION] = "the keys below it",
		[SCHEMA_NAMED] = "a name of your choice and its keys below it",
		[SCHEMA_LIST] = "a list, each item with a dash before it",
		[SCHEMA_ITEM] = "the keys below it",
		[SCHEMA_NAME] = "a name of a-z, 0-9, _ and -",
		[SCHEMA_TEXT] = "one word",
		[SCHEMA_FILE] = "an absolute path without spaces",
		[SCHEMA_BOOL] = "true or false",
		[SCHEMA_ADDRESS] = "an IPv4 address, such as 192.0.2.1",
		[SCHEMA_PREFIX] = "an IPv4 address and length, such as 192.168.50.1/24",
		[SCHEMA_PROTOCOL] = "tcp, udp, icmp, any or a number from 1 to 255",
		[SCHEMA_DSCP] = "a number from 0 to 63 or a name such as EF, AF41 or CS1",
		[SCHEMA_MEMBER] = member_range,
		[SCHEMA_MAC] = "a MAC, such as 02:00:5e:10:00:01",
		[SCHEMA_DAYS] = "days such as mon-fri or sat,sun",
		[SCHEMA_CLOCK] = "a time of day from 00:00 to 24:00, such as 07:30",
	};

	if (row->takes != NULL)
		(void)snprintf(buf, SCHEMA_RANGE_MAX, "%s", row->takes);
	else if (row->type == SCHEMA_WORD)
		words_range(row, buf);
	else if (row->type == SCHEMA_PORT_RANGE)
		(void)snprintf(buf, SCHEMA_RANGE_MAX,
			"a port or a range such as 1024-65535, from %" PRIu64 " to %" PRIu64,
			row->min, row->max);
	else if (quantity_of(row->type) != NULL)
		quantity_range(row, buf);
	else
		(void)snprintf(buf, SCHEMA_RANGE_MAX, "%s", fixed[row->type]);
	return buf;
}

static void default_set(const struct schema_row *row, char *field)
{
	static const struct config_range any_port = {0, UINT16_MAX};
	char why[SCHEMA_WHY_MAX];
	int error = 0;

	if (row->fallback != NULL)
		error = schema_parse(row, row->fallback, field, why);
	else if (row->type == SCHEMA_PORT_RANGE)
		memcpy(field, &any_port, sizeof(any_port));
	assert(error == 0);
	(void)error;
}

void schema_set_defaults(const struct schema_row *parent, void *base)
{
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		if (schema_is_same_struct(row, parent))
			default_set(row, (char *)base + row->offset);
	}
}
