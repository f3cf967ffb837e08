/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/log.h>
#include <weir/control/link_hint.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RSRP_MIN_DBM (-156)
#define RSRP_MAX_DBM (-31)
#define CELL_DIGITS  9 /* hexadecimal: 36 bits */

static const char *const technologies[LINK_RATE_TECHNOLOGIES] = {
	[LINK_RATE_UNKNOWN] = "unknown",
	[LINK_RATE_2G] = "2g",
	[LINK_RATE_3G] = "3g",
	[LINK_RATE_NB_IOT] = "nb-iot",
	[LINK_RATE_LTE_M] = "lte-m",
	[LINK_RATE_LTE] = "lte",
	[LINK_RATE_NR] = "5g",
};

struct hint_answer {
	struct server_answer answer; /* the first member */
	char port[PORT_NAME_MAX];
	struct link_rate_hint hint;
};

bool link_hint_is(const json_t *request)
{
	return json_object_get(request, "link") != NULL;
}

const char *link_technology_name(enum link_rate_technology technology)
{
	return technology < LINK_RATE_TECHNOLOGIES ? technologies[technology] : "unknown";
}

static const char *cell_format(uint64_t cell, char text[CELL_DIGITS + 1])
{
	(void)snprintf(text, CELL_DIGITS + 1, "%" PRIX64, cell & LINK_RATE_CELL_MAX);
	return text;
}

void link_hint_fields(const struct link_rate_hint *hint, struct text *part)
{
	char cell[CELL_DIGITS + 1];

	if (hint->technology != LINK_RATE_UNKNOWN)
		text_field_string(part, "technology", link_technology_name(hint->technology));
	if (hint->cell != 0)
		text_field_string(part, "cell", cell_format(hint->cell, cell));
	if (hint->rsrp_dbm != 0)
		text_field_i64(part, "rsrp_dbm", hint->rsrp_dbm);
}

static void tell(const struct path_port *port, const struct link_rate_hint *hint)
{
	char cell[CELL_DIGITS + 1] = "unknown";
	char rsrp[sizeof("unknown")] = "unknown";

	if (hint->cell != 0)
		cell_format(hint->cell, cell);
	if (hint->rsrp_dbm != 0)
		(void)snprintf(rsrp, sizeof(rsrp), "%d", hint->rsrp_dbm);
	log_event(LOG_INFO, "link.hint port=%s technology=%s cell=%s rsrp_dbm=%s", port->name,
		link_technology_name(hint->technology), cell, rsrp);
}

int link_hint_give(
	struct path *path, uint8_t port, const struct link_rate_hint *hint, uint64_t now_us)
{
	struct link_stats before = {0};

	(void)doors_link_read(path, port, &before);
	if (!doors_link_hint(path, port, hint, now_us))
		return -ENOENT;
	/* The signal is another one each second. */
	if (before.hint_us == 0 || before.hint.technology != hint->technology
		|| before.hint.cell != hint->cell)
		tell(&doors_config(path)->ports[port], hint);
	return 0;
}

static int refuse(char error[SERVER_ERROR_MAX], const char *why)
{
	(void)snprintf(error, SERVER_ERROR_MAX, "%s", why);
	return -EINVAL;
}

static int technology_read(
	const char *name, struct link_rate_hint *hint, char error[SERVER_ERROR_MAX])
{
	for (enum link_rate_technology i = LINK_RATE_2G; i < LINK_RATE_TECHNOLOGIES; i++)
		if (strcmp(name, technologies[i]) == 0) {
			hint->technology = i;
			return 0;
		}
	(void)snprintf(error, SERVER_ERROR_MAX,
		"no technology is called \"%.40s\"; there are: 2g, 3g, nb-iot, lte-m, lte, 5g",
		name);
	return -EINVAL;
}

/* strtoull() would take a sign, blanks and 0x as well. */
static int cell_read(const char *digits, struct link_rate_hint *hint, char error[SERVER_ERROR_MAX])
{
	size_t n = strlen(digits);

	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)digits[i]))
			n = 0;
	digits += strspn(digits, "0");
	if (n > 0 && strlen(digits) <= CELL_DIGITS)
		hint->cell = strtoull(digits, NULL, 16);
	if (hint->cell == 0)
		return refuse(error,
			"a cell is its identity in hexadecimal digits, 1 to FFFFFFFFF: 1A2B03");
	return 0;
}

static int rsrp_read(const json_t *value, struct link_rate_hint *hint, char error[SERVER_ERROR_MAX])
{
	json_int_t dbm = json_integer_value(value);

	if (!json_is_integer(value) || dbm < RSRP_MIN_DBM || dbm > RSRP_MAX_DBM)
		return refuse(error, "rsrp_dbm is a number from -156 to -31");
	hint->rsrp_dbm = (int16_t)dbm;
	return 0;
}

static int hint_read(json_t *request, struct link_rate_hint *hint, char error[SERVER_ERROR_MAX])
{
	static const char what[] =
		"a hint names a link and what its modem tells: {\"link\": \"wwan0\", "
		"\"technology\": "
		"\"lte\", \"cell\": \"1A2B03\", \"rsrp_dbm\": -97}, or some of these";
	const char *key;
	json_t *value;
	int result = 0;

	if (!json_is_string(json_object_get(request, "link")) || json_object_size(request) < 2)
		return refuse(error, what);
	json_object_foreach(request, key, value)
	{
		if (strcmp(key, "technology") == 0 && json_is_string(value))
			result = technology_read(json_string_value(value), hint, error);
		else if (strcmp(key, "cell") == 0 && json_is_string(value))
			result = cell_read(json_string_value(value), hint, error);
		else if (strcmp(key, "rsrp_dbm") == 0)
			result = rsrp_read(value, hint, error);
		else if (strcmp(key, "link") != 0)
			result = refuse(error, what);
		if (result != 0)
			return result;
	}
	return 0;
}

/* The port that is meant; PORT_NONE, and what there is instead. */
static uint8_t port_find(const struct path *path, const char *name, char error[SERVER_ERROR_MAX])
{
	const struct path_config *config = doors_config(path);
	int n = snprintf(
		error, SERVER_ERROR_MAX, "no uplink is called \"%.40s\"; there are:", name);

	for (uint32_t i = 0; i < config->n_ports; i++) {
		const struct path_port *p = &config->ports[i];

		if (p->role != PORT_UPLINK)
			continue;
		if (strcmp(p->name, name) == 0)
			return (uint8_t)i;
		if (n > 0 && n < SERVER_ERROR_MAX)
			n += snprintf(error + n, (size_t)(SERVER_ERROR_MAX - n), " %s", p->name);
	}
	return PORT_NONE;
}

static int hint_next(struct server_answer *answer, struct text *part,
	__attribute__((unused)) char error[SERVER_ERROR_MAX])
{
	const struct hint_answer *a = (const struct hint_answer *)answer;

	text_open(part, NULL, '{');
	text_field_string(part, "port", a->port);
	link_hint_fields(&a->hint, part);
	text_close(part, '}');
	return 0;
}

static void hint_destroy(struct server_answer *answer)
{
	free(answer);
}

int link_hint_answer(struct path *path, json_t *request, uint64_t now_us,
	char error[SERVER_ERROR_MAX], struct server_answer **ret_answer)
{
	struct link_rate_hint hint = {0};
	struct hint_answer *a;
	uint8_t port;
	int result = hint_read(request, &hint, error);

	if (result != 0)
		return result;
	port = port_find(path, json_string_value(json_object_get(request, "link")), error);
	if (port == PORT_NONE)
		return -ENOENT;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	result = link_hint_give(path, port, &hint, now_us);
	if (result != 0) {
		free(a);
		(void)snprintf(error, SERVER_ERROR_MAX,
			"the rate of %s is not followed: write rate: { follow: true } below it",
			doors_config(path)->ports[port].name);
		return result;
	}
	a->answer = (struct server_answer){.next = hint_next, .destroy = hint_destroy};
	memcpy(a->port, doors_config(path)->ports[port].name, sizeof(a->port));
	a->hint = hint;
	*ret_answer = &a->answer;
	return 0;
}
