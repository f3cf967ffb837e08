/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bindings: at which addresses a device may find a name, from the answers that this device itself received.
 *
 * Shapes:   (device, address) → ids of names (classify/name_set.h), each bound for its TTL and a grace: devices keep addresses
 *           longer than they were told to. What one device was told is never used for another; an id of a device that
 *           was given to another (its generation grew) has no bindings.
 *           `n_own` bindings are set aside for every device, and the rest is there for all, up to `per_device` each. A device
 *           that has no more room replaces the one of its own that ends first, so no device can push out another's.
 * Units:    times in microseconds of the path clock, TTLs in seconds.
 * Errors:   none in use: a binding that finds no room replaces another.
 * Threads:  one worker owns it.
 * Memory:   fixed at create: 56 bytes a binding and 12 a device.
 */
#ifndef WEIR_CLASSIFY_NAMES_H
#define WEIR_CLASSIFY_NAMES_H

#include <weir/base/addr.h>
#include <weir/classify/name_set.h>
#include <weir/flow/key.h>

struct names_setup {
	uint32_t capacity;   /* bindings */
	uint32_t n_own;      /* of them set aside for each device; at least one */
	uint32_t per_device; /* at most; at least n_own */
	uint16_t n_devices;  /* ids of devices are below it */
	struct flow_hash_key hash_key;
};

/* How long a binding lasts: min(TTL, ttl_max) + grace. */
struct names_times {
	uint64_t ttl_max_us;
	uint64_t grace_us;
};

/* A device as flow/device.h tells it apart from those that had its id before. */
struct names_device {
	uint16_t id;
	uint32_t generation;
};

struct names_counts {
	uint64_t n_bound; /* new bindings */
	uint64_t n_renewed;
	uint64_t n_replaced; /* that ended early, for another of their device */
	uint64_t n_expired;
};

struct names;

/* Returns 0, -EINVAL (fewer bindings than are set aside, none a device, 2^28 bindings or more) or -ENOMEM. */
int names_create(const struct names_setup *setup, struct names **ret_names);
void names_destroy(struct names *n);

/* Sets what later bindings last. */
void names_set_times(struct names *n, const struct names_times *times);

/* Binds a name to an address for a device, or lets the binding last longer. */
void names_bind(struct names *n, const struct names_device *device, const struct ip_addr *addr,
	uint16_t name, uint32_t ttl_s, uint64_t now_us);

/* The rules, by `set`, of all names that are bound to this address for this device. */
uint64_t names_find(const struct names *n, const struct name_set *set,
	const struct names_device *device, const struct ip_addr *addr, uint64_t now_us);

/* Looks at the next `n_max` places and ends what is over; called over and over it comes round to all of them. */
void names_expire(struct names *n, uint32_t n_max, uint64_t now_us);

/* Set `to` (NULL: none) takes the place of `from`: ids become those of name_set_carry(), and bindings whose name is none any more end. One
 * pass over all places. */
void names_carry(struct names *n, const struct name_set *from, const struct name_set *to);

/* How many bindings there are: of all devices, or of one. */
uint32_t names_n(const struct names *n);
uint32_t names_n_of(const struct names *n, const struct names_device *device);

/* What has happened since create. */
struct names_counts names_read(const struct names *n);

#endif
