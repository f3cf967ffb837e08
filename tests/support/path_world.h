/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small gateway for tests: a path over memory ports, stepped by hand.
 *
 *     struct path_world *w = path_world_create(NULL);
 *     path_world_put(w, WORLD_LAN, &(struct packet_spec){ .dst_port = 53 });
 *     path_world_step(w);
 *     cr_assert(path_world_take(w, WORLD_UPLINK, &p));
 *     path_world_destroy(w);
 *
 * Shapes:   all four ports are there always; WORLD_TAP is the tap of WORLD_LAN. On the virtual clock (the default)
 *           no next hop is asked for.
 * Errors:   what must hold for any input fails the test: conservation after each step, and after the last one no flow, no
 *           mapping, no packet left, and records that add up to what crossed the uplink.
 * Threads:  one, and those of senders where some are asked for.
 */
#ifndef WEIR_TESTS_PATH_WORLD_H
#define WEIR_TESTS_PATH_WORLD_H

#include "packet_builder.h"

#include <weir/path/doors.h>

#include <criterion/criterion.h>
#include <pthread.h>

enum world_port {
	WORLD_LAN,
	WORLD_UPLINK,
	WORLD_TAP,
	WORLD_LAN2,
	WORLD_PORTS
};

#define WORLD_LAN_BE     V4(192, 168, 50, 1)
#define WORLD_LAN2_BE    V4(192, 168, 60, 1)
#define WORLD_HOST2_BE   V4(192, 168, 60, 20) /* on LAN2 */
#define WORLD_UPLINK_BE  V4(203, 0, 113, 5)
#define WORLD_GATEWAY_BE V4(203, 0, 113, 1) /* next hop of an Ethernet uplink */

#define WORLD_MS UINT64_C(1000)
#define WORLD_S  UINT64_C(1000000)

#define WORLD_RECORDS_MAX 4096

/* Changes the defaults before the path is made. */
struct path_world_params {
	bool is_uplink_ethernet;
	bool is_asking;      /* next hops are asked for by ARP */
	uint32_t n_sent_max; /* frames that the uplink takes before it refuses; 0: plenty */
	void (*tune)(struct path_setup *setup, struct path_config *config);
	uint32_t n_senders; /* whose threads run; ports have to be given lanes for them */
};

struct path_world_sender {
	struct path *path;
	uint32_t id;
	pthread_t thread;
};

struct path_world {
	struct path *path;
	struct port *ports[PORTS_MAX];
	struct rte_mempool *pool;
	struct path_setup setup;
	uint64_t now_us;
	struct packet pending[WORLD_PORTS][PORT_BURST_MAX];
	uint32_t n_pending[WORLD_PORTS];
	struct flow_record records[WORLD_RECORDS_MAX]; /* all that were taken so far */
	uint32_t n_records;
	uint64_t record_octets[N_DIRECTIONS]; /* of records that crossed the uplink */
	uint64_t record_packets[N_DIRECTIONS];
	bool is_filling_ring; /* records stay where they are */
	struct path_world_sender senders[SENDERS_MAX];
	uint32_t n_senders;
};

extern const struct mac_addr world_macs[WORLD_PORTS];

/* NULL: all defaults. */
struct path_world *path_world_create(const struct path_world_params *params);

/* A copy of the configuration in use, to be changed and published. */
struct path_config *path_world_config(const struct path_world *w);

/* Ends the flows and checks what must hold then; frees all. */
void path_world_destroy(struct path_world *w);

/* Puts a packet in on a port; it arrives with the next step. At most PORT_BURST_MAX a port and step. */
void path_world_put(struct path_world *w, enum world_port port, const struct packet_spec *spec);

/* The same with a frame; it is taken over. */
void path_world_put_frame(struct path_world *w, enum world_port port, struct packet frame);

/* One step of the path at the present time. */
void path_world_step(struct path_world *w);

/* Lets time pass, in steps of at most `step_us`. */
void path_world_pass(struct path_world *w, uint64_t span_us, uint64_t step_us);

/* The oldest frame sent on a port, ARP apart; false when there is none. packet_clean() it. */
bool path_world_take(struct path_world *w, enum world_port port, struct packet *ret_frame);

/* The same with ARP. */
bool path_world_take_any(struct path_world *w, enum world_port port, struct packet *ret_frame);

/* Throws away what was sent on a port; returns how many frames. */
uint32_t path_world_discard(struct path_world *w, enum world_port port);

/* Lets an account of plan 0 have so many octets from now on; the others and the lease have no end. */
void path_world_limit(struct path_world *w, uint8_t account, uint64_t octets);

/* How often a reason was counted. */
uint64_t path_world_drops(const struct path_world *w, enum drop_reason why);

/* All drops. */
uint64_t path_world_all_drops(const struct path_world *w);

/* Puts a packet in, steps, and takes what one port sent for it, which must be good to the last checksum. */
struct packet path_world_pass_one(struct path_world *w, enum world_port in,
	const struct packet_spec *spec, enum world_port out);

/* True when an event of this kind was raised since the last call; others are forgotten. */
bool path_world_saw(struct path_world *w, enum path_event_kind kind);

/* Source, destination and ports of an IPv4 packet; 0 without ports. Identifier of an ICMP query: both. */
uint32_t packet_src_be(const struct packet *p);
uint32_t packet_dst_be(const struct packet *p);
uint16_t packet_src_port(const struct packet *p);
uint16_t packet_dst_port(const struct packet *p);

#endif
