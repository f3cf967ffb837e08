/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sending half of a TCP connection that always has more to send.
 *
 * Source:   RFC 2018 (SACK), RFC 8985 (RACK: what was sent before something that came is lost), RFC 6937 (PRR), RFC 6298 with
 *           Linux's 200 ms, RFC 5682 and RFC 4015 (a time-out that proves spurious is undone). CUBIC is sim_cubic.c, BBR
 *           sim_bbr.c.
 * Shapes:   sequence numbers count segments. Nothing overtakes within a flow.
 * Units:    microseconds; windows in segments.
 */
#ifndef SIM_TCP_H
#define SIM_TCP_H

#include "sim_bbr.h"
#include "sim_cubic.h"
#include "sim_queue.h"

#define SIM_FULL_OCTETS   1500 /* IP octets of a full packet */
#define SIM_HEADER_OCTETS 52   /* IP and TCP with time stamps */
#define SIM_TIMES_OCTETS  12   /* of that */
#define SIM_WINDOW        4096 /* segments that are kept account of: more than a sender has in flight */
#define SIM_WINDOW_MAX    2800 /* Linux's tcp_wmem: 4 MB */

enum sim_tcp_state {
	SIM_TCP_OPEN,
	SIM_TCP_RECOVERY,
	SIM_TCP_LOSS /* after a time-out */
};

enum sim_segment_flag {
	SIM_SACKED = 1 << 0,
	SIM_LOST = 1 << 1,
	SIM_AGAIN = 1 << 2,     /* sent again, and not known to be lost again */
	SIM_WAS_AGAIN = 1 << 3, /* sent more than once: tells no round trip (Karn) */
};

struct sim_segment {
	uint64_t sent_us;
	uint64_t delivered, delivered_us; /* of the connection when it was sent */
	uint32_t order;                   /* of all transmissions */
	uint8_t flags;
};

struct sim_tcp {
	bool is_bbr, has_timestamps;
	uint8_t flow;
	uint32_t una, next;
	uint32_t n_sacked, n_lost, n_again;
	uint32_t n_to_send_again,
		again_from; /* lost and not sent again yet; none before this one */
	uint32_t cwnd, ssthresh;
	enum sim_tcp_state state;
	uint32_t high;                       /* recovery ends when all before it has come */
	uint32_t prior_cwnd, prior_ssthresh; /* before the loss */
	uint32_t prr_delivered, prr_sent;
	uint64_t again_us;            /* first retransmission after a time-out; 0: none */
	uint32_t order, newest_order; /* last sent; newest that has come */
	uint64_t newest_rtt_us;
	uint64_t srtt_us, rttvar_us, min_rtt_us, rto_us;
	uint64_t progress_us, timed_out_us;
	uint32_t n_backoffs;
	uint64_t delivered, delivered_us;
	uint32_t tsrecent;  /* of the other end */
	uint32_t ts_offset; /* of this end's clock */
	struct sim_cubic cubic;
	struct sim_bbr bbr;
	struct sim_segment segments[SIM_WINDOW];
};

void sim_tcp_init(struct sim_tcp *t, uint8_t flow, bool is_bbr, uint32_t ts_offset);

uint32_t sim_tcp_in_flight(const struct sim_tcp *t);

/* What it puts on its wire now, into `out`. */
void sim_tcp_send(struct sim_tcp *t, uint64_t now_us, struct sim_queue *out);

/* Takes an ACK in. */
void sim_tcp_ack(struct sim_tcp *t, const struct sim_packet *ack, uint64_t now_us);

#endif
