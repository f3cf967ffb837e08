/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where IPFIX messages go: datagrams, a stream, a stream under TLS, or a file. Nothing here waits.
 *
 * Source:   RFC 7011 section 10 (transports) and 11 (TLS), RFC 5655 (files).
 * Shapes:   a stream's octets are counted as the kernel takes them and as the peer's TCP acknowledges them; a file's as they are
 *           written. Over UDP nobody acknowledges; a host that refuses a datagram quotes its first octets, so the sequence
 *           number of the message is known.
 * Errors:   whatever goes wrong closes the link and leaves `why`, and the owner starts it again.
 * Threads:  one owner, control. The process must ignore SIGPIPE.
 * Memory:   the struct itself, and GnuTLS's.
 */
#ifndef WEIR_SRC_CONTROL_IPFIX_LINK_H
#define WEIR_SRC_CONTROL_IPFIX_LINK_H

#include <weir/control/export_ipfix.h>

#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct ipfix_tls;

#define IPFIX_OUT_BYTES 32768u
#define IPFIX_WHY_MAX   160

enum ipfix_link_state {
	IPFIX_LINK_DOWN,
	IPFIX_LINK_OPENING,
	IPFIX_LINK_OPEN
};

struct ipfix_link {
	enum ipfix_transport transport;
	enum ipfix_link_state state;
	int fd;
	struct sockaddr_in collector;
	struct sockaddr_in
		local;         /* UDP: a collector tells exporters apart by the port, so it stays */
	char path[PATH_MAX];   /* of a file */
	uint32_t domain;       /* of the messages in it */
	struct ipfix_tls *tls; /* NULL: not over TLS */
	uint64_t deadline_us;  /* when opening has taken too long */
	uint64_t n_queued;     /* octets since it was opened: given to it */
	uint64_t n_written;    /* taken by the kernel */
	uint64_t n_delivered;  /* acknowledged, when the link went down */
	bool is_refused;       /* UDP: a host has refused the message with ... */
	uint32_t refused_sequence;
	char why[IPFIX_WHY_MAX];
	uint32_t n_out;
	uint8_t out[IPFIX_OUT_BYTES]; /* waits for the kernel */
};

/* Reads certificates. Returns 0 or a negative errno with a sentence in `error`. */
int ipfix_link_init(struct ipfix_link *l, const struct export_ipfix_params *params,
	char error[EXPORT_ERROR_MAX]);
void ipfix_link_clean(struct ipfix_link *l);

/* Begins to open a link that is down. */
void ipfix_link_start(struct ipfix_link *l, uint64_t now_us);

/* Goes on with opening and writing, and sees whether the link is still there. */
void ipfix_link_step(struct ipfix_link *l, uint64_t now_us);

/* Takes a whole message, or false: it has no room now, or has just gone down. */
bool ipfix_link_send(struct ipfix_link *l, const uint8_t *octets, uint32_t n);

/* Octets that have arrived, as far as can be known. */
uint64_t ipfix_link_delivered(const struct ipfix_link *l);

/* A file: goes over to a new one where the old one was moved or deleted, or anyway. */
void ipfix_link_reopen(struct ipfix_link *l, bool anyway);

/* Tells the peer that this is the end, and closes. */
void ipfix_link_end(struct ipfix_link *l);

/* Closes for a reason, as whatever goes wrong does. */
void ipfix_link_fail(struct ipfix_link *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts octets where they wait for the kernel; false without room for all of them. */
bool ipfix_link_queue(struct ipfix_link *l, const void *octets, uint32_t n);

#endif
