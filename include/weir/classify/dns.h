/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS messages: what was asked, and the addresses that the answer gives to the name that was asked for.
 *
 * Source:   RFC 1035 section 4 (format, compression), RFC 2181 sections 8 and 9 (TTL, TC), RFC 6891 (extended RCODE),
 *           RFC 4343 (case), RFC 6672 (a DNAME comes with the CNAME it makes).
 * Shapes:   a message without the length that goes before it on TCP. From the question a chain of CNAMEs leads to the owner
 *           of the addresses; its records may stand in any order. Records that this chain does not reach, and other sections,
 *           say nothing: whoever answers for one name could put in any other.
 *           Of a truncated answer (TC) the records that are whole count: stub resolvers that cannot ask over TCP use
 *           them, and that they are not all of them makes none of them wrong.
 * Units:    TTL in seconds, the least along the chain; more than 31 bits is 0 (RFC 2181 section 8).
 * Errors:   -EBADMSG: not to be believed (cut off, compression that leads forward, a name above 255 octets, a record of the
 *           wrong length). -ENOMSG: sound so far, but nothing to learn from. -E2BIG: more work than is taken on.
 *           Results are untouched then.
 * Threads:  pure functions.
 * Memory:   none. A message costs DNS_RECORDS_MAX records and DNS_STEPS_MAX labels at most, whatever it holds.
 */
#ifndef WEIR_CLASSIFY_DNS_H
#define WEIR_CLASSIFY_DNS_H

#include <weir/base/addr.h>
#include <weir/classify/dns_name.h>

#define DNS_PORT         53
#define DNS_HEADER_BYTES 12
#define DNS_RECORDS_MAX  256
#define DNS_STEPS_MAX                                                                              \
	8192 /* labels and jumps: 200 records with names of 16 labels, a chain of 60 in the worst order */
#define DNS_ADDRESSES_MAX 32 /* of one answer; those after them are not taken */

#define DNS_TYPE_A     1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_OPT   41

enum dns_kind {
	DNS_QUERY,
	DNS_RESPONSE
};

struct dns_question {
	uint16_t id;
	uint16_t type;
	struct dns_name name;
};

struct dns_address {
	struct ip_addr addr;
	uint32_t ttl_s;
};

struct dns_answer {
	uint32_t n_addresses;
	struct dns_address addresses[DNS_ADDRESSES_MAX];
};

/* Reads header and question of a message that ought to be of this kind: a standard query (opcode 0) with one question of class
 * IN. The rest of it is not looked at. */
int dns_read_question(const uint8_t *msg, size_t len_bytes, enum dns_kind kind,
	struct dns_question *ret_question);

/* Reads the addresses that a response gives to its question. No address at all is no error. -ENOMSG when the response is an
 * error (RCODE), or the question is not one for IPv4 addresses. */
int dns_read_answer(const uint8_t *msg, size_t len_bytes, struct dns_answer *ret_answer);

#endif
