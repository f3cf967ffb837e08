/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_clients.h"

#include <stddef.h>
#include <sys/socket.h>

struct web_client *web_clients_add(struct web_clients *c, int fd, uint64_t now_us)
{
	for (int i = 0; i < WEB_CLIENTS_MAX; i++) {
		struct web_client *client = &c->clients[i];

		if (client->until_us != 0)
			continue;
		*client = (struct web_client){.fd = fd, .until_us = now_us + WEB_REQUEST_US};
		return client;
	}
	return NULL;
}

void web_client_answered(struct web_client *client, uint64_t now_us)
{
	client->until_us = now_us + WEB_ANSWER_US;
}

void web_client_done(struct web_client *client, uint64_t now_us)
{
	client->until_us = now_us + WEB_REQUEST_US;
}

void web_client_remove(struct web_client *client)
{
	client->until_us = 0;
}

bool web_clients_expire(struct web_clients *c, uint64_t now_us)
{
	bool is_any = false;

	for (int i = 0; i < WEB_CLIENTS_MAX; i++) {
		struct web_client *client = &c->clients[i];

		if (client->until_us != 0 && client->until_us <= now_us)
			(void)shutdown(client->fd, SHUT_RDWR);
		is_any |= client->until_us != 0;
	}
	return is_any;
}
