/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may look: the names weir-web goes by, its token, sessions, and how often one may guess.
 *
 * Source:   RFC 6265 (cookies), RFC 6750 (bearer tokens), RFC 9110 section 7.4 (a request that was meant for somebody else).
 * Shapes:   a token is compared without its hyphens, blanks and capitals, so that it can be typed. A session is a random number of
 *           256 bits in a cookie that no script reads. Who guesses wrong waits: each address by itself, twice as long each time, and all
 *           but the machine itself together.
 * Errors:   0 or a negative errno; questions return bool.
 * Threads:  one owner.
 * Memory:   the struct itself: the oldest session and the address that has failed longest ago make room.
 */
#ifndef WEIR_CLIENT_WEB_GATE_H
#define WEIR_CLIENT_WEB_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_TOKEN_MIN    16
#define WEB_TOKEN_MAX    128
#define WEB_SESSIONS_MAX 32
#define WEB_SESSION_MAX  65 /* 64 digits */
#define WEB_COOKIE_MAX   160
#define WEB_PEERS_MAX    64
#define WEB_HOSTS_MAX    16
#define WEB_HOST_MAX     256

#define WEB_GUESSES_FREE 3
#define WEB_GUESSES_ALL  60 /* of everybody, at once; a new one each second */
#define WEB_WAIT_MAX_S   300
#define WEB_IDLE_S       (12 * 3600)     /* a session that is not used ends */
#define WEB_SESSION_S    (7 * 24 * 3600) /* and so does one that is */

/* An address: IPv4 as IPv6 writes it. Of IPv6, the network of 64 bits is who it is. */
struct web_peer {
	uint8_t octets[16];
	bool is_machine; /* 127.0.0.0/8 or ::1 */
};

struct web_session {
	char id[WEB_SESSION_MAX]; /* "": none */
	uint64_t made_us;
	uint64_t used_us;
};

struct web_guesser {
	struct web_peer peer;
	uint32_t n_failed; /* 0: none */
	uint64_t failed_us;
};

struct web_gate {
	char token[WEB_TOKEN_MAX + 1]; /* as it is compared; zeros behind it */
	char hosts[WEB_HOSTS_MAX][WEB_HOST_MAX];
	uint32_t n_hosts;
	struct web_session sessions[WEB_SESSIONS_MAX];
	struct web_guesser guessers[WEB_PEERS_MAX];
	uint32_t n_guesses; /* of everybody, that are not made good by time */
	uint64_t guesses_us;
};

enum web_entry {
	WEB_ADMITTED,
	WEB_STRANGER,  /* says nothing of who it is */
	WEB_MISTAKEN,  /* says it wrong */
	WEB_MUST_WAIT, /* has said it wrong too often: was not looked at */
};

/* Takes the token. Returns 0, or -EINVAL when it is too short, too long or has characters beyond ASCII. */
int web_gate_set_token(struct web_gate *g, const char *text);

/* A name or address that requests may be meant for. Returns 0, or -ENOSPC or -EINVAL. */
int web_gate_add_host(struct web_gate *g, const char *name);

/* Whether a Host header, with or without a port, names us. A page of somebody else's whose name suddenly leads here
 * (DNS rebinding) does not. */
bool web_gate_knows_host(const struct web_gate *g, const char *host);

/* Whether a request may pass by its session's cookie or a bearer token; for WEB_MUST_WAIT, how long. */
enum web_entry web_gate_admit(struct web_gate *g, const struct web_peer *peer, const char *cookie,
	const char *authorization, uint64_t now_us, uint32_t *ret_wait_s);

/* Compares a token and begins a session: its Set-Cookie, for WEB_ADMITTED. Never WEB_STRANGER. */
enum web_entry web_gate_login(struct web_gate *g, const struct web_peer *peer, const char *token,
	uint64_t now_us, char ret_cookie[WEB_COOKIE_MAX], uint32_t *ret_wait_s);

/* Ends the session of a Cookie header, if any; the Set-Cookie that makes a browser forget it. */
void web_gate_logout(struct web_gate *g, const char *cookie, char ret_cookie[WEB_COOKIE_MAX]);

#endif
