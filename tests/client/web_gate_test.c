/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_gate.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define S     1000000ull
#define TOKEN "k7qf-2m3x-abcd-efgh-jkmn-pqrs"
#define WRONG "k7qf-2m3x-abcd-efgh-jkmn-pqrt"

static const struct web_peer till = {.octets = {[10] = 0xff, 0xff, 192, 168, 50, 10}};
static const struct web_peer yard = {.octets = {[10] = 0xff, 0xff, 192, 168, 50, 11}};

static struct web_gate g;

static void gate_init(void)
{
	g = (struct web_gate){0};
	cr_assert_eq(web_gate_set_token(&g, TOKEN "\n"), 0);
}

/* Logs in at `now_us`; the session's cookie as a browser sends it back. */
static enum web_entry login(const struct web_peer *peer, const char *token, uint64_t now_us,
	char cookie[WEB_COOKIE_MAX])
{
	uint32_t wait_s = 0;
	enum web_entry entry = web_gate_login(&g, peer, token, now_us, cookie, &wait_s);

	if (entry == WEB_ADMITTED)
		cookie[strcspn(cookie, ";")] = '\0';
	return entry;
}

static enum web_entry admit(const char *cookie, const char *authorization, uint64_t now_us)
{
	uint32_t wait_s = 0;

	return web_gate_admit(&g, &till, cookie, authorization, now_us, &wait_s);
}

Test(client_web_gate, hosts_are_names_and_addresses_with_any_port, .init = gate_init)
{
	static const struct {
		const char *host;
		bool is_known;
	} cases[] = {
		{"192.168.50.1", true},
		{"192.168.50.1:9469", true},
		{"192.168.50.1:80", true}, /* a tunnel's other end */
		{"Gateway.Lan:9469", true},
		{"[fd00::1]:9469", true},
		{"[fd00::1]", true},
		{"", false},
		{":9469", false},
		{"evil.example", false},
		{"192.168.50.1.evil.example", false},
		{"evil.example:192.168.50.1", false},
		{"192.168.50.1@evil.example", false},
		{"192.168.50.1:x", false},
		{"[fd00::1", false},
		{"[fd00::1]x", false},
		{"fd00::1", false},
		{"192.168.50.10", false},
		{"192.168.50.", false},
		{"gateway.lan.", false},
	};

	cr_assert_eq(web_gate_add_host(&g, "192.168.50.1"), 0);
	cr_assert_eq(web_gate_add_host(&g, "gateway.lan"), 0);
	cr_assert_eq(web_gate_add_host(&g, "fd00::1"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(web_gate_knows_host(&g, cases[i].host), cases[i].is_known, "%s",
			cases[i].host);
}

Test(client_web_gate, refuses_names_that_are_urls_and_one_too_many, .init = gate_init)
{
	char name[16];

	cr_expect_eq(web_gate_add_host(&g, "http://gateway"), -EINVAL);
	cr_expect_eq(web_gate_add_host(&g, ""), -EINVAL);
	for (int i = 0; i < WEB_HOSTS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "h%d", i);
		cr_assert_eq(web_gate_add_host(&g, name), 0);
	}
	cr_expect_eq(web_gate_add_host(&g, "more"), -ENOSPC);
}

Test(client_web_gate, a_token_may_be_typed_without_hyphens_and_in_capitals, .init = gate_init)
{
	static const struct {
		const char *token;
		enum web_entry want;
	} cases[] = {
		{TOKEN, WEB_ADMITTED},
		{"k7qf2m3xabcdefghjkmnpqrs", WEB_ADMITTED},
		{"K7QF 2M3X ABCD EFGH JKMN PQRS\n", WEB_ADMITTED},
		{WRONG, WEB_MISTAKEN},
		{"", WEB_MISTAKEN},
		{"k7qf-2m3x-abcd-efgh-jkmn-pqr", WEB_MISTAKEN},
		{TOKEN "s", WEB_MISTAKEN},
		{"k7qf\x01", WEB_MISTAKEN},
		{"k7qf2m3xabcdefghjkmnpqr\xc3\xa9", WEB_MISTAKEN},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char cookie[WEB_COOKIE_MAX];

		cr_expect_eq(login(&till, cases[i].token, (i + 1) * 3600 * S, cookie),
			cases[i].want, "%s", cases[i].token);
	}
}

Test(client_web_gate, takes_no_token_that_is_short_or_long_or_none)
{
	char text[WEB_TOKEN_MAX + 2];

	g = (struct web_gate){0};
	cr_expect_eq(web_gate_set_token(&g, "123456789012345"), -EINVAL);
	cr_expect_eq(web_gate_set_token(&g, "----------------------"), -EINVAL);
	memset(text, 'x', sizeof(text));
	text[WEB_TOKEN_MAX + 1] = '\0';
	cr_expect_eq(web_gate_set_token(&g, text), -EINVAL);
	text[WEB_TOKEN_MAX] = '\0';
	cr_expect_eq(web_gate_set_token(&g, text), 0);
}

Test(client_web_gate, without_a_token_nobody_gets_in)
{
	char cookie[WEB_COOKIE_MAX];

	g = (struct web_gate){0};
	cr_expect_eq(login(&till, "", S, cookie), WEB_MISTAKEN);
	cr_expect_eq(admit("weir_session="
			   "0000000000000000000000000000000000000000000000000000000000000000",
			     "Bearer ", 3600 * S),
		WEB_MISTAKEN);
}

Test(client_web_gate, a_session_is_found_among_other_cookies_and_ends, .init = gate_init)
{
	char cookie[WEB_COOKIE_MAX];
	char header[512];
	char gone[WEB_COOKIE_MAX];

	cr_assert_eq(login(&till, TOKEN, S, cookie), WEB_ADMITTED);
	(void)snprintf(header, sizeof(header), "a=b; %s; c=d", cookie);
	cr_expect_eq(admit(header, "", 2 * S), WEB_ADMITTED);
	(void)snprintf(header, sizeof(header), "x%s", cookie);
	cr_expect_eq(admit(header, "", 2 * S), WEB_STRANGER, "a name that ends alike");
	(void)snprintf(header, sizeof(header), "%.40s", cookie);
	cr_expect_eq(admit(header, "", 2 * S), WEB_STRANGER, "a part of it");
	cr_expect_eq(admit("weir_session=", "", 2 * S), WEB_STRANGER, "none");
	web_gate_logout(&g, cookie, gone);
	cr_expect(strstr(gone, "Max-Age=0") != NULL);
	cr_expect_eq(admit(cookie, "", 3 * S), WEB_STRANGER, "after the logout");
}

Test(client_web_gate, a_cookie_is_for_no_script_and_no_other_site, .init = gate_init)
{
	char cookie[WEB_COOKIE_MAX];
	uint32_t wait_s;

	cr_assert_eq(web_gate_login(&g, &till, TOKEN, S, cookie, &wait_s), WEB_ADMITTED);
	cr_expect(strstr(cookie, "; HttpOnly") != NULL
		  && strstr(cookie, "; SameSite=Strict") != NULL);
}

Test(client_web_gate, sessions_end_unused_and_in_the_end, .init = gate_init)
{
	char cookie[WEB_COOKIE_MAX];
	uint64_t at_s = 1;

	cr_assert_eq(login(&till, TOKEN, S, cookie), WEB_ADMITTED);
	cr_expect_eq(admit(cookie, "", (1 + WEB_IDLE_S) * S), WEB_STRANGER, "not used");
	cr_assert_eq(login(&till, TOKEN, S, cookie), WEB_ADMITTED);
	for (; at_s < WEB_SESSION_S; at_s += WEB_IDLE_S / 2)
		cr_assert_eq(admit(cookie, "", at_s * S), WEB_ADMITTED, "used at %d s", (int)at_s);
	cr_expect_eq(admit(cookie, "", (1 + WEB_SESSION_S) * S), WEB_STRANGER, "a week old");
}

Test(client_web_gate, the_session_unused_longest_makes_room, .init = gate_init)
{
	char cookies[WEB_SESSIONS_MAX + 1][WEB_COOKIE_MAX];

	for (uint32_t i = 0; i < WEB_SESSIONS_MAX; i++)
		cr_assert_eq(login(&till, TOKEN, (i + 1) * S, cookies[i]), WEB_ADMITTED);
	cr_expect_eq(admit(cookies[0], "", 50 * S), WEB_ADMITTED);
	cr_assert_eq(login(&till, TOKEN, 60 * S, cookies[WEB_SESSIONS_MAX]), WEB_ADMITTED);
	cr_expect_eq(admit(cookies[0], "", 100 * S), WEB_ADMITTED, "was used");
	cr_expect_eq(admit(cookies[1], "", 100 * S), WEB_STRANGER, "made room");
	cr_expect_eq(admit(cookies[2], "", 100 * S), WEB_ADMITTED);
	cr_expect_eq(admit(cookies[WEB_SESSIONS_MAX], "", 100 * S), WEB_ADMITTED);
}

Test(client_web_gate, a_bearer_token_admits_and_is_guessed_no_faster, .init = gate_init)
{
	cr_expect_eq(admit("", "", S), WEB_STRANGER);
	cr_expect_eq(admit("", "Basic dXNlcjpwYXNz", S), WEB_STRANGER);
	cr_expect_eq(admit("", "bearer " TOKEN, S), WEB_ADMITTED);
	for (int i = 0; i < WEB_GUESSES_FREE; i++)
		cr_expect_eq(admit("", "Bearer " WRONG, S), WEB_MISTAKEN);
	cr_expect_eq(admit("", "Bearer " TOKEN, S), WEB_MUST_WAIT, "the right one, too soon");
	cr_expect_eq(admit("", "Bearer " TOKEN, 2 * S), WEB_ADMITTED);
}

Test(client_web_gate, who_guesses_wrong_waits_twice_as_long_each_time, .init = gate_init)
{
	static const uint32_t waits_s[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
	char cookie[WEB_COOKIE_MAX];
	uint64_t now_us = S;
	uint32_t wait_s = 0;

	for (int i = 1; i < WEB_GUESSES_FREE; i++)
		cr_expect_eq(login(&till, WRONG, now_us, cookie), WEB_MISTAKEN);
	for (size_t i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
		cr_expect_eq(login(&till, WRONG, now_us, cookie), WEB_MISTAKEN);
		cr_expect_eq(
			web_gate_login(&g, &till, TOKEN, now_us, cookie, &wait_s), WEB_MUST_WAIT);
		cr_expect_eq(wait_s, waits_s[i]);
		now_us += waits_s[i] * S;
	}
	cr_expect_eq(login(&yard, TOKEN, now_us - S, cookie), WEB_ADMITTED, "another address");
	cr_expect_eq(login(&till, TOKEN, now_us, cookie), WEB_ADMITTED);
	cr_expect_eq(login(&till, WRONG, now_us, cookie), WEB_MISTAKEN, "begins anew");
	cr_expect_eq(login(&till, TOKEN, now_us, cookie), WEB_ADMITTED);
}

Test(client_web_gate, many_addresses_together_guess_no_faster_but_the_machine_itself_gets_in,
	.init = gate_init)
{
	static const struct web_peer machine = {
		.octets = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .is_machine = true};
	struct web_peer peer = till;
	char cookie[WEB_COOKIE_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < 10000; i++) {
		peer.octets[13] = (uint8_t)(i >> 8);
		peer.octets[14] = (uint8_t)i;
		n += login(&peer, WRONG, S, cookie) == WEB_MISTAKEN;
	}
	cr_expect_eq(n, WEB_GUESSES_ALL);
	cr_expect_eq(login(&yard, TOKEN, S, cookie), WEB_MUST_WAIT);
	cr_expect_eq(login(&machine, TOKEN, S, cookie), WEB_ADMITTED);
	cr_expect_eq(login(&yard, TOKEN, 2 * S, cookie), WEB_ADMITTED, "a second later");
}

Test(client_web_gate, addresses_of_one_ipv6_network_are_one, .init = gate_init)
{
	struct web_peer peer = {.octets = {0xfd, [7] = 1}};
	char cookie[WEB_COOKIE_MAX];

	for (uint8_t i = 0; i < WEB_GUESSES_FREE; i++) {
		peer.octets[15] = i;
		cr_expect_eq(login(&peer, WRONG, S, cookie), WEB_MISTAKEN);
	}
	peer.octets[15] = 99;
	cr_expect_eq(login(&peer, TOKEN, S, cookie), WEB_MUST_WAIT);
	peer.octets[7] = 2;
	cr_expect_eq(login(&peer, TOKEN, S, cookie), WEB_ADMITTED, "another network");
}
