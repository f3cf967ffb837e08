/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who speaks with whom in the conformance suites: hosts, servers and strangers around a path_world.
 *
 * Shapes:   a spec says what is special about a packet; reply_to() turns it round as the other end would.
 * Errors:   whatever is sent with a wrong checksum fails the test, unless the test asked for the raw frame.
 */
#ifndef WEIR_TESTS_DIALOGUE_H
#define WEIR_TESTS_DIALOGUE_H

#include "path_world.h"

#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>

#include <stdlib.h>

#define HOST_A_BE   PACKET_SRC_BE
#define HOST_B_BE   V4(192, 168, 50, 11)
#define HOST_C_BE   V4(192, 168, 50, 12)
#define SERVER_BE   PACKET_DST_BE
#define SERVER_B_BE V4(198, 51, 100, 8)
#define ROUTER_BE   V4(198, 51, 100, 254) /* somewhere between the uplink and the servers */
#define STRANGER_BE V4(192, 0, 2, 66)

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What follows shows what weir does not do yet (docs/nat.md): it runs only with WEIR_TEST_GAPS set. */
#define KNOWN_GAP(what)                                                                            \
	do {                                                                                       \
		if (getenv("WEIR_TEST_GAPS") == NULL)                                              \
			cr_skip_test("known gap: %s", what);                                       \
	} while (0)

/* A world with this filter. */
struct path_world *world_with_filter(enum nat_filtering filtering);

/* Publishes a change of the filter. */
void set_filter(struct path_world *w, enum nat_filtering filtering);

/* Puts a packet in and steps. True when `out` sent one for it, which goes into `ret` where that is not NULL; what else was
 * sent there is thrown away. */
bool passes(struct path_world *w, enum world_port in, const struct packet_spec *spec,
	enum world_port out, struct packet *ret);

/* The same with a frame, which is taken over, and without a look at checksums. */
bool frame_passes(struct path_world *w, enum world_port in, struct packet frame,
	enum world_port out, struct packet *ret);

/* A packet from a LAN host to the uplink, which must pass; the external port (identifier) that it got. */
uint16_t say(struct path_world *w, const struct packet_spec *spec);

/* The answer of the other end to what was said from `external_port`. */
struct packet_spec reply_to(const struct packet_spec *said, uint16_t external_port);

/* True when the other end's answer reaches the host that said it, under its own address and port. */
bool is_answered(struct path_world *w, const struct packet_spec *said, uint16_t external_port);

/* True when `p` has these ends. */
void expect_ends(const struct packet *p, uint32_t src_be, uint16_t src_port, uint32_t dst_be,
	uint16_t dst_port);

/* The packet that an ICMP error quotes, as a packet of its own. packet_clean() it. */
struct packet quote_of(const struct packet *error);

/* Frames that wait to be taken, on any port, are none. */
void expect_silence(struct path_world *w);

/* Flows now. */
uint32_t n_flows(const struct path_world *w);

/*
 * Plays a dialogue of TCP segments: ">S" is a SYN of the host, "<SA" the SYN-ACK of the server; letters S A F R P E C, tokens
 * apart by blanks, as in ">S <SA >A". Each must reach the other side. `said` has the host's ends.
 */
void play(struct path_world *w, const struct packet_spec *said, const char *script);

/* What a configuration of one LAN and one uplink says by default. path_config_destroy() it. */
struct path_config *default_path_config(void);

/* Lets `span_us` pass in steps that the timer wheel takes well. */
void wait_for(struct path_world *w, uint64_t span_us);

#endif
