/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipfix_link.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/export_ipfix.h>
#include <weir/control/ipfix_message.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_US        (5 * US_PER_S) /* a message that is not full waits so long for more */
#define REFUSAL_US       US_PER_S       /* later a refusal of a datagram does not come */
#define RETRY_MIN_US     US_PER_S
#define RETRY_MAX_US     (60 * US_PER_S)
#define FLIGHTS_MAX      4096u /* messages that have not arrived; a power of two */
#define DATAGRAMS_A_TICK 64u   /* not to overrun the queue of an interface */
#define TEMPLATE_MESSAGES                                                                          \
	1000u /* over UDP templates come again after so many messages, too (RFC 7011 section 8.1) */
#define TARGET_MAX (PATH_MAX + 8)

/* A message that was sent. */
struct flight {
	uint64_t end;     /* octet of the session with which it has arrived */
	uint64_t sent_us; /* UDP: when */
	uint32_t sequence;
	uint32_t n_octets;
	uint16_t n_records; /* places of the ring */
};

enum announcement {
	ANNOUNCE_TEMPLATES,
	ANNOUNCE_INTERFACES,
	ANNOUNCE_CLASSES,
	ANNOUNCE_STATISTICS,
	ANNOUNCE_NOTHING /* all was said */
};

struct export_ipfix {
	struct ipfix_link link;
	char target[TARGET_MAX];
	uint32_t domain;
	uint64_t template_every_us;
	int64_t wall_offset_us;

	struct ipfix_flow *ring;
	uint32_t capacity;
	uint64_t head; /* records before it have arrived */
	uint64_t next; /* and before this one are sent */
	uint64_t tail; /* all that there are */
	uint64_t
		others; /* up to here there are records of others' flows, which do not wait for long */
	struct flight flights[FLIGHTS_MAX];
	uint32_t flight_first; /* they count on and wrap */
	uint32_t flight_end;

	bool in_session;
	bool is_told;   /* that the session is there */
	bool is_probed; /* UDP: something was sent that may be refused */
	bool is_draining;
	uint32_t sequence;
	enum announcement announcing; /* what comes next of templates and names */
	uint32_t announcing_id;
	uint64_t announced_us;
	uint64_t n_messages;   /* of the session, when it was announced */
	uint64_t trusted_us;   /* UDP: when a collector that refuses would have said so */
	uint64_t gathering_us; /* when the oldest record came that is not sent */
	uint64_t looked_us;    /* a file: when it was last seen where it belongs */
	uint64_t retry_us;
	uint64_t retry_wait_us;
	struct ipfix_statistics statistics;
	uint64_t n_sent;
	uint64_t n_sessions;
	uint64_t n_told; /* lost records that were logged */
	struct log_limit log_limit;
	struct ipfix_message message;
};

static bool is_datagram(const struct export_ipfix *x)
{
	return x->link.transport == IPFIX_UDP;
}

static void name_target(struct export_ipfix *x, const struct export_ipfix_params *p)
{
	static const char *const names[] = {
		[IPFIX_TCP] = "tcp", [IPFIX_TLS] = "tls", [IPFIX_UDP] = "udp"};
	char addr[IP_ADDR_TEXT_MAX];

	if (p->transport == IPFIX_FILE)
		(void)snprintf(x->target, sizeof(x->target), "%s", p->file);
	else
		(void)snprintf(x->target, sizeof(x->target), "%s %s:%u", names[p->transport],
			ip_addr_format(&p->collector, addr), p->port);
}

int export_ipfix_open(const struct export_ipfix_params *params, char error[EXPORT_ERROR_MAX],
	struct export_ipfix **ret_export)
{
	struct export_ipfix *x = calloc(1, sizeof(*x));
	int err = -ENOMEM;

	(void)snprintf(
		error, EXPORT_ERROR_MAX, "no memory for the exporter's %u records", params->buffer);
	if (x == NULL)
		return -ENOMEM;
	x->link.fd = -1;
	x->ring = calloc(params->buffer, sizeof(*x->ring));
	if (x->ring == NULL)
		goto err_export;
	err = ipfix_link_init(&x->link, params, error);
	if (err < 0)
		goto err_export;
	x->capacity = params->buffer;
	x->domain = params->domain;
	x->template_every_us = params->template_every_us;
	x->announcing = ANNOUNCE_NOTHING;
	x->retry_wait_us = RETRY_MIN_US;
	x->log_limit = (struct log_limit){.interval_us = 60 * US_PER_S, .burst = 4};
	name_target(x, params);
	*ret_export = x;
	return 0;

err_export:
	free(x->ring);
	free(x);
	return err;
}

void export_ipfix_set_wall_offset(struct export_ipfix *x, int64_t wall_offset_us)
{
	x->wall_offset_us = wall_offset_us;
}

static void tell(struct export_ipfix *x, const char *event, const char *why, uint64_t now_us)
{
	if (!log_limit_take(&x->log_limit, now_us))
		return;
	log_event(LOG_WARNING,
		"%s target=\"%s\" reason=\"%s\" waiting_records=%" PRIu64 " lost_records=%" PRIu64
		" suppressed=%u",
		event, x->target, why, x->tail - x->head, x->statistics.n_lost,
		x->log_limit.n_suppressed);
	x->log_limit.n_suppressed = 0;
}

/* What has arrived is forgotten. */
static void retire(struct export_ipfix *x, uint64_t now_us)
{
	uint64_t delivered;

	if (x->flight_first == x->flight_end)
		return;
	delivered = ipfix_link_delivered(&x->link);
	while (x->flight_first != x->flight_end) {
		const struct flight *f = &x->flights[x->flight_first % FLIGHTS_MAX];

		if (is_datagram(x) ? now_us - f->sent_us < REFUSAL_US : f->end > delivered)
			return;
		x->head += f->n_records;
		x->n_sent += f->n_records;
		x->flight_first++;
		x->retry_wait_us = RETRY_MIN_US;
	}
}

/* Datagrams before the one that was refused have gone to somebody. */
static void retire_before(struct export_ipfix *x, uint32_t sequence)
{
	while (x->flight_first != x->flight_end) {
		const struct flight *f = &x->flights[x->flight_first % FLIGHTS_MAX];

		if ((int32_t)(f->sequence - sequence) >= 0)
			return;
		x->head += f->n_records;
		x->n_sent += f->n_records;
		x->flight_first++;
	}
}

/* What has not arrived is sent again, as if it had never been. */
static void rewind_flights(struct export_ipfix *x)
{
	if (x->flight_first != x->flight_end)
		x->sequence = x->flights[x->flight_first % FLIGHTS_MAX].sequence;
	for (; x->flight_first != x->flight_end; x->flight_first++) {
		const struct flight *f = &x->flights[x->flight_first % FLIGHTS_MAX];

		x->statistics.n_messages--;
		x->statistics.n_octets -= f->n_octets;
		x->statistics.n_records -= f->n_records;
	}
	x->next = x->head;
	x->others = x->tail;
}

static void end_session(struct export_ipfix *x, uint64_t now_us)
{
	x->in_session = false;
	retire(x, now_us);
	if (is_datagram(x) && x->link.is_refused)
		retire_before(x, x->link.refused_sequence);
	rewind_flights(x);
}

/* After the link has gone down, whether it was open before or never came to be. */
static void went_down(struct export_ipfix *x, uint64_t now_us)
{
	end_session(x, now_us);
	x->retry_us = now_us + x->retry_wait_us;
	x->retry_wait_us *= 2;
	if (x->retry_wait_us > RETRY_MAX_US)
		x->retry_wait_us = RETRY_MAX_US;
	tell(x, "ipfix.down", x->link.why, now_us);
}

/* A stream and a file begin to count with each session; datagrams go on, as their collector cannot know of sessions. */
static void begin_session(struct export_ipfix *x)
{
	x->in_session = true;
	x->is_told = x->link.transport == IPFIX_FILE;
	x->n_sessions++;
	if (!is_datagram(x))
		x->sequence = 0;
	x->announcing = ANNOUNCE_TEMPLATES;
	x->announcing_id = 0;
	x->is_probed = false;
}

static void tell_up(struct export_ipfix *x)
{
	if (x->is_told)
		return;
	x->is_told = true;
	log_event(LOG_NOTICE, "ipfix.up target=\"%s\" waiting_records=%" PRIu64, x->target,
		x->tail - x->head);
}

/* Sends the message. False: the link does not take it now, and it is as if it had not been made. */
static bool send_message(struct export_ipfix *x, uint16_t n_ring, uint64_t now_us)
{
	struct ipfix_message *m = &x->message;
	struct flight *f = &x->flights[x->flight_end % FLIGHTS_MAX];

	if (x->flight_end - x->flight_first == FLIGHTS_MAX)
		return false;
	ipfix_finish(m, (uint32_t)((now_us + (uint64_t)x->wall_offset_us) / US_PER_S), x->sequence,
		x->domain);
	if (!ipfix_link_send(&x->link, m->octets, m->n))
		return false;
	*f = (struct flight){
		.end = x->link.n_queued,
		.sent_us = now_us,
		.sequence = x->sequence,
		.n_octets = m->n,
		.n_records = n_ring,
	};
	x->flight_end++;
	x->sequence += m->n_records;
	x->n_messages++;
	x->statistics.n_messages++;
	x->statistics.n_octets += m->n;
	x->statistics.n_records += n_ring;
	return true;
}

/* The next piece of what is to be announced; false when the message is full or all of it is said. */
static bool announce_next(struct export_ipfix *x, const struct path_config *config,
	enum announcement *what, uint32_t *id)
{
	switch (*what) {
	case ANNOUNCE_TEMPLATES:
		if (!ipfix_add_templates(&x->message))
			return false;
		break;
	case ANNOUNCE_INTERFACES:
		if (*id < config->n_ports) {
			if (!ipfix_add_interface(
				    &x->message, (uint8_t)*id, config->ports[*id].name))
				return false;
			++*id;
			return true;
		}
		break;
	case ANNOUNCE_CLASSES:
		if (*id < CLASSES_MAX) {
			const char *name = classes_name(config->classes, (uint8_t)*id);

			if (strcmp(name, "?") != 0
				&& !ipfix_add_class(&x->message, (uint8_t)*id, name))
				return false;
			++*id;
			return true;
		}
		break;
	case ANNOUNCE_STATISTICS:
		if (!ipfix_add_statistics(&x->message, &x->statistics))
			return false;
		break;
	case ANNOUNCE_NOTHING:
		return false;
	}
	*id = 0;
	++*what;
	return true;
}

/* True when nothing is left to be announced. */
static bool announce(struct export_ipfix *x, const struct path_config *config, uint64_t now_us)
{
	bool is_due = now_us - x->announced_us >= x->template_every_us
		      || (is_datagram(x) && x->n_messages >= TEMPLATE_MESSAGES);

	if (x->announcing == ANNOUNCE_NOTHING && is_due)
		x->announcing = is_datagram(x) ? ANNOUNCE_TEMPLATES : ANNOUNCE_INTERFACES;
	while (x->announcing != ANNOUNCE_NOTHING) {
		enum announcement what = x->announcing;
		uint32_t id = x->announcing_id;

		ipfix_begin(&x->message);
		while (announce_next(x, config, &what, &id))
			;
		if (!send_message(x, 0, now_us))
			return false;
		x->announcing = what;
		x->announcing_id = id;
		x->announced_us = now_us;
		x->others = x->tail; /* with it, all may go */
		x->n_messages = 0;
	}
	return true;
}

/* Puts what waits into the message; returns how many records found room. */
static uint16_t gather(struct export_ipfix *x)
{
	uint16_t n = 0;

	ipfix_begin(&x->message);
	while (x->next + n != x->tail
		&& ipfix_add_flow(&x->message, &x->ring[(x->next + n) % x->capacity]))
		n++;
	return n;
}

static bool is_full(const struct export_ipfix *x)
{
	return IPFIX_MESSAGE_MAX - x->message.n < IPFIX_FLOW_BYTES;
}

/* A message that is not full goes when it has waited. */
static bool is_time(const struct export_ipfix *x, uint64_t now_us)
{
	return x->is_draining || (x->next < x->others && now_us - x->gathering_us >= GATHER_US);
}

static void send_flows(struct export_ipfix *x, uint64_t now_us)
{
	uint32_t n_left = is_datagram(x) ? DATAGRAMS_A_TICK : UINT32_MAX;
	uint16_t n;

	while (n_left-- > 0 && x->next != x->tail) {
		n = gather(x);
		if (!is_full(x) && !is_time(x, now_us))
			return;
		if (!send_message(x, n, now_us))
			return;
		x->next += n;
		x->gathering_us = now_us;
	}
}

/* Before anything else a datagram asks whether somebody refuses it: a message without sets, which RFC 7011 section 3 allows. False
 * while that is not known. */
static bool is_trusted(struct export_ipfix *x, uint64_t now_us)
{
	if (!is_datagram(x) || (x->is_probed && now_us >= x->trusted_us))
		return true;
	if (x->is_probed)
		return false;
	ipfix_begin(&x->message);
	x->is_probed = send_message(x, 0, now_us);
	x->trusted_us = now_us + REFUSAL_US;
	return false;
}

static void pump(struct export_ipfix *x, const struct path_config *config, uint64_t now_us)
{
	retire(x, now_us);
	if (is_trusted(x, now_us)) {
		tell_up(x);
		if (announce(x, config, now_us))
			send_flows(x, now_us);
	}
	ipfix_link_step(&x->link, now_us);
	if (x->link.state == IPFIX_LINK_OPEN)
		retire(x, now_us);
}

/* Goes over to a new file, at once. */
static void file_follow(struct export_ipfix *x, bool anyway, uint64_t now_us)
{
	struct ipfix_link *l = &x->link;

	if (l->transport != IPFIX_FILE || l->state != IPFIX_LINK_OPEN
		|| (!anyway && now_us - x->looked_us < US_PER_S))
		return;
	x->looked_us = now_us;
	ipfix_link_reopen(l, anyway);
	if (l->state == IPFIX_LINK_OPEN)
		return;
	end_session(x, now_us);
	x->retry_us = now_us;
}

void export_ipfix_tick(struct export_ipfix *x, const struct path_config *config, uint64_t now_us)
{
	struct ipfix_link *l = &x->link;
	bool was_down;

	file_follow(x, false, now_us);
	was_down = l->state == IPFIX_LINK_DOWN;
	if (was_down && now_us >= x->retry_us) {
		ipfix_link_start(l, now_us);
		was_down = false;
	}
	ipfix_link_step(l, now_us);
	if (l->state == IPFIX_LINK_OPEN && !x->in_session)
		begin_session(x);
	if (l->state == IPFIX_LINK_OPEN)
		pump(x, config, now_us);
	if (l->state == IPFIX_LINK_OPEN && l->why[0] != '\0')
		tell(x, "ipfix.stuck", l->why, now_us);
	if (l->state == IPFIX_LINK_DOWN && !was_down)
		went_down(x, now_us);
	if (x->statistics.n_lost != x->n_told) {
		x->n_told = x->statistics.n_lost;
		tell(x, "ipfix.lost", "too many records wait to be sent", now_us);
	}
}

static void lose(struct export_ipfix *x, const struct flow_record *r)
{
	x->statistics.n_lost++;
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		x->statistics.lost_packets += r->packet_delta_count[d];
		x->statistics.lost_octets += r->octet_delta_count[d];
	}
}

/* The exporter's own flow. Were its records sent for their own sake, each would be the reason for the next. */
static bool is_own(const struct export_ipfix *x, const struct flow_record *r)
{
	const struct ipfix_link *l = &x->link;

	return l->transport != IPFIX_FILE && r->remote_port == ntohs(l->collector.sin_port)
	       && r->remote.words[3] == l->collector.sin_addr.s_addr
	       && r->internal.words[3] == l->local.sin_addr.s_addr;
}

static bool is_ring_full(const struct export_ipfix *x)
{
	return x->tail - x->head == x->capacity;
}

void export_ipfix_add(struct export_ipfix *x, const struct path_config *config,
	const struct flow_record *records, uint32_t n_records, uint64_t now_us)
{
	bool is_hopeless = false;

	for (uint32_t i = 0; i < n_records; i++) {
		if (is_ring_full(x) && !is_hopeless) {
			export_ipfix_tick(x, config, now_us);
			is_hopeless = is_ring_full(x);
		}
		if (is_ring_full(x)
			|| !ipfix_flow_encode(
				&x->ring[x->tail % x->capacity], &records[i], x->wall_offset_us)) {
			lose(x, &records[i]);
			continue;
		}
		x->tail++;
		if (is_own(x, &records[i]))
			continue;
		if (x->next >= x->others)
			x->gathering_us = now_us;
		x->others = x->tail;
	}
}

void export_ipfix_reopen(struct export_ipfix *x, uint64_t now_us)
{
	file_follow(x, true, now_us);
}

/* Nobody says when a datagram has arrived: at the end, sent is all that can be had. */
static uint64_t n_unsent(const struct export_ipfix *x)
{
	return x->tail - (is_datagram(x) ? x->next : x->head);
}

bool export_ipfix_drain(struct export_ipfix *x)
{
	x->is_draining = true;
	return n_unsent(x) == 0 || !x->in_session;
}

struct export_ipfix_counts export_ipfix_counts(const struct export_ipfix *x)
{
	return (struct export_ipfix_counts){
		.n_sent = x->n_sent,
		.n_waiting = x->tail - x->head,
		.n_lost = x->statistics.n_lost,
		.n_sessions = x->n_sessions,
		.is_up = x->in_session && x->is_told,
		.why_down = x->link.why,
		.target = x->target,
	};
}

uint64_t export_ipfix_close(struct export_ipfix *x)
{
	uint64_t n_left;

	if (x == NULL)
		return 0;
	ipfix_link_end(&x->link);
	if (!is_datagram(x))
		retire(x, 0);
	n_left = n_unsent(x);
	if (n_left > 0)
		log_event(LOG_NOTICE, "ipfix.closed target=\"%s\" unsent_records=%" PRIu64,
			x->target, n_left);
	ipfix_link_clean(&x->link);
	free(x->ring);
	free(x);
	return n_left;
}
