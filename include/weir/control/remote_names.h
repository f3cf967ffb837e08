/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What remotes are called: the names under which devices have asked for them, for listings and records.
 *
 * Shapes:   (device, remote address) → the name that this device asked the DNS for, or named in its hello, last before the flow began:
 *           of two names at one address each flow has the one that led to it. A name holds for flows that begin within its
 *           TTL and the grace of classify/names.h; such a flow has it as long as it lives. For people to read: nothing is decided by it.
 *           Names come by doors_names_take (path/doors.h), which vouches for their form.
 * Units:    microseconds of the path clock.
 * Errors:   a name that finds no memory is not kept.
 * Threads:  one owner, control.
 * Memory:   `capacity` names at most, 108 bytes and the name each, touched as they come. One device holds an eighth of them at most; where
 *           a new one finds no room, the one that was heard or asked for longest ago goes, of the device that has its share, else of all.
 */
#ifndef WEIR_CONTROL_REMOTE_NAMES_H
#define WEIR_CONTROL_REMOTE_NAMES_H

#include <weir/account/record.h>
#include <weir/classify/names.h>
#include <weir/path/doors.h>

struct remote_names;

/* For ids of devices below `n_devices`. `seed`: of the hash alone. Returns 0, -EINVAL or -ENOMEM. */
int remote_names_create(
	uint32_t capacity, uint16_t n_devices, uint64_t seed, struct remote_names **ret_names);

/* NULL is fine. */
void remote_names_destroy(struct remote_names *r);

/* How long later names hold for new flows. */
void remote_names_set_times(struct remote_names *r, const struct names_times *times);

/* Takes in a name of kind PATH_NAME_REMOTE. */
void remote_names_hear(struct remote_names *r, const struct path_name *name);

/* What the remote of a flow is called, or NULL. Valid until the next remote_names_hear. `r` may be NULL. */
const char *remote_names_find(struct remote_names *r, const struct flow_record *flow);

/* Forgets all. */
void remote_names_clear(struct remote_names *r);

/* How many there are. */
uint32_t remote_names_n(const struct remote_names *r);

#endif
