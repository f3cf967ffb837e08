/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define US_A_S      1000000ull
#define COOKIE_NAME "weir_session"
#define ID_BYTES    ((WEB_SESSION_MAX - 1) / 2)

/* Takes as long for what differs in the first octet as for what differs in the last. */
static bool is_equal(const char *a, const char *b, size_t n)
{
	volatile unsigned char differs = 0;

	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

/* As tokens are compared. Returns the length, or 0 for what cannot be one. */
static size_t token_read(const char *text, char ret_token[WEB_TOKEN_MAX + 1])
{
	size_t n = 0;

	memset(ret_token, 0, WEB_TOKEN_MAX + 1);
	for (; *text != '\0'; text++) {
		if (*text == '-' || *text == ' ' || *text == '\r' || *text == '\n')
			continue;
		if (*text < '!' || *text > '~' || n == WEB_TOKEN_MAX)
			return 0;
		ret_token[n++] = *text;
		if (*text >= 'A' && *text <= 'Z')
			ret_token[n - 1] |= 'a' - 'A';
	}
	return n;
}

int web_gate_set_token(struct web_gate *g, const char *text)
{
	char token[WEB_TOKEN_MAX + 1];

	if (token_read(text, token) < WEB_TOKEN_MIN)
		return -EINVAL;
	memcpy(g->token, token, sizeof(token));
	return 0;
}

static bool is_token(const struct web_gate *g, const char *text)
{
	char token[WEB_TOKEN_MAX + 1];
	size_t n = token_read(text, token);

	return is_equal(token, g->token, sizeof(token)) && n >= WEB_TOKEN_MIN;
}

int web_gate_add_host(struct web_gate *g, const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= WEB_HOST_MAX || strpbrk(name, "/@ \t[]") != NULL)
		return -EINVAL;
	if (g->n_hosts == WEB_HOSTS_MAX)
		return -ENOSPC;
	memcpy(g->hosts[g->n_hosts++], name, n + 1);
	return 0;
}

/* NAME, NAME:PORT, [ADDRESS] or [ADDRESS]:PORT; the length of what stands before the port, 0 for anything else. */
static size_t host_length(const char **host)
{
	const char *end;
	const char *port;

	if (**host == '[') {
		(*host)++;
		end = strchr(*host, ']');
		port = end == NULL ? NULL : end + 1;
	} else {
		end = *host + strcspn(*host, ":");
		port = end;
	}
	if (end == NULL || (*port != '\0' && *port != ':'))
		return 0;
	if (*port == ':' && port[1 + strspn(port + 1, "0123456789")] != '\0')
		return 0;
	return (size_t)(end - *host);
}

bool web_gate_knows_host(const struct web_gate *g, const char *host)
{
	size_t n = host_length(&host);

	for (uint32_t i = 0; n > 0 && i < g->n_hosts; i++)
		if (strlen(g->hosts[i]) == n && strncasecmp(g->hosts[i], host, n) == 0)
			return true;
	return false;
}

static bool is_alive(const struct web_session *s, uint64_t now_us)
{
	return s->id[0] != '\0' && now_us - s->used_us < WEB_IDLE_S * US_A_S
	       && now_us - s->made_us < WEB_SESSION_S * US_A_S;
}

/* The session's cookie among those of a header, a NUL-terminated id. */
static bool cookie_find(const char *header, char ret_id[WEB_SESSION_MAX])
{
	const size_t n_name = sizeof(COOKIE_NAME) - 1;

	while (*header != '\0') {
		size_t n;

		header += strspn(header, " ;");
		n = strcspn(header, ";");
		if (n == n_name + WEB_SESSION_MAX
			&& strncmp(header, COOKIE_NAME "=", n_name + 1) == 0) {
			memcpy(ret_id, header + n_name + 1, WEB_SESSION_MAX - 1);
			ret_id[WEB_SESSION_MAX - 1] = '\0';
			return true;
		}
		header += n;
	}
	return false;
}

/* All are compared, whichever it is. */
static struct web_session *session_find(struct web_gate *g, const char *cookie, uint64_t now_us)
{
	struct web_session *found = NULL;
	char id[WEB_SESSION_MAX];

	if (!cookie_find(cookie, id))
		return NULL;
	for (uint32_t i = 0; i < WEB_SESSIONS_MAX; i++) {
		struct web_session *s = &g->sessions[i];

		if (is_equal(s->id, id, WEB_SESSION_MAX) && is_alive(s, now_us))
			found = s;
	}
	return found;
}

/* A free place, or that of the session which was used longest ago. */
static struct web_session *session_place(struct web_gate *g, uint64_t now_us)
{
	struct web_session *place = &g->sessions[0];

	for (uint32_t i = 0; i < WEB_SESSIONS_MAX; i++) {
		struct web_session *s = &g->sessions[i];

		if (!is_alive(s, now_us))
			return s;
		if (s->used_us < place->used_us)
			place = s;
	}
	return place;
}

static int session_begin(struct web_gate *g, uint64_t now_us, char ret_cookie[WEB_COOKIE_MAX])
{
	struct web_session *s = session_place(g, now_us);
	uint8_t random[ID_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(s->id + 2 * i, 3, "%02x", random[i]);
	s->made_us = now_us;
	s->used_us = now_us;
	(void)snprintf(ret_cookie, WEB_COOKIE_MAX,
		COOKIE_NAME "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d", s->id,
		WEB_SESSION_S);
	return 0;
}

void web_gate_logout(struct web_gate *g, const char *cookie, char ret_cookie[WEB_COOKIE_MAX])
{
	struct web_session *s;
	char id[WEB_SESSION_MAX];

	if (cookie_find(cookie, id)) {
		for (s = g->sessions; s < g->sessions + WEB_SESSIONS_MAX; s++)
			if (is_equal(s->id, id, WEB_SESSION_MAX))
				*s = (struct web_session){0};
	}
	(void)snprintf(ret_cookie, WEB_COOKIE_MAX,
		COOKIE_NAME "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
}

static bool is_same(const struct web_peer *a, const struct web_peer *b)
{
	static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
	bool is_v4 = memcmp(a->octets, v4, sizeof(v4)) == 0;

	return memcmp(a->octets, b->octets, is_v4 ? 16 : 8) == 0;
}

/* The place of an address that has guessed wrong; `makes`: one for it, where there is none. */
static struct web_guesser *guesser_find(struct web_gate *g, const struct web_peer *peer, bool makes)
{
	struct web_guesser *place = &g->guessers[0];

	for (uint32_t i = 0; i < WEB_PEERS_MAX; i++) {
		struct web_guesser *one = &g->guessers[i];

		if (one->n_failed > 0 && is_same(&one->peer, peer))
			return one;
		if (one->n_failed == 0 ? place->n_failed != 0
				       : place->n_failed != 0 && one->failed_us < place->failed_us)
			place = one;
	}
	if (!makes)
		return NULL;
	*place = (struct web_guesser){.peer = *peer};
	return place;
}

static uint64_t wait_of(const struct web_guesser *one)
{
	uint32_t n = one->n_failed < WEB_GUESSES_FREE ? 0 : one->n_failed - WEB_GUESSES_FREE;
	uint64_t wait_s = one->n_failed < WEB_GUESSES_FREE ? 0 : 1ull << (n > 16 ? 16 : n);

	return (wait_s > WEB_WAIT_MAX_S ? WEB_WAIT_MAX_S : wait_s) * US_A_S;
}

/* Guesses of everybody are made good one a second. */
static void guesses_age(struct web_gate *g, uint64_t now_us)
{
	uint64_t n = (now_us - g->guesses_us) / US_A_S;

	if (n >= g->n_guesses) {
		g->n_guesses = 0;
		g->guesses_us = now_us;
	} else {
		g->n_guesses -= (uint32_t)n;
		g->guesses_us += n * US_A_S;
	}
}

/* How long until an address may guess; 0: now. */
static uint32_t wait_s(struct web_gate *g, const struct web_peer *peer, uint64_t now_us)
{
	const struct web_guesser *one = guesser_find(g, peer, false);
	uint64_t wait_us = one == NULL ? 0 : wait_of(one);

	if (one != NULL && now_us - one->failed_us < wait_us)
		return (uint32_t)((wait_us - (now_us - one->failed_us) + US_A_S - 1) / US_A_S);
	guesses_age(g, now_us);
	return !peer->is_machine && g->n_guesses >= WEB_GUESSES_ALL ? 1 : 0;
}

static enum web_entry guess(struct web_gate *g, const struct web_peer *peer, const char *token,
	uint64_t now_us, uint32_t *ret_wait_s)
{
	struct web_guesser *one;
	uint32_t wait = wait_s(g, peer, now_us);

	if (wait > 0) {
		*ret_wait_s = wait;
		return WEB_MUST_WAIT;
	}
	if (is_token(g, token)) {
		one = guesser_find(g, peer, false);
		if (one != NULL)
			one->n_failed = 0;
		return WEB_ADMITTED;
	}
	one = guesser_find(g, peer, true);
	one->n_failed++;
	one->failed_us = now_us;
	if (!peer->is_machine)
		g->n_guesses++;
	return WEB_MISTAKEN;
}

enum web_entry web_gate_admit(struct web_gate *g, const struct web_peer *peer, const char *cookie,
	const char *authorization, uint64_t now_us, uint32_t *ret_wait_s)
{
	static const char scheme[] = "Bearer ";
	struct web_session *s = session_find(g, cookie, now_us);

	if (s != NULL) {
		s->used_us = now_us;
		return WEB_ADMITTED;
	}
	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return WEB_STRANGER;
	return guess(g, peer, authorization + sizeof(scheme) - 1, now_us, ret_wait_s);
}

enum web_entry web_gate_login(struct web_gate *g, const struct web_peer *peer, const char *token,
	uint64_t now_us, char ret_cookie[WEB_COOKIE_MAX], uint32_t *ret_wait_s)
{
	enum web_entry entry = guess(g, peer, token, now_us, ret_wait_s);

	if (entry == WEB_ADMITTED && session_begin(g, now_us, ret_cookie) != 0) {
		*ret_wait_s = 1; /* no random numbers yet */
		return WEB_MUST_WAIT;
	}
	return entry;
}
