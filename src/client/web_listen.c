/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_listen.h"

#include "lines.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 32

/* ADDRESS:PORT into its halves. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], char port[8])
{
	const char *colon = strrchr(text, ':');
	size_t n = colon == NULL ? 0 : (size_t)(colon - text);

	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= INET6_ADDRSTRLEN || strlen(colon + 1) >= 8 || colon[1] == '\0')
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	memcpy(port, colon + 1, strlen(colon + 1) + 1);
	return true;
}

static struct addrinfo *address_read(const char *text, char *error)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char host[INET6_ADDRSTRLEN];
	char port[8];

	if (split(text, host, port) && getaddrinfo(host, port, &hints, &found) == 0)
		return found;
	(void)snprintf(error, CONNECTION_ERROR_MAX,
		"\"%s\" is no address to listen on; write one such as 127.0.0.1:9469 or [::1]:9469",
		text);
	return NULL;
}

/* IPv4 also as IPv6 writes it. */
static bool is_wildcard(const struct addrinfo *a)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (a->ai_family == AF_INET) {
		memcpy(&v4, a->ai_addr, sizeof(v4));
		return v4.sin_addr.s_addr == INADDR_ANY;
	}
	memcpy(&v6, a->ai_addr, sizeof(v6));
	return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr) || IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
}

/* The address of `row`, an uplink's, without its prefix length. */
static bool is_of_uplink(const json_t *row, const char *host)
{
	const char *role = json_string_value(json_object_get(row, "role"));
	const char *address = json_string_value(json_object_get(row, "address"));
	size_t n = address == NULL ? 0 : strcspn(address, "/");

	return role != NULL && address != NULL && strcmp(role, "uplink") == 0 && n == strlen(host)
	       && strncmp(address, host, n) == 0;
}

static bool is_machine(const struct addrinfo *a)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (a->ai_family == AF_INET) {
		memcpy(&v4, a->ai_addr, sizeof(v4));
		return ntohl(v4.sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
	}
	memcpy(&v6, a->ai_addr, sizeof(v6));
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static int uplinks_avoid(const char *host, const char *socket, char *error)
{
	struct lines answer = {0};
	json_t *document;
	json_t *row;
	size_t i;
	int result = connection_ask(socket, "{\"show\":\"ports\"}", lines_hold, &answer, error);

	if (result != 0 || answer.held == NULL) {
		lines_clean(&answer);
		return -1;
	}
	document = json_loadb(answer.held, answer.n_held, 0, NULL);
	json_array_foreach(json_object_get(document, "ports"), i, row)
	{
		if (!is_of_uplink(row, host))
			continue;
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"%s is the address of an uplink: what weir shows is not for the Internet",
			host);
		result = -1;
	}
	json_decref(document);
	lines_clean(&answer);
	return result;
}

static int socket_open(const struct addrinfo *a)
{
	int on = 1;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* The gateway's LAN address comes with weir's tap, and goes and comes back with it. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0
		&& (a->ai_family != AF_INET
			|| setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0)
		&& bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

int web_listen(const char *address, const char *socket, char ret_host[WEB_HOST_MAX],
	bool *ret_local, char error[CONNECTION_ERROR_MAX])
{
	struct addrinfo *a = address_read(address, error);
	char host[INET6_ADDRSTRLEN] = "";
	int fd = -1;

	if (a == NULL)
		return -1;
	(void)getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	if (is_wildcard(a)) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"%s is every address of the machine: name one of a LAN or 127.0.0.1",
			address);
	} else if (uplinks_avoid(host, socket, error) == 0) {
		fd = socket_open(a);
		if (fd < 0)
			(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot listen on %s: %s",
				address, strerror(errno));
	}
	memcpy(ret_host, host, sizeof(host));
	*ret_local = is_machine(a);
	freeaddrinfo(a);
	return fd;
}

static int rights_give_up(const struct passwd *user, gid_t group)
{
	if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0
		|| setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
		return -1;
	errno = EPERM;
	return setuid(0) == 0 ? -1 : 0;
}

int web_drop_rights(const char *user, const char *socket, char error[CONNECTION_ERROR_MAX])
{
	struct passwd *entry;
	struct stat st;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "rights cannot be given up: %s",
			strerror(errno));
		return -1;
	}
	if (geteuid() != 0)
		return 0;
	entry = getpwnam(user);
	if (entry == NULL || entry->pw_uid == 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"%s is not a user that may run this: name one without rights with --user",
			user);
		return -1;
	}
	if (stat(socket, &st) != 0 || st.st_gid == 0 || (st.st_mode & 0060) != 0060) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"%s is not for a group: name runtime.view_socket in weir's configuration "
			"and "
			"use that one",
			socket);
		return -1;
	}
	if (rights_give_up(entry, st.st_gid) == 0)
		return 0;
	(void)snprintf(
		error, CONNECTION_ERROR_MAX, "rights cannot be given up: %s", strerror(errno));
	return -1;
}
