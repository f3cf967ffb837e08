/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <stdio.h>
#include <stdlib.h>

#define ETHERNET_BYTES 14
#define VLAN_BYTES     4

static void demand(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "packet_builder: %s\n", what);
	abort();
}

static struct packet packet_create(uint32_t len_bytes)
{
	struct packet p = {.bytes = calloc(1, len_bytes), .len_bytes = len_bytes};

	/* calloc(1, 0) may give NULL; an empty frame needs no bytes. */
	demand(p.bytes != NULL || len_bytes == 0, "out of memory");
	return p;
}

void packet_clean(struct packet *p)
{
	free(p->bytes);
	*p = (struct packet){0};
}

static uint32_t padded(uint32_t len_bytes)
{
	return (len_bytes + 3) & ~3u;
}

static uint8_t proto_of(const struct packet_spec *spec)
{
	return spec->proto == 0 ? PROTO_UDP : spec->proto;
}

static uint32_t l4_header_bytes(const struct packet_spec *spec)
{
	if (spec->fragment_offset > 0)
		return 0;
	switch (proto_of(spec)) {
	case PROTO_TCP:
		return TCP_HEADER_BYTES + padded(spec->tcp_options_bytes);
	case PROTO_UDP:
		return UDP_HEADER_BYTES;
	case PROTO_ICMP:
		return ICMP_HEADER_BYTES;
	default:
		return 0;
	}
}

static uint32_t payload_bytes(const struct packet_spec *spec)
{
	if (spec->quoted == NULL)
		return spec->payload_bytes;
	return spec->quoted_octets != 0 ? spec->quoted_octets
					: spec->quoted->len_bytes - spec->quoted->l3_off;
}

static uint32_t link_header_bytes(const struct packet_spec *spec)
{
	return spec->framing == FRAMING_RAW_IP ? 0 : ETHERNET_BYTES + spec->n_vlans * VLAN_BYTES;
}

static void write_mac(uint8_t *at, const struct mac_addr *mac, uint8_t last_byte)
{
	static const struct mac_addr unset;
	struct mac_addr plain = {{0x02, 0, 0, 0, 0, last_byte}};

	memcpy(at, mac_addr_equal(mac, &unset) ? &plain : mac, sizeof(*mac));
}

static void write_link(uint8_t *at, const struct packet_spec *spec)
{
	if (spec->framing == FRAMING_RAW_IP)
		return;
	write_mac(at, &spec->dst_mac, 1);
	write_mac(at + 6, &spec->src_mac, 2);
	at += 12;
	for (uint32_t i = 0; i < spec->n_vlans; i++) {
		store_be16(at, i == 0 && spec->is_service_tag ? 0x88a8 : 0x8100);
		store_be16(at + 2, spec->vlans[i]);
		at += VLAN_BYTES;
	}
	store_be16(at, spec->ethertype == 0 ? 0x0800 : spec->ethertype);
}

static void write_ip(
	uint8_t *ip, const struct packet_spec *spec, uint32_t header_bytes, uint32_t octets)
{
	uint32_t src_be = spec->src_be == 0 ? PACKET_SRC_BE : spec->src_be;

	demand(spec->fragment_offset % 8 == 0, "fragment offset is no multiple of 8");
	ip[0] = (uint8_t)(0x40 | header_bytes / 4);
	ip[1] = spec->tos;
	store_be16(ip + 2, (uint16_t)octets);
	store_be16(ip + 4, spec->id);
	store_be16(ip + 6, (uint16_t)((spec->df ? IPV4_DF : 0) | (spec->mf ? IPV4_MF : 0)
				      | spec->fragment_offset / 8));
	ip[8] = spec->ttl == 0 ? 64 : spec->ttl;
	ip[9] = proto_of(spec);
	store32(ip + 12, spec->is_unset_src ? 0 : src_be);
	store32(ip + 16, spec->dst_be == 0 ? PACKET_DST_BE : spec->dst_be);
	if (spec->ip_options_bytes > 0)
		memcpy(ip + IPV4_HEADER_BYTES, spec->ip_options, spec->ip_options_bytes);
}

static void write_ports(uint8_t *l4, const struct packet_spec *spec)
{
	store_be16(l4, spec->src_port == 0 ? PACKET_SRC_PORT : spec->src_port);
	store_be16(l4 + 2, spec->dst_port == 0 ? PACKET_DST_PORT : spec->dst_port);
}

static void write_tcp(uint8_t *l4, const struct packet_spec *spec, uint32_t header_bytes)
{
	write_ports(l4, spec);
	store32(l4 + 4, htonl(spec->tcp_seq));
	store32(l4 + 8, htonl(spec->tcp_ack));
	l4[12] = (uint8_t)(header_bytes / 4 << 4);
	l4[13] = spec->tcp_flags == 0 ? TCP_ACK : spec->tcp_flags;
	store_be16(l4 + 14, 0xffff);
	if (spec->tcp_options_bytes > 0)
		memcpy(l4 + TCP_HEADER_BYTES, spec->tcp_options, spec->tcp_options_bytes);
}

static void write_l4(
	uint8_t *l4, const struct packet_spec *spec, uint32_t header_bytes, uint32_t l4_bytes)
{
	if (header_bytes == 0)
		return;
	switch (proto_of(spec)) {
	case PROTO_TCP:
		write_tcp(l4, spec, header_bytes);
		break;
	case PROTO_UDP:
		write_ports(l4, spec);
		store_be16(l4 + 4, (uint16_t)l4_bytes);
		break;
	default:
		l4[0] = spec->icmp_type;
		l4[1] = spec->icmp_code;
		store_be16(l4 + 4, spec->icmp_id);
		store_be16(l4 + 6, spec->icmp_seq);
		break;
	}
}

static void write_payload(uint8_t *at, const struct packet_spec *spec, uint32_t len_bytes)
{
	if (spec->quoted != NULL) {
		demand(len_bytes <= spec->quoted->len_bytes - spec->quoted->l3_off,
			"quote too long");
		memcpy(at, packet_ip(spec->quoted), len_bytes);
		return;
	}
	for (uint32_t i = 0; i < len_bytes; i++)
		at[i] = spec->payload != NULL ? spec->payload[i] : (uint8_t)i;
}

struct packet packet_build(const struct packet_spec *spec)
{
	uint32_t l3_off = link_header_bytes(spec);
	uint32_t ip_bytes = IPV4_HEADER_BYTES + padded(spec->ip_options_bytes);
	uint32_t l4_bytes = l4_header_bytes(spec) + payload_bytes(spec);
	struct packet p;

	demand(ip_bytes <= 60 && ip_bytes + l4_bytes <= UINT16_MAX, "longer than IPv4 allows");
	demand(spec->n_vlans <= PACKET_VLANS_MAX, "too many VLAN tags");
	p = packet_create(l3_off + ip_bytes + l4_bytes + spec->padding_bytes);
	p.l3_off = l3_off;
	p.l4_off = l3_off + ip_bytes;
	write_link(p.bytes, spec);
	write_ip(packet_ip(&p), spec, ip_bytes, ip_bytes + l4_bytes);
	write_l4(packet_l4(&p), spec, l4_header_bytes(spec), l4_bytes);
	write_payload(packet_l4(&p) + l4_header_bytes(spec), spec, payload_bytes(spec));
	packet_fix_ip_checksum(&p);
	if (proto_of(spec) != PROTO_UDP || !spec->no_udp_checksum)
		packet_fix_l4_checksum(&p);
	return p;
}

struct packet packet_of_bytes(const uint8_t *bytes, uint32_t len_bytes, enum link_framing framing)
{
	struct packet p = packet_create(len_bytes);

	if (len_bytes > 0)
		memcpy(p.bytes, bytes, len_bytes);
	p.l3_off = framing == FRAMING_RAW_IP ? 0 : ETHERNET_BYTES;
	if (len_bytes > p.l3_off)
		p.l4_off = p.l3_off + (p.bytes[p.l3_off] & 0x0fu) * 4;
	return p;
}

struct packet packet_of_arp(const struct mac_addr *dst, const struct arp_message *message)
{
	struct packet p = packet_create(ARP_FRAME_BYTES);

	arp_build(p.bytes, dst, message);
	p.l3_off = ETHERNET_BYTES;
	return p;
}

struct packet packet_cut(const struct packet *p, uint32_t len_bytes)
{
	struct packet cut = packet_create(len_bytes);

	demand(len_bytes <= p->len_bytes, "cut beyond the end");
	if (len_bytes > 0)
		memcpy(cut.bytes, p->bytes, len_bytes);
	cut.l3_off = p->l3_off;
	cut.l4_off = p->l4_off;
	return cut;
}

uint8_t *packet_ip(const struct packet *p)
{
	return p->bytes + p->l3_off;
}

uint8_t *packet_l4(const struct packet *p)
{
	return p->bytes + p->l4_off;
}

uint16_t packet_ip_octets(const struct packet *p)
{
	return load_be16(packet_ip(p) + 2);
}

uint16_t packet_plain_checksum(const uint8_t *block, uint32_t len_bytes, uint32_t start)
{
	uint32_t sum = start;

	for (uint32_t i = 0; i < len_bytes; i++) {
		sum += i % 2 == 0 ? (uint32_t)block[i] << 8 : block[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/* Length that the L4 checksum covers: UDP says it itself. */
static uint32_t covered_bytes(const struct packet *p)
{
	uint32_t l4_bytes = packet_ip_octets(p) - (p->l4_off - p->l3_off);

	if (packet_ip(p)[9] == PROTO_UDP && load_be16(packet_l4(p) + 4) < l4_bytes)
		return load_be16(packet_l4(p) + 4);
	return l4_bytes;
}

static uint16_t plain_l4_checksum(const struct packet *p)
{
	const uint8_t *ip = packet_ip(p);
	uint32_t pseudo = 0;

	if (ip[9] != PROTO_ICMP) {
		for (uint32_t i = 12; i < 20; i += 2)
			pseudo += load_be16(ip + i);
		pseudo += ip[9] + covered_bytes(p);
		pseudo = (pseudo & 0xffff) + (pseudo >> 16);
	}
	return packet_plain_checksum(packet_l4(p), covered_bytes(p), pseudo);
}

static uint32_t checksum_off(uint8_t proto)
{
	return proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : 2;
}

static bool has_l4_checksum(const struct packet *p)
{
	uint8_t proto = packet_ip(p)[9];
	bool known = proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP;

	return known && (load_be16(packet_ip(p) + 6) & IPV4_FRAGMENT_OFFSET) == 0;
}

void packet_fix_ip_checksum(struct packet *p)
{
	uint8_t *ip = packet_ip(p);

	store16(ip + 10, 0);
	store_be16(ip + 10, packet_plain_checksum(ip, p->l4_off - p->l3_off, 0));
}

void packet_fix_l4_checksum(struct packet *p)
{
	uint8_t *field = packet_l4(p) + checksum_off(packet_ip(p)[9]);
	uint16_t checksum;

	if (!has_l4_checksum(p))
		return;
	store16(field, 0);
	checksum = plain_l4_checksum(p);
	store_be16(field, packet_ip(p)[9] == PROTO_UDP && checksum == 0 ? 0xffff : checksum);
}

bool packet_is_checksum_good(const struct packet *p)
{
	const uint8_t *ip = packet_ip(p);

	if (packet_plain_checksum(ip, p->l4_off - p->l3_off, 0) != 0)
		return false;
	if (!has_l4_checksum(p) || (load_be16(ip + 6) & IPV4_MF) != 0)
		return true;
	if (ip[9] == PROTO_UDP && load16(packet_l4(p) + 6) == 0)
		return true;
	return plain_l4_checksum(p) == 0;
}
