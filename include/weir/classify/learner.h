/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weir learns from the packets of devices: names from the DNS, and the name that a connection asks its server for.
 *
 * Source:   RFC 5452 section 9 (which answers count), RFC 7766 section 8 (DNS over TCP), and what the parts say themselves.
 * Shapes:   of an answer only the name that the device asked for is bound. The names of the chain that follows are its owner's
 *           word alone: whoever answers for evil.example can say that it is service.example, and where that is, so such a
 *           name is never bound, however well it is known. Bound names and the name in a hello stand for one device.
 *           Names that no pattern covers are passed over before anything is held for them.
 * Units:    microseconds of the path clock.
 * Errors:   what cannot be read or held is not learned; counted.
 * Threads:  one worker owns it.
 * Memory:   fixed at create: classify/names.h, 256 bytes a device for queries, and 0.8 MB for unfinished messages.
 */
#ifndef WEIR_CLASSIFY_LEARNER_H
#define WEIR_CLASSIFY_LEARNER_H

#include <weir/classify/names.h>
#include <weir/classify/tls.h>

/* Uplink packets of a flow in which its hello must have come: those of a handshake and of a long hello, some of them twice. */
#define LEARN_PACKETS_MAX 16

struct learner_packet {
	struct names_device device;
	uint64_t flow; /* a number below 2^63 that no other flow of these seconds has */
	bool is_tcp;   /* else UDP */
	bool is_downlink;
	uint32_t seq;          /* TCP: of the first octet */
	const uint8_t *octets; /* the payload */
	uint32_t len;
};

struct learner_counts {
	uint64_t n_answers;  /* that were asked for, by a name of some pattern */
	uint64_t n_unasked;  /* that were not, or not any more */
	uint64_t n_unread;   /* that were, and gave nothing: errors, damage */
	uint64_t n_not_held; /* pieces of messages for which there was no place */
	uint64_t n_hellos;   /* with a name */
};

struct learner;

/* Returns 0, -EINVAL or -ENOMEM. */
int learner_create(const struct names_setup *setup, struct learner **ret_learner);
void learner_destroy(struct learner *l);

/* What the device's bindings are kept in. */
struct names *learner_names(struct learner *l);

/* A packet of a flow that a device opened to port 53. `set`: the names of interest. */
void learner_take_dns(struct learner *l, const struct name_set *set,
	const struct learner_packet *packet, uint64_t now_us);

/* A packet with which a device begins a TCP connection, or a UDP flow that may be QUIC. TLS_HELLO_MORE: the next one of the device
 * is wanted too. Anything else is the end of it. */
enum tls_hello learner_take_hello(struct learner *l, const struct learner_packet *packet,
	uint64_t now_us, struct dns_name *ret_name);

/* To be called now and then: ends what is over, with bounded work. */
void learner_expire(struct learner *l, uint64_t now_us);

/* What has happened since create. */
struct learner_counts learner_read(const struct learner *l);

#endif
