/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_source.h"

#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>

#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <string.h>

enum {
	FIRST_PORT = 1024,
	REMOTE_PORT = 443,
	ETHERNET_OVERHEAD = 18, /* header and check sequence */
	IPV4_HEADER = 20,
	MAC_BYTES = 6,
};

#define FIRST_REMOTE 0x0b000000u

/* Knuth, The Art of Computer Programming 2, 3.2.1: a period of 2^k for any k, as the factor is 1 modulo 4 and the increment odd. */
#define LCG_FACTOR    1664525u
#define LCG_INCREMENT 1013904223u

bool bench_flows_has(const struct bench_flows *flows, uint32_t flow)
{
	uint64_t hash = (FIRST_REMOTE + flow) * 0x9e3779b97f4a7c15ull;

	return flows->n_workers == 1 || ((hash >> 32) * flows->n_workers >> 32) == flows->worker;
}

struct bench_endpoints bench_flows_endpoints(const struct bench_flows *flows, uint32_t flow)
{
	uint32_t endpoint = flow % (BENCH_ENDPOINTS / flows->n_workers);

	return (struct bench_endpoints){
		.endpoint = endpoint,
		.internal_be = flows->hosts_be[endpoint % flows->n_hosts],
		.internal_port = (uint16_t)(FIRST_PORT + endpoint / flows->n_hosts),
		.remote_be = htonl(FIRST_REMOTE + flow),
		.remote_port = REMOTE_PORT,
	};
}

struct mac_addr bench_mac_of(uint32_t addr_be)
{
	struct mac_addr mac = {{0x02, 0, 0, 0, 0, 0}};

	memcpy(mac.bytes + 2, &addr_be, sizeof(addr_be));
	return mac;
}

/* --- frames --- */

static uint32_t sum_of(uint32_t word)
{
	return (word & 0xffff) + (word >> 16);
}

/* RFC 1071: the checksum of a sum. UDP has no checksum of zero (RFC 768). */
static uint16_t checksum_from(uint32_t sum)
{
	sum = sum_of(sum);
	sum = sum_of(sum);
	return (uint16_t)~sum;
}

static void frame_init(struct bench_frame *f, enum link_framing framing, struct frames_udp udp,
	uint16_t wire_octets)
{
	uint8_t *ip;

	udp.src = ip_addr_v4(0);
	udp.dst = ip_addr_v4(0);
	udp.src_port = 0;
	udp.dst_port = 0;
	udp.ip_octets = (uint16_t)(wire_octets - ETHERNET_OVERHEAD);
	f->len = frames_build_udp(f->bytes, framing, &udp);
	f->l3_off = (uint16_t)(f->len - udp.ip_octets);
	ip = f->bytes + f->l3_off;
	f->ip_sum = (uint16_t)~load16(ip + 10);
	f->udp_sum = (uint16_t)~load16(ip + IPV4_HEADER + 6);
}

void bench_source_init(struct bench_source *s, const struct bench_flows *flows,
	enum direction direction, enum link_framing framing, const struct frames_udp *udp,
	uint16_t frame_octets)
{
	static const uint16_t imix[BENCH_SIZES] = {64, 594, 1518};

	*s = (struct bench_source){
		.flows = flows,
		.direction = direction,
		.framing = framing,
		.frame_octets = frame_octets,
	};
	for (int i = 0; i < BENCH_SIZES; i++)
		frame_init(&s->frames[i], framing, *udp,
			frame_octets == BENCH_FRAME_IMIX ? imix[i] : frame_octets);
}

static const struct bench_frame *frame_of(const struct bench_source *s, uint32_t flow)
{
	static const uint8_t imix[12] = {0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0};

	return &s->frames[s->frame_octets == BENCH_FRAME_IMIX ? imix[flow % 12] : 0];
}

static void make(const struct bench_source *s, uint32_t flow, struct rte_mbuf *pkt)
{
	const struct bench_frame *f = frame_of(s, flow);
	struct bench_endpoints e = bench_flows_endpoints(s->flows, flow);
	bool is_up = s->direction == UPLINK;
	uint32_t src = is_up ? e.internal_be : e.remote_be;
	uint32_t dst = is_up ? e.remote_be : s->flows->external_be;
	uint16_t src_port = htons(is_up ? e.internal_port : e.remote_port);
	uint16_t dst_port = htons(is_up ? e.remote_port : s->flows->external_ports[e.endpoint]);
	uint8_t *frame = rte_pktmbuf_mtod(pkt, uint8_t *);
	uint8_t *ip = frame + f->l3_off;
	uint8_t *udp = ip + IPV4_HEADER;
	uint32_t sum = sum_of(src) + sum_of(dst);
	uint16_t udp_checksum = checksum_from(f->udp_sum + sum + src_port + dst_port);

	memcpy(frame, f->bytes, f->len);
	if (is_up && s->framing == FRAMING_ETHERNET)
		store32(frame + MAC_BYTES + 2, src); /* as bench_mac_of() */
	store16(ip + 10, checksum_from(f->ip_sum + sum));
	store32(ip + 12, src);
	store32(ip + 16, dst);
	store16(udp, src_port);
	store16(udp + 2, dst_port);
	store16(udp + 6, udp_checksum == 0 ? UINT16_MAX : udp_checksum);
	pkt->data_len = f->len;
	pkt->pkt_len = f->len;
}

/* --- order --- */

static uint32_t next_number(struct bench_source *s)
{
	uint32_t number = s->next;

	s->next = (s->is_random ? number * LCG_FACTOR + LCG_INCREMENT : number + 1) & s->mask;
	return number;
}

static uint32_t next_flow(struct bench_source *s)
{
	uint32_t flow;

	do
		flow = next_number(s);
	while (flow >= s->limit || !bench_flows_has(s->flows, flow));
	return flow;
}

static uint16_t fill(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	struct bench_source *s = arg;

	if (n > s->n_left)
		n = (uint16_t)s->n_left;
	if (s->n_left != UINT64_MAX)
		s->n_left -= n;
	for (uint16_t i = 0; i < n; i++)
		make(s, next_flow(s), pkts[i]);
	return n;
}

void bench_source_start(struct bench_source *s, struct port *port, uint32_t limit,
	uint64_t n_rounds, bool is_random)
{
	uint64_t n_own = 0;

	s->limit = limit;
	s->is_random = is_random;
	s->next = 0;
	s->mask = 0;
	while (s->mask < limit - 1)
		s->mask = s->mask << 1 | 1;
	for (uint32_t i = 0; i < limit; i++)
		n_own += bench_flows_has(s->flows, i);
	s->n_left = n_own == 0 ? 0 : n_rounds == 0 ? UINT64_MAX : n_own * n_rounds;
	memory_port_fill(port, fill, s);
}
