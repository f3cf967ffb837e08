/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LAN devices: an address on a LAN port, the MAC behind it, and what it uses.
 *
 * Shapes:   ids 0 … capacity-1; id 0 is given to the first device. A device is (port, address).
 * Units:    octets are IP header and payload.
 * Errors:   device_take returns DEVICE_NONE when all are taken by devices with flows (no more than 128 are
 *           looked at in one call; the next goes on with others).
 * Threads:  one worker writes; control reads counters through the doors.
 * Memory:   fixed at create. When full, the device that has no flow and was seen longest ago yields.
 */
#ifndef WEIR_FLOW_DEVICE_H
#define WEIR_FLOW_DEVICE_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/flow/key.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* What the path has found out for the MAC and the address: nothing of it for a new device, nor once the MAC is another. */
enum device_known {
	DEVICE_KNOWN_GROUPS = 1,
	DEVICE_KNOWN_STATION = 2,
};

struct device {
	/* what each packet writes, in one line */
	uint64_t octets[N_DIRECTIONS];
	uint64_t packets[N_DIRECTIONS];
	uint64_t last_us;
	uint32_t station; /* path: what it is known by, flow/station.h */
	uint32_t n_flows;
	uint32_t generation; /* grows when the id is given to another device */
	uint32_t n_inbound;  /* of n_flows: begun outside */
	uint64_t first_us;
	struct ip_addr addr;
	struct mac_addr mac; /* as last seen as a source; zero for the gateway itself */
	uint8_t port;
	uint8_t in_use;
	uint16_t hash_next;
	uint8_t known; /* path: enum device_known */
	uint8_t spare;
	uint64_t next_new_us; /* path: when its next flow is within its rate */
	uint64_t ceiling_bps; /* of its traffic that no reserve pays for, each direction; 0: none */
	uint32_t dns_asked_s; /* path: when it sent something to a port 53, in seconds; 0: never */
	uint32_t dns_answered_s; /* path: when something came back */
	uint64_t groups;         /* path: with DEVICE_KNOWN_GROUPS, policy/groups.h */
};
/* The table begins a page, so that what packets write stays in a line. */
static_assert(sizeof(struct device) == 128, "two cache lines");

struct device_table {
	struct device *devices;
	uint16_t capacity;
	uint16_t n_devices;
	uint16_t n_high; /* ids ever used: loops go up to here */
	struct device_table_private *private;
};

/* 1 to 65534 devices. Returns 0, -EINVAL or -ENOMEM. */
int device_table_create(
	uint16_t capacity, const struct flow_hash_key *key, struct device_table **ret_table);
void device_table_destroy(struct device_table *t);

/* Finds a device; DEVICE_NONE when it is not known. */
uint16_t device_find(const struct device_table *t, uint8_t port, const struct ip_addr *addr);

/* Finds or enters a device; DEVICE_NONE when full. */
uint16_t device_take(struct device_table *t, uint8_t port, const struct ip_addr *addr,
	const struct mac_addr *mac, uint64_t now_us);

/* A device that is known has sent something. */
void device_see(struct device_table *t, uint16_t id, const struct mac_addr *mac, uint64_t now_us);

#endif
