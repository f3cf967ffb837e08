/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/dns_queries.h>
#include <weir/classify/learner.h>
#include <weir/classify/quic.h>
#include <weir/classify/streams.h>
#include <weir/packet/bytes.h>

#include <errno.h>
#include <stdlib.h>

#define DNS_STREAMS     16
#define DNS_STREAM_MAX  16384 /* no answer about addresses is longer */
#define DNS_PREFIX      2     /* RFC 7766 8: the length before each message */
#define HELLO_STREAMS   32
#define HELLO_OCTETS    (TLS_HELLO_MAX + 5 * TLS_RECORDS_MAX)
#define EXPIRE_BINDINGS 64  /* places looked at in one call */
#define OTHER_GROUPS    256 /* of places for queries of names that only a listener wants */

struct learner {
	struct names *names;
	struct dns_queries *queries; /* of names of interest */
	struct dns_queries *others;  /* of all others, while somebody listens */
	learner_hear *hear;          /* NULL: nobody does */
	void *hear_arg;
	struct streams *dns_streams;
	struct streams *hello_streams;
	struct quic_reader *quic;
	struct learner_counts counts;
};

/* One packet of DNS on its way through the functions below. */
struct dns_work {
	struct learner *l;
	const struct name_set *set;
	const struct learner_packet *packet;
	uint64_t now_us;
};

int learner_create(const struct names_setup *setup, struct learner **ret_learner)
{
	struct learner *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	rc = names_create(setup, &l->names);
	if (rc == 0)
		rc = dns_queries_create(setup->n_devices, &setup->hash_key, &l->queries);
	if (rc == 0)
		rc = dns_queries_create(OTHER_GROUPS, &setup->hash_key, &l->others);
	if (rc == 0)
		rc = streams_create(DNS_STREAMS, DNS_STREAM_MAX, &l->dns_streams);
	if (rc == 0)
		rc = streams_create(HELLO_STREAMS, HELLO_OCTETS, &l->hello_streams);
	if (rc == 0)
		rc = quic_reader_create(&l->quic);
	if (rc < 0) {
		learner_destroy(l);
		return rc;
	}
	*ret_learner = l;
	return 0;
}

void learner_destroy(struct learner *l)
{
	if (l == NULL)
		return;
	quic_reader_destroy(l->quic);
	streams_destroy(l->hello_streams);
	streams_destroy(l->dns_streams);
	dns_queries_destroy(l->others);
	dns_queries_destroy(l->queries);
	names_destroy(l->names);
	free(l);
}

struct names *learner_names(struct learner *l)
{
	return l->names;
}

void learner_set_listener(struct learner *l, learner_hear *hear, void *arg)
{
	l->hear = hear;
	l->hear_arg = arg;
}

static uint16_t name_of(const struct dns_work *w, const struct dns_question *question)
{
	return w->set == NULL ? NAME_NONE : name_set_find(w->set, &question->name);
}

/* Devices share the groups of places, but no query is taken for another's. */
static struct names_device group_of(const struct names_device *device)
{
	return (struct names_device){.id = device->id % OTHER_GROUPS,
		.generation = device->generation << 16 | device->id};
}

static void take_query(const struct dns_work *w, const struct dns_question *question)
{
	const struct learner_packet *p = w->packet;
	struct names_device group = group_of(&p->device);

	if (question->type != DNS_TYPE_A)
		return;
	if (name_of(w, question) != NAME_NONE)
		dns_queries_add(w->l->queries, &p->device, p->flow, question, w->now_us);
	else if (w->l->hear != NULL)
		dns_queries_add(w->l->others, &group, p->flow, question, w->now_us);
}

/* True when the answer is to a query that waits for it. */
static bool is_asked_for(
	const struct dns_work *w, const struct dns_question *question, bool is_of_interest)
{
	const struct learner_packet *p = w->packet;
	struct names_device group = group_of(&p->device);
	bool is_asked;

	if (!is_of_interest)
		return w->l->hear != NULL
		       && dns_queries_take(w->l->others, &group, p->flow, question, w->now_us);
	is_asked = dns_queries_take(w->l->queries, &p->device, p->flow, question, w->now_us);
	if (is_asked)
		w->l->counts.n_answers++;
	else
		w->l->counts.n_unasked++;
	return is_asked;
}

static void take_answer(const struct dns_work *w, const struct dns_question *question,
	const uint8_t *msg, uint32_t len)
{
	struct learner_counts *counts = &w->l->counts;
	const struct learner_packet *p = w->packet;
	uint16_t name = name_of(w, question);
	bool is_of_interest = name != NAME_NONE;
	struct dns_answer answer;

	if (question->type != DNS_TYPE_A || !is_asked_for(w, question, is_of_interest))
		return;
	if (dns_read_answer(msg, len, &answer) < 0) {
		counts->n_unread += is_of_interest;
		return;
	}
	if (w->l->hear != NULL)
		w->l->hear(w->l->hear_arg, &p->device, &question->name, &answer);
	for (uint32_t i = 0; i < answer.n_addresses && is_of_interest; i++)
		names_bind(w->l->names, &p->device, &answer.addresses[i].addr, name,
			answer.addresses[i].ttl_s, w->now_us);
}

static void take_message(const struct dns_work *w, const uint8_t *msg, uint32_t len)
{
	enum dns_kind kind = w->packet->is_downlink ? DNS_RESPONSE : DNS_QUERY;
	struct dns_question question;

	if (dns_read_question(msg, len, kind, &question) < 0)
		return;
	if (kind == DNS_QUERY)
		take_query(w, &question);
	else
		take_answer(w, &question, msg, len);
}

/* Takes the whole messages at the begin of the stream; how many octets they had. Where there cannot be a message, all are
 * passed over: what comes next is taken for a begin, and counts only where an answer is asked for. */
static uint32_t take_messages(const struct dns_work *w, const uint8_t *octets, uint32_t len)
{
	uint32_t at = 0;

	while (len - at >= DNS_PREFIX) {
		uint32_t n = load_be16(octets + at);

		if (n < DNS_HEADER_BYTES || n + DNS_PREFIX > DNS_STREAM_MAX)
			return len;
		if (n > len - at - DNS_PREFIX)
			break;
		take_message(w, octets + at + DNS_PREFIX, n);
		at += DNS_PREFIX + n;
	}
	return at;
}

static struct segment_in segment_of(const struct learner_packet *p)
{
	return (struct segment_in){.flow = p->flow << 1 | p->is_downlink,
		.device = p->device.id,
		.seq = p->seq,
		.octets = p->octets,
		.len = p->len};
}

void learner_take_dns(struct learner *l, const struct name_set *set,
	const struct learner_packet *packet, uint64_t now_us)
{
	struct dns_work w = {l, set, packet, now_us};
	struct segment_in segment = segment_of(packet);
	struct stream_view view;
	uint32_t n_read;

	if (packet->len == 0)
		return;
	if (!packet->is_tcp) {
		take_message(&w, packet->octets, packet->len);
		return;
	}
	if (!streams_read(l->dns_streams, &segment, now_us, &view)) {
		l->counts.n_not_held++;
		return;
	}
	n_read = take_messages(&w, view.octets, view.len);
	if (!streams_keep(l->dns_streams, &segment, &view, n_read, now_us))
		l->counts.n_not_held++;
}

static enum tls_hello take_segment(struct learner *l, const struct learner_packet *packet,
	uint64_t now_us, struct dns_name *ret_name)
{
	struct segment_in segment = segment_of(packet);
	struct stream_view view;
	enum tls_hello result;

	if (!streams_read(l->hello_streams, &segment, now_us, &view)) {
		l->counts.n_not_held++;
		return TLS_HELLO_NONE;
	}
	result = tls_read_records(view.octets, view.len, ret_name);
	if (result != TLS_HELLO_MORE) {
		streams_give(l->hello_streams, view.stream);
	} else if (!streams_keep(l->hello_streams, &segment, &view, 0, now_us)) {
		l->counts.n_not_held++;
		return TLS_HELLO_NONE;
	}
	return result;
}

static enum tls_hello take_datagram(struct learner *l, const struct learner_packet *packet,
	uint64_t now_us, struct dns_name *ret_name)
{
	uint64_t flow = segment_of(packet).flow;
	struct stream *stream = streams_find(l->hello_streams, flow);
	enum tls_hello result = TLS_HELLO_NONE;

	if (stream == NULL)
		stream = streams_take(l->hello_streams, flow, packet->device.id, 0, now_us);
	if (stream == NULL) {
		l->counts.n_not_held++;
		return TLS_HELLO_NONE;
	}
	if (stream->end_us > now_us && ++stream->n_segments <= STREAM_SEGMENTS_MAX)
		result = quic_read_datagram(
			l->quic, packet->octets, packet->len, &stream->assembly, ret_name);
	if (result != TLS_HELLO_MORE)
		streams_give(l->hello_streams, stream);
	return result;
}

enum tls_hello learner_take_hello(struct learner *l, const struct learner_packet *packet,
	uint64_t now_us, struct dns_name *ret_name)
{
	enum tls_hello result;

	if (packet->len == 0 || packet->is_downlink)
		return TLS_HELLO_MORE; /* says nothing */
	if (packet->is_tcp)
		result = take_segment(l, packet, now_us, ret_name);
	else
		result = take_datagram(l, packet, now_us, ret_name);
	l->counts.n_hellos += result == TLS_HELLO_NAME;
	return result;
}

void learner_expire(struct learner *l, uint64_t now_us)
{
	names_expire(l->names, EXPIRE_BINDINGS, now_us);
	streams_expire(l->dns_streams, now_us);
	streams_expire(l->hello_streams, now_us);
}

struct learner_counts learner_read(const struct learner *l)
{
	return l->counts;
}
