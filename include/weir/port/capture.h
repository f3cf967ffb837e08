/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures in: files of pcap and pcapng, merged by time, each record taken out of its link layer.
 *
 * Source:   draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng (through libpcap); tcpdump.org/linktypes.html;
 *           RFC 1661, 1662 (PPP), RFC 2516 (PPPoE), IEEE 802.1Q.
 * Shapes:   link types Ethernet, raw IP, Linux cooked v1 and v2, PPP (with address and control field or without, and
 *           Cisco HDLC), NULL and LOOP. Up to two VLAN tags and a PPPoE session header are taken off as well.
 * Units:    microseconds since 1970, at most UINT32_MAX seconds.
 * Errors:   a damaged file is read up to the damage, which its statistics then name. A record of another link type, or
 *           too short for its link layer, is counted and skipped.
 * Hostile:  nothing a file says is trusted; libpcap bounds a record to 256 KiB.
 * Threads:  one owner.
 * Memory:   libpcap's buffer a file. A packet's bytes stay valid until the next one is asked for.
 */
#ifndef WEIR_PORT_CAPTURE_H
#define WEIR_PORT_CAPTURE_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	ETHER_TYPE_IPV4 = 0x0800,
	ETHER_TYPE_ARP = 0x0806,
	ETHER_TYPE_VLAN = 0x8100,
	ETHER_TYPE_IPV6 = 0x86dd,
	ETHER_TYPE_PPPOE = 0x8864,
	ETHER_TYPE_QINQ = 0x88a8,
};

struct capture_packet {
	uint64_t time_us;    /* as the record says: may run backwards */
	const uint8_t *data; /* what follows the link layer */
	uint32_t len_bytes;  /* of data, as captured */
	uint32_t wire_bytes; /* of data, on the wire; at least len_bytes */
	uint32_t file;       /* number of its file, in order of capture_set_add */
	uint16_t ether_type; /* of data; below 0x600 the length of an LLC frame */
	bool has_src_mac;
	bool has_dst_mac;
	struct mac_addr src_mac;
	struct mac_addr dst_mac;
};

struct capture_file_stats {
	const char *path;
	const char *link_name; /* "EN10MB"; "" when the file could not be opened as a capture */
	uint64_t n_packets;    /* handed out */
	uint64_t n_link_type;  /* skipped: of a link type that is not known here */
	uint64_t n_short;      /* skipped: cut off within the link layer */
	uint64_t n_protocol;   /* skipped: the link layer's own protocols, PPP's LCP and the like */
	const char *damage;    /* NULL, or what is wrong with the file after the last record read */
};

struct capture_set;

/* An empty set. Returns 0 or -ENOMEM. */
int capture_set_create(struct capture_set **ret_set);

/* Closes all files. NULL is fine. */
void capture_set_destroy(struct capture_set *s);

/* Adds a file. Returns 0 (also for what turns out to be no capture: see `damage`), -ENOMEM, or the errno of
 * opening it. */
int capture_set_add(struct capture_set *s, const char *path);

/* The same from an open stream, which the set closes. `path` is a name for statistics. */
int capture_set_add_stream(struct capture_set *s, const char *path, FILE *stream);

/* The next packet by time; at equal times the file added first comes first, and a file keeps its own order. False
 * when all files are at their end. */
bool capture_set_next(struct capture_set *s, struct capture_packet *ret_packet);

/* How many files were added. */
uint32_t capture_set_n_files(const struct capture_set *s);

/* Statistics of file i; the strings live as long as the set. */
void capture_set_stats(
	const struct capture_set *s, uint32_t i, struct capture_file_stats *ret_stats);

#endif
