/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define VLAN_TAG_BYTES 4
#define IPV4_BYTES     20
#define IPV6_BYTES     40
#define TCP_BYTES_MIN  20

#define V4_LENGTH     2
#define V4_ID         4
#define V4_FRAGMENT   6
#define V4_PROTO      9
#define V4_SUM        10
#define V4_ADDRESSES  12
#define V6_LENGTH     4
#define V6_NEXT       6
#define V6_ADDRESSES  8
#define FRAGMENT_BITS 0x3fff /* more fragments, and the offset */

#define TCP_SEQ    4
#define TCP_ACK_NO 8
#define TCP_OFFSET 12
#define TCP_FLAGS  13
#define TCP_WINDOW 14
#define TCP_SUM    16
#define TCP_URGENT 18
#define TCP_ECE    0x40

#define SUM_MINUS_ZERO 0xffff /* right, but cutting would write zero */

/* What a frame is to the runs that are open. */
enum kind {
	KIND_OTHER,   /* not TCP: overtaken and overtaking as it happens */
	KIND_UNCLEAR, /* TCP of a flow that cannot be told: nothing may pass it */
	KIND_ALONE,   /* ends the run of its flow */
	KIND_DATA,    /* may be of a run */
};

/* Offset of the IP header. False when there is none. */
static bool find_l3(const struct gather_frame *f, enum link_framing framing, struct gather_head *h)
{
	uint16_t type;

	if (framing == FRAMING_RAW_IP) {
		h->l3_off = 0;
		h->is_v6 = f->len_bytes > 0 && f->bytes[0] >> 4 == 6;
		return true;
	}
	if (f->len_bytes < ETHER_HDR_LEN + VLAN_TAG_BYTES)
		return false;
	h->l3_off = ETHER_HDR_LEN;
	type = load_be16(f->bytes + ETHER_HDR_LEN - sizeof(type));
	if (type == ETHERTYPE_VLAN) {
		h->l3_off += VLAN_TAG_BYTES;
		type = load_be16(f->bytes + h->l3_off - sizeof(type));
	}
	h->is_v6 = type == ETHERTYPE_IPV6;
	return type == ETHERTYPE_IP || type == ETHERTYPE_IPV6;
}

/* Offset of the TCP header, behind an IP header without extras whose length is the frame's. */
static enum kind find_l4(const struct gather_frame *f, struct gather_head *h)
{
	const uint8_t *ip = f->bytes + h->l3_off;
	uint32_t ip_bytes = f->len_bytes - h->l3_off;

	if (h->l3_off + (uint32_t)(h->is_v6 ? IPV6_BYTES : IPV4_BYTES) > f->len_bytes)
		return KIND_OTHER;
	h->l4_off = (uint16_t)(h->l3_off + (h->is_v6 ? IPV6_BYTES : IPV4_BYTES));
	if (h->is_v6) {
		/* Behind an extension header there may be TCP. */
		if (ip[V6_NEXT] == PROTO_UDP || ip[V6_NEXT] == IPPROTO_ICMPV6)
			return KIND_OTHER;
		return ip[V6_NEXT] == PROTO_TCP
				       && load_be16(ip + V6_LENGTH) + (uint32_t)IPV6_BYTES
						  == ip_bytes
			       ? KIND_DATA
			       : KIND_UNCLEAR;
	}
	if (ip[V4_PROTO] != PROTO_TCP)
		return KIND_OTHER;
	h->identification = load_be16(ip + V4_ID);
	return ip[0] == 0x45 && (load_be16(ip + V4_FRAGMENT) & FRAGMENT_BITS) == 0
			       && load_be16(ip + V4_LENGTH) == ip_bytes
		       ? KIND_DATA
		       : KIND_UNCLEAR;
}

static enum kind read_tcp(const struct gather_frame *f, struct gather_head *h)
{
	const uint8_t *tcp = f->bytes + h->l4_off;
	uint32_t header_bytes;

	if (h->l4_off + TCP_BYTES_MIN > f->len_bytes)
		return KIND_UNCLEAR;
	header_bytes = (uint32_t)(tcp[TCP_OFFSET] >> 4) * 4;
	h->seq = load_be32(tcp + TCP_SEQ);
	h->flags = tcp[TCP_FLAGS];
	if (header_bytes < TCP_BYTES_MIN || h->l4_off + header_bytes >= f->len_bytes)
		return KIND_ALONE;
	h->payload_off = (uint16_t)(h->l4_off + header_bytes);
	h->payload_bytes = (uint16_t)(f->len_bytes - h->payload_off);
	if ((tcp[TCP_OFFSET] & 0x0f) != 0 || (h->flags & ~(TCP_PSH | TCP_ECE)) != TCP_ACK
		|| load16(tcp + TCP_SUM) == SUM_MINUS_ZERO)
		return KIND_ALONE;
	return KIND_DATA;
}

static enum kind read_frame(
	const struct gather_frame *f, const struct gather_limits *limits, struct gather_head *h)
{
	enum kind kind;

	if (!find_l3(f, limits->framing, h))
		return KIND_OTHER;
	kind = find_l4(f, h);
	if (kind == KIND_DATA)
		kind = read_tcp(f, h);
	if (kind == KIND_DATA && (f->len_bytes > limits->frame_bytes || !limits->takes[h->is_v6]))
		return KIND_ALONE;
	return kind;
}

static bool is_same_flow(const uint8_t *a, const struct gather_head *ha, const uint8_t *b,
	const struct gather_head *hb)
{
	if (ha->is_v6 != hb->is_v6 || load32(a + ha->l4_off) != load32(b + hb->l4_off))
		return false;
	return ha->is_v6 ? memcmp(a + ha->l3_off + V6_ADDRESSES, b + hb->l3_off + V6_ADDRESSES, 32)
				   == 0
			 : memcmp(a + ha->l3_off + V4_ADDRESSES, b + hb->l3_off + V4_ADDRESSES, 8)
				   == 0;
}

/* All that cutting takes over from the first frame, addresses and ports apart. */
static bool has_same_headers(const uint8_t *a, const struct gather_head *ha, const uint8_t *b,
	const struct gather_head *hb)
{
	const uint8_t *ta = a + ha->l4_off, *tb = b + hb->l4_off;

	if (ha->l3_off != hb->l3_off || ha->payload_off != hb->payload_off
		|| memcmp(a, b, ha->l3_off) != 0)
		return false;
	a += ha->l3_off;
	b += hb->l3_off;
	if (ha->is_v6) {
		if (load32(a) != load32(b) || load16(a + V6_NEXT) != load16(b + V6_NEXT))
			return false;
	} else if (load16(a) != load16(b) || load32(a + V4_FRAGMENT) != load32(b + V4_FRAGMENT)) {
		return false; /* service and ECN; DF, time to live */
	}
	return load32(ta + TCP_ACK_NO) == load32(tb + TCP_ACK_NO)
	       && load16(ta + TCP_WINDOW) == load16(tb + TCP_WINDOW)
	       && load16(ta + TCP_URGENT) == load16(tb + TCP_URGENT)
	       && memcmp(ta + TCP_BYTES_MIN, tb + TCP_BYTES_MIN,
			  (size_t)(ha->payload_off - ha->l4_off) - TCP_BYTES_MIN)
			  == 0;
}

/* Sum of the pseudo-header. */
static uint64_t pseudo_sum(const uint8_t *ip, bool is_v6, uint32_t l4_bytes)
{
	uint64_t sum = (uint64_t)htons(PROTO_TCP) + htons((uint16_t)l4_bytes);

	return sum
	       + (is_v6 ? checksum_sum(ip + V6_ADDRESSES, 32) : checksum_sum(ip + V4_ADDRESSES, 8));
}

static bool has_good_sums(const struct gather_frame *f, const struct gather_head *h)
{
	const uint8_t *ip = f->bytes + h->l3_off;
	uint32_t l4_bytes = (uint32_t)(f->len_bytes - h->l4_off);

	if (!h->is_v6
		&& (load16(ip + V4_SUM) == SUM_MINUS_ZERO || checksum_of(ip, IPV4_BYTES) != 0))
		return false;
	return f->is_sum_good
	       || checksum_fold(pseudo_sum(ip, h->is_v6, l4_bytes)
				+ checksum_sum(f->bytes + h->l4_off, l4_bytes))
			  == 0xffff;
}

/* True when a frame goes on where an open run of its flow stands. */
static bool continues(const struct gather_limits *limits, struct gather_run *run,
	const struct gather_frame *frames, uint16_t i, const struct gather_head *h)
{
	const struct gather_head *first = &run->head;
	const struct gather_frame *f = &frames[run->first];

	if (run->n_frames >= limits->run_frames
		|| run->len_bytes + h->payload_bytes > limits->run_bytes
		|| h->payload_bytes > first->payload_bytes
		|| h->seq != first->seq + (uint32_t)run->n_frames * first->payload_bytes
		|| ((h->flags ^ first->flags) & ~TCP_PSH) != 0)
		return false;
	if (!h->is_v6 && h->identification != (uint16_t)(first->identification + run->n_frames))
		return false;
	if (!has_same_headers(f->bytes, first, frames[i].bytes, h))
		return false;
	if (!run->is_proven)
		run->is_proven = has_good_sums(f, first);
	return run->is_proven && has_good_sums(&frames[i], h);
}

static struct gather_run *begin_run(struct gather *g, uint16_t i)
{
	struct gather_run *run = &g->runs[g->n_runs++];

	run->n_frames = 1;
	run->first = run->last = (uint8_t)i;
	run->is_open = false;
	return run;
}

/* Lets a run grow, in the place of one that has ended or else of one that might have. */
static void open_run(struct gather *g, struct gather_run *run)
{
	uint8_t place = g->n_open;

	for (uint8_t k = 0; k < g->n_open && place == g->n_open; k++)
		if (!g->runs[g->open[k]].is_open)
			place = k;
	if (place == GATHER_OPEN_MAX) {
		place = g->next_open;
		g->next_open = (uint8_t)((place + 1) % GATHER_OPEN_MAX);
		g->runs[g->open[place]].is_open = false;
	}
	if (place == g->n_open)
		g->n_open++;
	g->open[place] = (uint8_t)(run - g->runs);
	run->is_open = true;
}

static void close_all(struct gather *g)
{
	for (uint8_t k = 0; k < g->n_open; k++)
		g->runs[g->open[k]].is_open = false;
	g->n_open = 0;
}

static struct gather_run *find_open(struct gather *g, const struct gather_frame *frames, uint16_t i,
	const struct gather_head *h)
{
	for (uint8_t k = 0; k < g->n_open; k++) {
		struct gather_run *run = &g->runs[g->open[k]];

		if (run->is_open
			&& is_same_flow(frames[run->first].bytes, &run->head, frames[i].bytes, h))
			return run;
	}
	return NULL;
}

static void append(
	struct gather *g, struct gather_run *run, uint16_t i, const struct gather_head *h)
{
	g->next[run->last] = (uint8_t)i;
	run->last = (uint8_t)i;
	run->last_flags = h->flags;
	run->n_frames++;
	run->len_bytes += h->payload_bytes;
	run->is_open = (h->flags & TCP_PSH) == 0 && h->payload_bytes == run->head.payload_bytes;
}

static void sort_tcp(struct gather *g, const struct gather_limits *limits,
	const struct gather_frame *frames, uint16_t i, const struct gather_head *h)
{
	struct gather_run *run = find_open(g, frames, i, h);

	if (run != NULL && continues(limits, run, frames, i, h)) {
		append(g, run, i, h);
		return;
	}
	if (run != NULL)
		run->is_open = false;
	run = begin_run(g, i);
	run->head = *h;
	run->len_bytes = frames[i].len_bytes;
	run->last_flags = h->flags;
	run->is_proven = false;
	if ((h->flags & TCP_PSH) == 0)
		open_run(g, run);
}

void gather_burst(struct gather *g, const struct gather_limits *limits,
	const struct gather_frame *frames, uint16_t n)
{
	g->n_runs = 0;
	g->n_open = 0;
	g->next_open = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct gather_head h = {0};
		enum kind kind = read_frame(&frames[i], limits, &h);
		struct gather_run *run;

		if (kind == KIND_DATA) {
			sort_tcp(g, limits, frames, i, &h);
			continue;
		}
		if (kind == KIND_UNCLEAR)
			close_all(g);
		run = kind == KIND_ALONE ? find_open(g, frames, i, &h) : NULL;
		if (run != NULL)
			run->is_open = false;
		(void)begin_run(g, i);
	}
}

uint16_t gather_write_head(const struct gather_run *run, const struct gather_frame *frames,
	uint8_t to[GATHER_HEAD_MAX], struct virtio_net_hdr *ret_offload)
{
	const struct gather_head *h = &run->head;
	uint8_t *ip = to + h->l3_off, *tcp = to + h->l4_off;
	uint32_t l4_bytes = run->len_bytes - h->l4_off;

	memcpy(to, frames[run->first].bytes, h->payload_off);
	if (h->is_v6) {
		store_be16(ip + V6_LENGTH, (uint16_t)l4_bytes);
	} else {
		store_be16(ip + V4_LENGTH, (uint16_t)(run->len_bytes - h->l3_off));
		store16(ip + V4_SUM, 0);
		store16(ip + V4_SUM, checksum_of(ip, IPV4_BYTES));
	}
	tcp[TCP_FLAGS] = run->last_flags;
	/* Of the pseudo-header alone: who cuts, or receives the whole, goes on from there. */
	store16(tcp + TCP_SUM, checksum_fold(pseudo_sum(ip, h->is_v6, l4_bytes)));
	*ret_offload = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = h->is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = h->payload_off,
		.gso_size = h->payload_bytes,
		.csum_start = h->l4_off,
		.csum_offset = TCP_SUM,
	};
	return h->payload_off;
}
