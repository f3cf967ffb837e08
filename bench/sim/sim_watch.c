/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_watch.h"

#include "../../src/path/link_watch.h"
#include "sim_tcp.h"

#include <weir/packet/bytes.h>
#include <weir/packet/parse.h>
#include <weir/packet/tcp_options.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UPLINK_PORT 0
#define LEAST_BPS   16000 /* rate.least where nothing is configured */
#define REMOTE_PORT 7001
#define FLOWS       256 /* a packet's `flow` has eight bits */
#define IP_OCTETS   20

/* Where things are in a TCP header (RFC 9293). */
enum tcp_layout {
	TCP_SEQ = 4,
	TCP_ACKED = 8,
	TCP_DATA_OFFSET = 12,
	TCP_HEADER_MAX = 60
};

struct frame {
	struct rte_mbuf mbuf;
	struct pkt_meta meta;  /* in the mbuf's private area, which begins at its end */
	uint8_t ip[IP_OCTETS]; /* nobody looks at it */
	uint8_t tcp[TCP_HEADER_MAX];
};
static_assert(offsetof(struct frame, meta) == sizeof(struct rte_mbuf), "the private area");

struct sim_watch {
	struct stage_ctx ctx;
	struct path_config config;
	struct flow_table table;
	struct flow flows[FLOWS];
	struct port port;
	struct port *ports[1];
	struct frame frame;
};

int sim_watch_create(struct shaper *const shapers[N_DIRECTIONS], struct sim_watch **ret_watch)
{
	struct sim_watch *w = NULL;
	size_t octets = RTE_ALIGN_CEIL(sizeof(*w), RTE_CACHE_LINE_SIZE);

	w = aligned_alloc(RTE_CACHE_LINE_SIZE, octets);
	if (w == NULL)
		return -ENOMEM;
	memset(w, 0, octets);
	w->ctx.links[UPLINK_PORT] = link_watch_create();
	if (w->ctx.links[UPLINK_PORT] == NULL) {
		free(w);
		return -ENOMEM;
	}
	w->port.state = PORT_UP;
	w->ports[UPLINK_PORT] = &w->port;
	for (int i = 0; i < FLOWS; i++)
		w->flows[i] = (struct flow){.proto = PROTO_TCP, .remote_port = REMOTE_PORT};
	w->table.flows = w->flows;
	w->config.n_ports = 1;
	w->config.ports[UPLINK_PORT] = (struct path_port){
		.role = PORT_UPLINK, .follows_link = true, .least_bps = LEAST_BPS};
	w->ctx.config = &w->config;
	w->ctx.flows = &w->table;
	w->ctx.ports = w->ports;
	w->ctx.is_uplink[UPLINK_PORT] = true;
	for (int d = 0; d < N_DIRECTIONS; d++)
		w->ctx.shapers[UPLINK_PORT][d] = shapers[d];
	link_watch_adopt(&w->ctx, UPLINK_PORT, &w->config);
	*ret_watch = w;
	return 0;
}

void sim_watch_destroy(struct sim_watch *w)
{
	if (w == NULL)
		return;
	link_watch_destroy(w->ctx.links[UPLINK_PORT]);
	free(w);
}

static uint32_t put_times(uint8_t *at, const struct sim_packet *p)
{
	at[0] = TCP_OPTION_NOP;
	at[1] = TCP_OPTION_NOP;
	at[2] = TCP_OPTION_TIMESTAMPS;
	at[3] = TCP_OPTION_TIMESTAMPS_BYTES;
	store_be32(at + 4, p->tsval);
	store_be32(at + 8, p->tsecr);
	return 12;
}

static uint32_t put_sacks(uint8_t *at, const struct sim_packet *p, uint32_t segment_octets)
{
	at[0] = TCP_OPTION_NOP;
	at[1] = TCP_OPTION_NOP;
	at[2] = TCP_OPTION_SACK;
	at[3] = (uint8_t)(2 + 8 * p->n_sacks);
	for (uint32_t i = 0; i < p->n_sacks; i++) {
		store_be32(at + 4 + 8 * (size_t)i, p->sacks[i].first * segment_octets);
		store_be32(at + 8 + 8 * (size_t)i, p->sacks[i].end * segment_octets);
	}
	return 4 + 8 * (uint32_t)p->n_sacks;
}

/* The frame that the packet would be, as far as the watch looks at it. */
static struct rte_mbuf *frame_of(
	struct sim_watch *w, const struct sim_packet *p, bool has_timestamps)
{
	struct frame *f = &w->frame;
	uint32_t header = TCP_HEADER_BYTES;
	uint32_t segment_octets =
		SIM_FULL_OCTETS - SIM_HEADER_OCTETS + (has_timestamps ? 0 : SIM_TIMES_OCTETS);

	memset(f, 0, sizeof(*f));
	f->mbuf.buf_addr = f->ip;
	if (has_timestamps)
		header += put_times(f->tcp + header, p);
	if (p->n_sacks > 0)
		header += put_sacks(f->tcp + header, p, segment_octets);
	store_be32(f->tcp + TCP_SEQ, p->seq * segment_octets);
	store_be32(f->tcp + TCP_ACKED, p->ack * segment_octets);
	f->tcp[TCP_DATA_OFFSET] = (uint8_t)(header / 4 << 4);
	f->meta = (struct pkt_meta){.flow_id = p->flow,
		.ip_octets = p->octets,
		.l4_off = IP_OCTETS,
		.proto = PROTO_TCP,
		.tcp_flags = TCP_ACK};
	return &f->mbuf;
}

void sim_watch_up(
	struct sim_watch *w, const struct sim_packet *p, bool has_timestamps, uint64_t now_us)
{
	struct rte_mbuf *pkt = frame_of(w, p, has_timestamps);

	w->ctx.now_us = now_us;
	link_watch_up(&w->ctx, w->ctx.links[UPLINK_PORT], pkt, stage_meta(pkt));
}

void sim_watch_down(
	struct sim_watch *w, const struct sim_packet *p, bool has_timestamps, uint64_t now_us)
{
	struct rte_mbuf *pkt = frame_of(w, p, has_timestamps);

	w->ctx.now_us = now_us;
	link_watch_down(&w->ctx, w->ctx.links[UPLINK_PORT], pkt, stage_meta(pkt));
}

void sim_watch_run(struct sim_watch *w, const uint64_t octets[N_DIRECTIONS], uint64_t now_us)
{
	w->ctx.now_us = now_us;
	for (int d = 0; d < N_DIRECTIONS; d++)
		w->ctx.edge[UPLINK_PORT][d].octets = octets[d];
	link_watch_run(&w->ctx);
}

void sim_watch_read(const struct sim_watch *w, struct link_stats *ret_stats)
{
	link_watch_read(w->ctx.links[UPLINK_PORT], ret_stats);
}
