/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a bearer is like: rate or trace, delay, loss, buffer, radio states, outages.
 *
 * Source:   bench/profiles/README.md lists every key with its meaning.
 * Shapes:   a profile file holds `key: value` lines; each key is an option of cellink too, and keys
 *           of one direction take the prefix `uplink-` or `downlink-`, or none for both.
 * Units:    in files as in base/units.h; in the structs nanoseconds, octets, bits a second, ppm.
 * Errors:   -EINVAL with a sentence in `why` (WHY_MAX bytes), or the errno of the file.
 * Threads:  pure but for the files it reads.
 * Memory:   the struct alone.
 */
#ifndef CELLINK_PROFILE_H
#define CELLINK_PROFILE_H

#include "cellink_capacity.h"
#include "cellink_fading.h"
#include "cellink_link.h"
#include "cellink_radio.h"

#include <limits.h>

struct profile_direction {
	uint64_t rate_bps; /* fixed, or the median where the bearer fades */
	uint64_t floor_bps;
	uint64_t ceiling_bps;
	char trace[PATH_MAX]; /* goes before the rate; empty = none */
	uint64_t delay_ns;
	uint64_t jitter_ns;
	uint32_t loss_ppm;
	uint64_t buffer_octets;
	uint64_t buffer_ns;
};

struct profile {
	uint64_t mtu;
	struct profile_direction direction[N_DIRECTIONS];
	struct radio_timers radio;
	struct fading fading; /* the rates are taken from each direction */
	struct outages outages;
	bool loop;
};

/* A bearer of no particular kind: MTU 1500, buffer 1 MB, no delay, no loss, and no rate yet. */
void profile_init(struct profile *p);

/* Sets one key. Traces are looked for in `folder` unless they start with a slash. */
int profile_set(
	struct profile *p, const char *key, const char *value, const char *folder, char *why);

/* Reads a file: its path, or the name of a file `NAME.profile` in `folder`. */
int profile_load(struct profile *p, const char *name, const char *folder, char *why);

/* Is it complete, and does it make sense? */
int profile_check(const struct profile *p, char *why);

/* Makes the capacity of one direction. */
int profile_capacity(const struct profile *p, enum direction direction, uint64_t seed, char *why,
	struct capacity **ret_capacity);

/* What link_init wants to know. */
struct link_config profile_link(const struct profile *p, enum direction direction);

#endif
