/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What devices have asked of the DNS and were not answered yet: an answer counts only when it is one of these.
 *
 * Source:   RFC 5452 section 9.1 (what an answer must match): the flow stands for the resolver's endpoint and the device's, the
 *           question and the transaction's id are compared.
 * Shapes:   every device has DNS_QUERIES_PER_DEVICE places of its own; the oldest makes room. An answer takes its query away:
 *           a second one, which the device would not look at, finds none.
 * Units:    microseconds of the path clock. A query waits DNS_QUERY_US for its answer.
 * Errors:   none.
 * Threads:  one worker owns it.
 * Memory:   fixed at create: 32 bytes a place, so 256 a device. Of a name there is a keyed hash of 64 bits.
 */
#ifndef WEIR_CLASSIFY_DNS_QUERIES_H
#define WEIR_CLASSIFY_DNS_QUERIES_H

#include <weir/base/clock.h>
#include <weir/classify/dns.h>
#include <weir/classify/names.h>

#define DNS_QUERIES_PER_DEVICE 8
#define DNS_QUERY_US           (15 * US_PER_S) /* resolvers of devices give up after 5 to 10 s */

struct dns_queries;

/* For ids of devices below `n_devices`. Returns 0, -EINVAL or -ENOMEM. */
int dns_queries_create(
	uint16_t n_devices, const struct flow_hash_key *key, struct dns_queries **ret_queries);
void dns_queries_destroy(struct dns_queries *q);

/* A device asks. `flow`: any number that no other flow of these seconds has. Asked again, it waits anew. */
void dns_queries_add(struct dns_queries *q, const struct names_device *device, uint64_t flow,
	const struct dns_question *question, uint64_t now_us);

/* True when the device has asked just this on the flow; then it counts as answered. */
bool dns_queries_take(struct dns_queries *q, const struct names_device *device, uint64_t flow,
	const struct dns_question *question, uint64_t now_us);

#endif
