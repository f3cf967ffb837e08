/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stations of the LANs: a device by what it cannot change as easily as its address. Devices (port and address) that have one
 * MAC are one station.
 *
 * Shapes:   ids; STATION_NONE is nobody's. Those behind it, STATIONS_SHARED of them, stand for several devices at once, and
 *           never yield. A key is a MAC, or what no sender's MAC can be (its group bit is set) where none is known and for
 *           those that several share. A device holds one station.
 * Errors:   station_take returns STATION_NONE when all places are taken; no more than 128 are looked at in one call.
 * Threads:  one worker writes; control reads through the doors.
 * Memory:   fixed at create: two places a device, so that those which hold one leave as many for what is remembered of others.
 */
#ifndef WEIR_FLOW_STATION_H
#define WEIR_FLOW_STATION_H

#include <weir/flow/device.h>

#include <stdbool.h>
#include <stdint.h>

#define STATION_NONE    0
#define STATIONS_SHARED 32
#define STATION_FIRST   (1 + STATIONS_SHARED) /* of those that one device has */

struct station {
	struct mac_addr key;
	uint8_t in_use;
	uint8_t quota;      /* path: which it is under, or QUOTA_NONE */
	uint32_t n_devices; /* that hold it */
	uint32_t hash_next;
	uint32_t
		payer; /* path: on whose share its octets are counted: its own, or that of several */
	uint32_t n_active; /* path: devices with flows that this one pays for */
	uint8_t spare[8];
};
static_assert(sizeof(struct station) == 32, "two in a cache line");

struct station_table {
	struct station *stations;
	uint32_t capacity; /* with STATION_NONE */
	uint32_t n_high;   /* ids ever used: loops go up to here */
	struct station_table_private *private;
};

/* Asked of a station that no device holds: may it be forgotten? */
typedef bool station_may_yield(const void *context, uint32_t id);

/* For so many devices. Returns 0, -EINVAL or -ENOMEM. */
int station_table_create(
	uint16_t n_devices, const struct flow_hash_key *key, struct station_table **ret_table);
void station_table_destroy(struct station_table *t);

/* What a device is known by: its MAC, else its port and address. */
struct mac_addr station_key(const struct device *d);

/* The key of what the devices under a name share. */
struct mac_addr station_key_of_name(const char *name);

/* Finds a station; STATION_NONE when it is not known. */
uint32_t station_find(const struct station_table *t, const struct mac_addr *key);

/* Finds or enters one; STATION_NONE when full. `ret_is_new`: it was entered. */
uint32_t station_take(struct station_table *t, const struct mac_addr *key,
	station_may_yield *may_yield, const void *context, bool *ret_is_new);

/* The shared station of `key`, found or made in a place that is not among the bits of `kept`, of which there must be one.
 * `ret_is_new`: it was made. */
uint32_t station_share(
	struct station_table *t, const struct mac_addr *key, uint32_t kept, bool *ret_is_new);

/* A device holds a station from now on, instead of the one before. */
void station_hold(struct station_table *t, uint16_t device_id, uint32_t id);

/* The station that a device holds. */
uint32_t station_held(const struct station_table *t, uint16_t device_id);

#endif
