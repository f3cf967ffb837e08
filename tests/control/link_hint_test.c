/* SPDX-License-Identifier: BSD-3-Clause */
/* Hints as they come off the socket, over a path that is two names. */
#include <weir/control/link_hint.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	LAN,
	WWAN,
	STEADY,
	N_PORTS
};

struct path {
	struct path_config config;
	struct link_stats link;
	uint32_t n_given;
};

const struct path_config *doors_config(const struct path *p)
{
	return &p->config;
}

bool doors_link_read(const struct path *p, uint8_t port, struct link_stats *ret_stats)
{
	if (port == WWAN)
		*ret_stats = p->link;
	return port == WWAN;
}

bool doors_link_hint(
	struct path *p, uint8_t port, const struct link_rate_hint *hint, uint64_t now_us)
{
	if (port != WWAN)
		return false;
	p->link.hint = *hint;
	p->link.hint_us = now_us;
	p->n_given++;
	return true;
}

static struct path *site(void)
{
	static struct path p;

	p = (struct path){.config = {.n_ports = N_PORTS}};
	p.config.ports[LAN] = (struct path_port){.role = PORT_LAN, .name = "lan0"};
	p.config.ports[WWAN] = (struct path_port){.role = PORT_UPLINK, .name = "wwan0"};
	p.config.ports[STEADY] = (struct path_port){.role = PORT_UPLINK, .name = "dsl0"};
	return &p;
}

/* The answer, or the error's sentence. */
static int ask(struct path *p, const char *words, char out[SERVER_ERROR_MAX])
{
	json_t *request = json_loads(words, 0, NULL);
	struct server_answer *a = NULL;
	struct text part;
	int result;

	cr_assert_not_null(request, "%s", words);
	cr_assert(link_hint_is(request), "%s", words);
	text_init(&part, 1 << 16);
	out[0] = '\0';
	result = link_hint_answer(p, request, 1000000, out, &a);
	if (result == 0) {
		cr_assert_eq(a->next(a, &part, out), 0);
		(void)snprintf(out, SERVER_ERROR_MAX, "%.*s", (int)part.n, part.data);
		a->destroy(a);
	}
	text_clean(&part);
	json_decref(request);
	return result;
}

Test(control_link_hint, what_a_modem_tells_reaches_the_path)
{
	struct path *p = site();
	char out[SERVER_ERROR_MAX];

	cr_assert_eq(ask(p,
			     "{\"link\":\"wwan0\",\"technology\":\"lte\",\"cell\":\"1a2B03\","
			     "\"rsrp_dbm\":-97}",
			     out),
		0, "%s", out);
	cr_expect_str_eq(out,
		"{\"port\":\"wwan0\",\"technology\":\"lte\",\"cell\":\"1A2B03\",\"rsrp_dbm\":-97}");
	cr_expect_eq(p->link.hint.technology, LINK_RATE_LTE);
	cr_expect_eq(p->link.hint.cell, 0x1a2b03);
	cr_expect_eq(p->link.hint.rsrp_dbm, -97);
}

Test(control_link_hint, what_is_left_out_is_not_known)
{
	struct path *p = site();
	char out[SERVER_ERROR_MAX];

	cr_assert_eq(ask(p, "{\"link\":\"wwan0\",\"cell\":\"00FFFFFFFFF\"}", out), 0, "%s", out);
	cr_expect_str_eq(out, "{\"port\":\"wwan0\",\"cell\":\"FFFFFFFFF\"}");
	cr_expect_eq(p->link.hint.technology, LINK_RATE_UNKNOWN);
	cr_expect_eq(p->link.hint.cell, LINK_RATE_CELL_MAX);
	cr_expect_eq(p->link.hint.rsrp_dbm, 0);
}

Test(control_link_hint, every_technology_has_its_name)
{
	static const char *const names[] = {"2g", "3g", "nb-iot", "lte-m", "lte", "5g"};
	struct path *p = site();
	char out[SERVER_ERROR_MAX];
	char words[80];

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(words, sizeof(words), "{\"link\":\"wwan0\",\"technology\":\"%s\"}",
			names[i]);
		cr_expect_eq(ask(p, words, out), 0, "%s", out);
		cr_expect_eq(p->link.hint.technology, LINK_RATE_2G + i);
		cr_expect_str_eq(link_technology_name(p->link.hint.technology), names[i]);
	}
	cr_expect_str_eq(link_technology_name(LINK_RATE_TECHNOLOGIES), "unknown");
}

Test(control_link_hint, what_makes_no_sense_is_refused_with_what_would)
{
	static const struct {
		const char *words;
		const char *says;
		int result;
	} rows[] = {
		{"{\"link\":\"wwan0\"}", "names a link and what", -EINVAL},
		{"{\"link\":5,\"cell\":\"1\"}", "names a link and what", -EINVAL},
		{"{\"link\":\"wwan0\",\"cell\":6}", "names a link and what", -EINVAL},
		{"{\"link\":\"wwan0\",\"rsrq\":-9}", "names a link and what", -EINVAL},
		{"{\"link\":\"wwan0\",\"technology\":\"6g\"}", "2g, 3g, nb-iot", -EINVAL},
		{"{\"link\":\"wwan0\",\"technology\":\"unknown\"}", "2g, 3g, nb-iot", -EINVAL},
		{"{\"link\":\"wwan0\",\"cell\":\"\"}", "hexadecimal", -EINVAL},
		{"{\"link\":\"wwan0\",\"cell\":\"0\"}", "hexadecimal", -EINVAL},
		{"{\"link\":\"wwan0\",\"cell\":\"-1\"}", "hexadecimal", -EINVAL},
		{"{\"link\":\"wwan0\",\"cell\":\"0x1f\"}", "hexadecimal", -EINVAL},
		{"{\"link\":\"wwan0\",\"cell\":\"1000000000\"}", "hexadecimal", -EINVAL},
		{"{\"link\":\"wwan0\",\"rsrp_dbm\":-157}", "-156 to -31", -EINVAL},
		{"{\"link\":\"wwan0\",\"rsrp_dbm\":-30}", "-156 to -31", -EINVAL},
		{"{\"link\":\"wwan0\",\"rsrp_dbm\":\"-97\"}", "-156 to -31", -EINVAL},
		{"{\"link\":\"wwan9\",\"cell\":\"1\"}", "there are: wwan0 dsl0", -ENOENT},
		{"{\"link\":\"lan0\",\"cell\":\"1\"}", "there are: wwan0 dsl0", -ENOENT},
		{"{\"link\":\"dsl0\",\"cell\":\"1\"}", "rate: { follow: true }", -ENOENT},
	};
	struct path *p = site();
	char out[SERVER_ERROR_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(ask(p, rows[i].words, out), rows[i].result, "%s", rows[i].words);
		cr_expect_not_null(strstr(out, rows[i].says), "%s: %s", rows[i].words, out);
	}
	cr_expect_eq(p->n_given, 0);
}

static uint32_t lines_of(const char *file)
{
	FILE *f = fopen(file, "r");
	char line[256];
	uint32_t n = 0;

	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, "link.hint port=wwan0 technology=") != NULL;
	(void)fclose(f);
	return n;
}

Test(control_link_hint, another_cell_is_logged_and_another_signal_is_not)
{
	static const char file[] = "link_hint_test.log";
	struct path *p = site();
	struct link_rate_hint hint = {.technology = LINK_RATE_LTE, .cell = 1, .rsrp_dbm = -97};

	cr_assert_not_null(freopen(file, "w", stderr));
	cr_assert_eq(link_hint_give(p, WWAN, &hint, 5), 0);
	hint.rsrp_dbm = -98;
	cr_assert_eq(link_hint_give(p, WWAN, &hint, 6), 0);
	(void)fflush(stderr);
	cr_assert_eq(lines_of(file), 1);
	hint.cell = 2;
	cr_assert_eq(link_hint_give(p, WWAN, &hint, 7), 0);
	hint.technology = LINK_RATE_NR;
	cr_assert_eq(link_hint_give(p, WWAN, &hint, 8), 0);
	(void)fflush(stderr);
	cr_assert_eq(lines_of(file), 3);
	cr_assert_eq(link_hint_give(p, STEADY, &hint, 9), -ENOENT);
	(void)remove(file);
}
