/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipfix_link.h"

#include "ipfix_tls.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/ipfix_message.h>
#include <weir/packet/bytes.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPENING_US          (10 * US_PER_S)
#define SILENCE_MS          120000u /* of a peer that owes an acknowledgement */
#define SEQUENCE_OFF        8       /* in a message's header */
#define REFUSED_ERRORS_READ 16      /* a step; the others are the same news */

bool ipfix_link_queue(struct ipfix_link *l, const void *octets, uint32_t n)
{
	if (n > sizeof(l->out) - l->n_out)
		return false;
	memcpy(l->out + l->n_out, octets, n);
	l->n_out += n;
	l->n_queued += n;
	return true;
}

static bool is_stream(const struct ipfix_link *l)
{
	return l->transport == IPFIX_TCP || l->transport == IPFIX_TLS;
}

uint64_t ipfix_link_delivered(const struct ipfix_link *l)
{
	int n_owed = 0;

	if (l->state != IPFIX_LINK_OPEN)
		return l->n_delivered;
	if (is_stream(l) && ioctl(l->fd, SIOCOUTQ, &n_owed) < 0)
		return l->n_delivered;
	return l->n_written > (uint64_t)n_owed ? l->n_written - (uint64_t)n_owed : 0;
}

static void close_now(struct ipfix_link *l)
{
	l->n_delivered = ipfix_link_delivered(l);
	if (l->tls != NULL)
		ipfix_tls_end(l->tls);
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
	l->state = IPFIX_LINK_DOWN;
	l->n_out = 0;
}

void ipfix_link_fail(struct ipfix_link *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(l->why, sizeof(l->why), format, args);
	va_end(args);
	close_now(l);
}

int ipfix_link_init(struct ipfix_link *l, const struct export_ipfix_params *params,
	char error[EXPORT_ERROR_MAX])
{
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	l->transport = params->transport;
	l->domain = params->domain;
	l->collector = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(params->port),
		.sin_addr.s_addr = params->collector.words[3],
	};
	if (params->transport == IPFIX_TLS)
		return ipfix_tls_create(params, error, &l->tls);
	if (params->transport != IPFIX_FILE)
		return 0;
	if (strlen(params->file) >= sizeof(l->path)) {
		(void)snprintf(error, EXPORT_ERROR_MAX, "the path of the IPFIX file is too long");
		return -ENAMETOOLONG;
	}
	memcpy(l->path, params->file, strlen(params->file) + 1);
	return 0;
}

/* Takes away the half of a message that a power cut has left at the end. */
static void file_mend(struct ipfix_link *l)
{
	uint8_t tail[2 * IPFIX_MESSAGE_MAX];
	int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat file;
	off_t from;
	ssize_t n;
	uint32_t n_whole;

	if (fd < 0)
		return;
	if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0) {
		from = file.st_size > (off_t)sizeof(tail) ? file.st_size - (off_t)sizeof(tail) : 0;
		n = pread(fd, tail, sizeof(tail), from);
		n_whole = n > 0 ? ipfix_whole_octets(tail, (uint32_t)n, l->domain) : 0;
		if (n > 0 && n_whole < (uint32_t)n && ftruncate(l->fd, from + n_whole) == 0)
			log_event(LOG_WARNING, "ipfix.mended file=\"%s\" cut_octets=%u", l->path,
				(uint32_t)n - n_whole);
	}
	(void)close(fd);
}

static void file_start(struct ipfix_link *l)
{
	/* O_NONBLOCK: it may be a FIFO whose reader is gone or slow. */
	l->fd = open(
		l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	if (l->fd < 0) {
		ipfix_link_fail(l, "%s", strerror(errno));
		return;
	}
	file_mend(l);
	l->state = IPFIX_LINK_OPEN;
}

/* A path that fragments is still a path; and who refuses is to be heard of, with what was refused. */
static void datagram_options(int fd)
{
	int whatever = IP_PMTUDISC_DONT;
	int on = 1;

	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whatever, sizeof(whatever));
	(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
}

static void stream_options(int fd)
{
	unsigned int silence_ms = SILENCE_MS;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
}

/* The port of the last time, where it is free. */
static void keep_local_port(struct ipfix_link *l)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = l->local.sin_port};

	if (local.sin_port != 0)
		(void)bind(l->fd, (const struct sockaddr *)&local, sizeof(local));
}

static void socket_start(struct ipfix_link *l, uint64_t now_us)
{
	int type = is_stream(l) ? SOCK_STREAM : SOCK_DGRAM;

	l->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0) {
		ipfix_link_fail(l, "%s", strerror(errno));
		return;
	}
	if (is_stream(l)) {
		stream_options(l->fd);
	} else {
		datagram_options(l->fd);
		keep_local_port(l);
	}
	if (connect(l->fd, (const struct sockaddr *)&l->collector, sizeof(l->collector)) < 0
		&& errno != EINPROGRESS) {
		ipfix_link_fail(l, "%s", strerror(errno));
		return;
	}
	(void)getsockname(l->fd, (struct sockaddr *)&l->local, &(socklen_t){sizeof(l->local)});
	l->state = is_stream(l) ? IPFIX_LINK_OPENING : IPFIX_LINK_OPEN;
	l->deadline_us = now_us + OPENING_US;
}

void ipfix_link_start(struct ipfix_link *l, uint64_t now_us)
{
	l->n_queued = 0;
	l->n_written = 0;
	l->n_delivered = 0;
	l->n_out = 0;
	l->is_refused = false;
	l->why[0] = '\0';
	if (l->transport == IPFIX_FILE)
		file_start(l);
	else
		socket_start(l, now_us);
}

static void flush(struct ipfix_link *l)
{
	ssize_t n;

	if (l->n_out == 0)
		return;
	n = write(l->fd, l->out, l->n_out);
	if (n > 0) {
		l->n_out -= (uint32_t)n;
		l->n_written += (uint64_t)n;
		memmove(l->out, l->out + n, l->n_out);
		l->why[0] = '\0';
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* A full disk may have room later, and what is half written must go on where it is. */
		if (l->transport == IPFIX_FILE)
			(void)snprintf(l->why, sizeof(l->why), "%s", strerror(errno));
		else
			ipfix_link_fail(l, "%s", strerror(errno));
	}
}

/* An error that somebody on the way has told, and which message it is of as far as that was quoted. */
struct refusal {
	uint32_t error; /* 0: there is none */
	bool has_sequence;
	uint32_t sequence;
};

/* The oldest that the kernel keeps for the socket. */
static struct refusal read_refusal(int fd)
{
	struct refusal found = {0, false, 0};
	uint8_t payload[IPFIX_HEADER_BYTES];
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(
			sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in))];
	} control;
	struct iovec iov = {.iov_base = payload, .iov_len = sizeof(payload)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct sock_extended_err e;
	ssize_t n = recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (n < 0)
		return found;
	if (n >= SEQUENCE_OFF + 4) {
		found.has_sequence = true;
		found.sequence = load_be32(payload + SEQUENCE_OFF);
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR
			|| c->cmsg_len < CMSG_LEN(sizeof(e)))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof(e));
		found.error = e.ee_errno;
	}
	return found;
}

/* The first error is of the first message that was refused. */
static void datagram_step(struct ipfix_link *l)
{
	for (uint32_t i = 0; i < REFUSED_ERRORS_READ; i++) {
		struct refusal r = read_refusal(l->fd);

		if (r.error == 0)
			return;
		if (r.error != ECONNREFUSED && r.error != EHOSTUNREACH && r.error != ENETUNREACH)
			continue;
		l->is_refused = r.has_sequence;
		l->refused_sequence = r.sequence;
		ipfix_link_fail(l, "%s", strerror((int)r.error));
		return;
	}
}

/* A collector has nothing to say; that it says so is how its end is seen. */
static void stream_listen(struct ipfix_link *l)
{
	uint8_t nothing[256];
	ssize_t n;

	if (l->tls != NULL) {
		ipfix_tls_listen(l->tls, l);
		return;
	}
	n = recv(l->fd, nothing, sizeof(nothing), MSG_DONTWAIT);
	if (n > 0)
		return;
	if (n == 0)
		ipfix_link_fail(l, "the collector closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		ipfix_link_fail(l, "%s", strerror(errno));
}

static bool is_connected(struct ipfix_link *l)
{
	struct pollfd p = {.fd = l->fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, 0) <= 0)
		return false;
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
		ipfix_link_fail(l, "%s", strerror(error));
		return false;
	}
	return true;
}

static void opening_step(struct ipfix_link *l, uint64_t now_us)
{
	if (now_us >= l->deadline_us) {
		ipfix_link_fail(l, "no answer within %llu s", OPENING_US / US_PER_S);
		return;
	}
	if (!is_connected(l))
		return;
	if (l->tls == NULL) {
		l->state = IPFIX_LINK_OPEN;
		return;
	}
	if (ipfix_tls_handshake(l->tls, l))
		l->state = IPFIX_LINK_OPEN;
	if (l->state != IPFIX_LINK_DOWN)
		flush(l);
}

void ipfix_link_step(struct ipfix_link *l, uint64_t now_us)
{
	if (l->state == IPFIX_LINK_OPENING)
		opening_step(l, now_us);
	if (l->state != IPFIX_LINK_OPEN)
		return;
	if (l->transport == IPFIX_UDP)
		datagram_step(l);
	else if (is_stream(l))
		stream_listen(l);
	if (l->state == IPFIX_LINK_OPEN)
		flush(l);
}

static bool datagram_send(struct ipfix_link *l, const uint8_t *octets, uint32_t n)
{
	int error;

	if (send(l->fd, octets, n, MSG_DONTWAIT) == (ssize_t)n) {
		l->n_queued += n;
		l->n_written += n;
		return true;
	}
	error = errno;
	if (error == EAGAIN || error == EINTR || error == ENOBUFS)
		return false;
	/* Perhaps an earlier message's error: the kernel tells it here too, and then which it was. */
	datagram_step(l);
	if (l->state == IPFIX_LINK_OPEN)
		ipfix_link_fail(l, "%s", strerror(error));
	return false;
}

bool ipfix_link_send(struct ipfix_link *l, const uint8_t *octets, uint32_t n)
{
	bool taken;

	if (l->state != IPFIX_LINK_OPEN)
		return false;
	if (l->transport == IPFIX_UDP)
		return datagram_send(l, octets, n);
	if (sizeof(l->out) - l->n_out < n + IPFIX_TLS_OVERHEAD) {
		flush(l);
		if (l->state != IPFIX_LINK_OPEN
			|| sizeof(l->out) - l->n_out < n + IPFIX_TLS_OVERHEAD)
			return false;
	}
	taken = l->tls != NULL ? ipfix_tls_send(l->tls, l, octets, n)
			       : ipfix_link_queue(l, octets, n);
	return taken && l->state == IPFIX_LINK_OPEN;
}

static bool file_moved(const struct ipfix_link *l)
{
	struct stat open_file;
	struct stat named;

	if (fstat(l->fd, &open_file) != 0)
		return true;
	return stat(l->path, &named) != 0 || named.st_dev != open_file.st_dev
	       || named.st_ino != open_file.st_ino;
}

void ipfix_link_reopen(struct ipfix_link *l, bool anyway)
{
	if (l->transport != IPFIX_FILE || l->state != IPFIX_LINK_OPEN
		|| (!anyway && !file_moved(l)))
		return;
	flush(l);
	ipfix_link_fail(l, "the file was moved");
}

void ipfix_link_end(struct ipfix_link *l)
{
	if (l->state == IPFIX_LINK_OPEN) {
		if (l->tls != NULL)
			ipfix_tls_goodbye(l->tls);
		flush(l);
	}
	if (l->state != IPFIX_LINK_DOWN)
		close_now(l);
}

void ipfix_link_clean(struct ipfix_link *l)
{
	ipfix_link_end(l);
	ipfix_tls_destroy(l->tls);
	l->tls = NULL;
}
