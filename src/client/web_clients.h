/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is connected, and until when: a client that sends or reads an octet now and then is active, and holds its place all the same.
 *
 * Shapes:   WEB_REQUEST_US for a request to come, from the connection's beginning or the last answer; WEB_ANSWER_US for an answer to go.
 * Threads:  one owner.
 * Memory:   the struct itself.
 */
#ifndef WEIR_CLIENT_WEB_CLIENTS_H
#define WEIR_CLIENT_WEB_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#define WEB_CLIENTS_MAX 32
#define WEB_REQUEST_US  30000000ull
#define WEB_ANSWER_US   120000000ull

struct web_client {
	uint64_t until_us; /* 0: a free place */
	int fd;
};

struct web_clients {
	struct web_client clients[WEB_CLIENTS_MAX];
};

/* A client has come. Returns its place, or NULL when all are taken. */
struct web_client *web_clients_add(struct web_clients *c, int fd, uint64_t now_us);

/* Its request is complete, or its answer. */
void web_client_answered(struct web_client *client, uint64_t now_us);
void web_client_done(struct web_client *client, uint64_t now_us);

/* It has gone. */
void web_client_remove(struct web_client *client);

/* Shuts the sockets of those whose time is over; their owner closes them. Returns whether any client is left whose time will come. */
bool web_clients_expire(struct web_clients *c, uint64_t now_us);

#endif
