/* SPDX-License-Identifier: BSD-3-Clause */
#include "segment.h"

#include <weir/packet/checksum.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#	define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

#define VLAN_TAG_BYTES 4
#define VLAN_TAGS_MAX  2 /* 802.1ad around 802.1Q */
#define IPV4_BYTES_MIN 20
#define IPV6_BYTES     40
#define TCP_BYTES_MIN  20
#define TCP_SEQ_OFF    4
#define TCP_FLAGS_OFF  13
#define UDP_BYTES      8
#define UDP_SUM_OFF    6
#define TCP_SUM_OFF    16

static uint16_t read_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void write_be16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t read_be32(const uint8_t *p)
{
	return (uint32_t)read_be16(p) << 16 | read_be16(p + 2);
}

static void write_be32(uint8_t *p, uint32_t value)
{
	write_be16(p, (uint16_t)(value >> 16));
	write_be16(p + 2, (uint16_t)value);
}

/* RFC 768: a UDP sum of zero means that there is none, so a computed zero is sent as all ones. */
static void store_sum(uint8_t *field, uint16_t sum, bool is_udp)
{
	if (sum == 0 && is_udp)
		sum = UINT16_MAX;
	memcpy(field, &sum, sizeof(sum));
}

int segment_finish_checksum(
	uint8_t *frame, uint32_t len_bytes, const struct virtio_net_hdr *offload)
{
	uint32_t start = offload->csum_start;
	uint32_t field = start + offload->csum_offset;

	if (!(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (field + sizeof(uint16_t) > len_bytes)
		return -EINVAL;
	/* The field holds the sum of the pseudo-header, so the sum over all of it is the whole one. */
	store_sum(frame + field, checksum_of(frame + start, len_bytes - start),
		offload->csum_offset == UDP_SUM_OFF);
	return 0;
}

/* Offset of the IP header, and its EtherType; 0 as type when there is neither IPv4 nor IPv6. */
static uint32_t find_l3(
	const uint8_t *frame, uint32_t len_bytes, enum link_framing framing, uint16_t *ret_type)
{
	uint32_t off = ETHER_HDR_LEN;

	*ret_type = 0;
	if (framing == FRAMING_RAW_IP) {
		if (len_bytes > 0)
			*ret_type = frame[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP;
		return 0;
	}
	for (int i = 0; i <= VLAN_TAGS_MAX && off <= len_bytes; i++) {
		uint16_t type = read_be16(frame + off - sizeof(type));

		if (type != ETHERTYPE_VLAN && type != 0x88a8 /* 802.1ad */) {
			*ret_type = type;
			break;
		}
		off += VLAN_TAG_BYTES;
	}
	return off;
}

static int find_l4(struct segment_cutter *c, uint16_t type)
{
	const uint8_t *ip = c->frame + c->l3_off;

	c->is_v6 = type == ETHERTYPE_IPV6;
	if (type != ETHERTYPE_IP && type != ETHERTYPE_IPV6)
		return -EINVAL;
	if (c->l3_off + (c->is_v6 ? IPV6_BYTES : IPV4_BYTES_MIN) > c->len_bytes)
		return -EINVAL;
	if (c->is_v6) {
		c->proto = ip[offsetof(struct ip6_hdr, ip6_nxt)];
		c->l4_off = c->l3_off + IPV6_BYTES;
		return 0;
	}
	c->proto = ip[offsetof(struct iphdr, protocol)];
	c->l4_off = c->l3_off + (ip[0] & 0xfu) * 4;
	return ip[0] >> 4 == 4 && c->l4_off >= c->l3_off + IPV4_BYTES_MIN ? 0 : -EINVAL;
}

static int find_payload(struct segment_cutter *c, uint8_t gso_type)
{
	bool is_tcp = gso_type == VIRTIO_NET_HDR_GSO_TCPV4 || gso_type == VIRTIO_NET_HDR_GSO_TCPV6;
	uint32_t l4_bytes = UDP_BYTES;

	if (!is_tcp && gso_type != VIRTIO_NET_HDR_GSO_UDP_L4)
		return -EINVAL;
	if (c->proto != (is_tcp ? PROTO_TCP : PROTO_UDP))
		return -EINVAL;
	if (is_tcp) {
		if (c->l4_off + TCP_BYTES_MIN > c->len_bytes)
			return -EINVAL;
		l4_bytes = (c->frame[c->l4_off + TCP_FLAGS_OFF - 1] >> 4) * 4u;
		if (l4_bytes < TCP_BYTES_MIN)
			return -EINVAL;
	}
	c->payload_off = c->l4_off + l4_bytes;
	return c->payload_off < c->len_bytes ? 0 : -EINVAL;
}

int segment_begin(struct segment_cutter *c, const uint8_t *frame, uint32_t len_bytes,
	enum link_framing framing, const struct virtio_net_hdr *offload)
{
	struct segment_cutter made = {
		.frame = frame, .len_bytes = len_bytes, .size_bytes = offload->gso_size};
	uint16_t type;
	int r;

	if (made.size_bytes == 0)
		return -EINVAL;
	made.l3_off = find_l3(frame, len_bytes, framing, &type);
	r = find_l4(&made, type);
	if (r == 0)
		r = find_payload(&made, offload->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN);
	/* Headers and a segment must fit the 16-bit length fields that are going to be written. */
	if (r == 0 && made.payload_off - made.l3_off + made.size_bytes > UINT16_MAX)
		r = -EINVAL;
	if (r < 0)
		return r;
	made.next_off = made.payload_off;
	*c = made;
	return 0;
}

static uint32_t next_payload_bytes(const struct segment_cutter *c)
{
	uint32_t left = c->len_bytes - c->next_off;

	return left < c->size_bytes ? left : c->size_bytes;
}

uint32_t segment_next_bytes(const struct segment_cutter *c)
{
	return c->next_off == c->len_bytes ? 0 : c->payload_off + next_payload_bytes(c);
}

uint32_t segment_left(const struct segment_cutter *c)
{
	uint32_t left = c->len_bytes - c->next_off;

	return left == 0 ? 0 : (left - 1) / c->size_bytes + 1;
}

void segment_skip(struct segment_cutter *c)
{
	c->next_off += next_payload_bytes(c);
	c->n_cut++;
}

static void write_ip(const struct segment_cutter *c, uint8_t *ip, uint32_t l4_bytes)
{
	uint16_t sum;

	if (c->is_v6) {
		write_be16(ip + offsetof(struct ip6_hdr, ip6_plen), (uint16_t)l4_bytes);
		return;
	}
	write_be16(
		ip + offsetof(struct iphdr, tot_len), (uint16_t)(c->l4_off - c->l3_off + l4_bytes));
	/* One identification each, as if the sender had cut: they count up from that of the super-frame. */
	write_be16(ip + offsetof(struct iphdr, id),
		(uint16_t)(read_be16(ip + offsetof(struct iphdr, id)) + c->n_cut));
	memset(ip + offsetof(struct iphdr, check), 0, sizeof(sum));
	sum = checksum_of(ip, c->l4_off - c->l3_off);
	memcpy(ip + offsetof(struct iphdr, check), &sum, sizeof(sum));
}

static void write_tcp(const struct segment_cutter *c, uint8_t *tcp, bool is_last)
{
	uint32_t before = c->next_off - c->payload_off;

	write_be32(tcp + TCP_SEQ_OFF, read_be32(tcp + TCP_SEQ_OFF) + before);
	if (!is_last)
		tcp[TCP_FLAGS_OFF] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (before > 0) /* RFC 3168 6.1.2: CWR answers once, on the first new data */
		tcp[TCP_FLAGS_OFF] &= (uint8_t)~0x80;
}

/* Sum of the pseudo-header. */
static uint64_t pseudo_sum(const struct segment_cutter *c, const uint8_t *ip, uint32_t l4_bytes)
{
	uint8_t tail[8] = {0};

	write_be32(tail, l4_bytes);
	tail[7] = c->proto;
	if (c->is_v6)
		return checksum_sum(
			       ip + offsetof(struct ip6_hdr, ip6_src), 2 * sizeof(struct in6_addr))
		       + checksum_sum(tail, sizeof(tail));
	return checksum_sum(ip + offsetof(struct iphdr, saddr), 2 * sizeof(struct in_addr))
	       + checksum_sum(tail, sizeof(tail));
}

void segment_next(struct segment_cutter *c, uint8_t *to)
{
	uint32_t payload_bytes = next_payload_bytes(c);
	uint32_t l4_bytes = c->payload_off - c->l4_off + payload_bytes;
	uint8_t *ip = to + c->l3_off;
	uint8_t *l4 = to + c->l4_off;
	uint8_t *field = l4 + (c->proto == PROTO_TCP ? TCP_SUM_OFF : UDP_SUM_OFF);

	memcpy(to, c->frame, c->payload_off);
	memcpy(to + c->payload_off, c->frame + c->next_off, payload_bytes);
	write_ip(c, ip, l4_bytes);
	if (c->proto == PROTO_TCP)
		write_tcp(c, l4, c->next_off + payload_bytes == c->len_bytes);
	else
		write_be16(l4 + offsetof(struct udphdr, len), (uint16_t)l4_bytes);
	memset(field, 0, sizeof(uint16_t));
	store_sum(field,
		(uint16_t)~checksum_fold(pseudo_sum(c, ip, l4_bytes) + checksum_sum(l4, l4_bytes)),
		c->proto == PROTO_UDP);
	segment_skip(c);
}
