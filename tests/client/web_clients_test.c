/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_clients.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

static struct web_clients clients;
static int ends[2];

static void ends_open(void)
{
	clients = (struct web_clients){0};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void ends_close(void)
{
	close(ends[0]);
	close(ends[1]);
}

/* Whether the other end was shut. */
static bool is_shut(void)
{
	char byte;

	return recv(ends[1], &byte, 1, MSG_DONTWAIT) == 0;
}

Test(client_web_clients, a_request_that_does_not_come_to_its_end_ends, .init = ends_open,
	.fini = ends_close)
{
	cr_assert_not_null(web_clients_add(&clients, ends[0], 1));
	cr_expect(web_clients_expire(&clients, WEB_REQUEST_US));
	cr_expect_not(is_shut());
	cr_expect(web_clients_expire(&clients, WEB_REQUEST_US + 1));
	cr_expect(is_shut());
}

Test(client_web_clients, an_answer_has_its_own_time_and_so_has_the_next_request, .init = ends_open,
	.fini = ends_close)
{
	struct web_client *client = web_clients_add(&clients, ends[0], 1);

	cr_assert_not_null(client);
	web_client_answered(client, 1);
	(void)web_clients_expire(&clients, WEB_ANSWER_US);
	cr_expect_not(is_shut());
	web_client_done(client, WEB_ANSWER_US);
	(void)web_clients_expire(&clients, WEB_ANSWER_US + WEB_REQUEST_US - 1);
	cr_expect_not(is_shut());
	(void)web_clients_expire(&clients, WEB_ANSWER_US + WEB_REQUEST_US);
	cr_expect(is_shut());
}

Test(client_web_clients, who_has_gone_leaves_a_place, .init = ends_open, .fini = ends_close)
{
	struct web_client *last = NULL;

	for (int i = 0; i < WEB_CLIENTS_MAX; i++) {
		last = web_clients_add(&clients, ends[0], 1);
		cr_assert_not_null(last);
	}
	cr_expect_null(web_clients_add(&clients, ends[0], 1));
	web_client_remove(last);
	cr_expect_eq(web_clients_add(&clients, ends[0], 1), last);
	for (int i = 0; i < WEB_CLIENTS_MAX; i++)
		web_client_remove(&clients.clients[i]);
	cr_expect_not(web_clients_expire(&clients, UINT64_MAX));
	cr_expect_not(is_shut());
}
