/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends packets that nobody asked for, as fast as one core can: each with its own endpoints.
 *
 * Source:   RFC 4732 (floods of SYN, of datagrams, of fragments that never become whole).
 * Shapes:   Ethernet frames of 64 octets (with checksum), built in place in batches and handed to the kernel at once.
 * Errors:   a message on standard error and exit 1.
 * Threads:  one.
 */
#include <weir/base/addr.h>
#include <weir/base/rng.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/meta.h>
#include <weir/packet/parse.h>

#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64
#define FRAME_BYTES 60
#define NS_PER_S    UINT64_C(1000000000)

enum flood_kind {
	FLOOD_SYN,
	FLOOD_UDP,
	FLOOD_FRAGMENT
};

struct flood {
	const char *device;
	enum flood_kind kind;
	struct ip_prefix source;
	struct ip_prefix destination;
	uint16_t port; /* destination; 0: any */
	struct mac_addr mac;
	uint64_t seconds;
	uint64_t per_s; /* 0: as fast as it goes */
	struct rng rng;
	int fd;
	struct mac_addr own_mac;
	uint64_t n_sent;
	uint64_t n_refused; /* by the device's queue */
	uint8_t frames[BATCH][FRAME_BYTES];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* An address of the prefix, never its first or last. */
static uint32_t some_be(struct flood *f, const struct ip_prefix *p)
{
	uint32_t n_hosts =
		p->len_bits >= 31 ? 1 : (uint32_t)(UINT64_C(1) << (32 - p->len_bits)) - 2;
	uint32_t base = ip_addr_v4_host(&p->addr);

	return htonl(n_hosts == 1 ? base : base + 1 + rng_below(&f->rng, n_hosts));
}

static void fill_l4(struct flood *f, uint8_t *ip)
{
	uint8_t *l4 = ip + IPV4_HEADER_BYTES;
	uint32_t chance = (uint32_t)rng_next(&f->rng);

	store_be16(l4, (uint16_t)(1024 + chance % 64512));
	store_be16(l4 + 2, f->port != 0 ? f->port : (uint16_t)(1 + (chance >> 16) % 65535));
	if (f->kind != FLOOD_SYN) {
		store_be16(l4 + 4, f->kind == FLOOD_UDP ? UDP_HEADER_BYTES : 1480);
		return; /* without a checksum, which UDP allows */
	}
	store32(l4 + 4, (uint32_t)rng_next(&f->rng));
	l4[12] = TCP_HEADER_BYTES / 4 << 4;
	l4[13] = TCP_SYN;
	store_be16(l4 + 14, 65535);
	store16(l4 + 16, 0);
	store16(l4 + 16, checksum_l4_v4(ip, IPV4_HEADER_BYTES + TCP_HEADER_BYTES));
}

static void fill(struct flood *f, uint8_t *frame)
{
	static const uint16_t payloads[] = {[FLOOD_SYN] = TCP_HEADER_BYTES,
		[FLOOD_UDP] = UDP_HEADER_BYTES,
		[FLOOD_FRAGMENT] = 24};
	uint8_t *ip = frame + ETHERNET_HEADER_BYTES;

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, f->mac.bytes, sizeof(f->mac));
	memcpy(frame + 6, f->own_mac.bytes, sizeof(f->own_mac));
	store_be16(frame + 12, ETHERTYPE_IPV4);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(IPV4_HEADER_BYTES + payloads[f->kind]));
	store_be16(ip + 4, (uint16_t)rng_next(&f->rng));
	if (f->kind == FLOOD_FRAGMENT) /* half of them first ones, half of them later ones */
		store_be16(ip + 6, (rng_next(&f->rng) >> 40 & 1) != 0 ? IPV4_MF : IPV4_MF | 185);
	ip[8] = 64;
	ip[9] = f->kind == FLOOD_SYN ? PROTO_TCP : PROTO_UDP;
	store32(ip + 12, some_be(f, &f->source));
	store32(ip + 16, some_be(f, &f->destination));
	store16(ip + 10, checksum_of(ip, IPV4_HEADER_BYTES));
	fill_l4(f, ip);
}

static int send_batch(struct flood *f)
{
	int n;

	for (uint32_t i = 0; i < BATCH; i++) {
		fill(f, f->frames[i]);
		f->parts[i] = (struct iovec){.iov_base = f->frames[i], .iov_len = FRAME_BYTES};
		f->messages[i].msg_hdr = (struct msghdr){.msg_iov = &f->parts[i], .msg_iovlen = 1};
	}
	n = sendmmsg(f->fd, f->messages, BATCH, 0);
	if (n > 0)
		f->n_sent += (uint64_t)n;
	if (n == BATCH)
		return 0;
	if (n < 0 && errno != ENOBUFS && errno != EAGAIN)
		return -errno;
	f->n_refused += (uint64_t)(BATCH - (n > 0 ? n : 0));
	return 0;
}

static int open_device(struct flood *f)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	struct ifreq ifr = {0};
	int on = 1;

	f->fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it receives nothing */
	if (f->fd < 0)
		return -errno;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", f->device);
	if (ioctl(f->fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(f->own_mac.bytes, ifr.ifr_hwaddr.sa_data, sizeof(f->own_mac));
	address.sll_ifindex = (int)if_nametoindex(f->device);
	if (setsockopt(f->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0
		|| bind(f->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

static int run(struct flood *f)
{
	uint64_t start_ns = now_ns();
	uint64_t end_ns = start_ns + f->seconds * NS_PER_S;
	uint64_t next_ns = start_ns;
	uint64_t now = start_ns;
	int error = 0;

	while (error == 0 && now < end_ns) {
		if (now >= next_ns) {
			error = send_batch(f);
			next_ns += f->per_s == 0 ? 0 : BATCH * NS_PER_S / f->per_s;
		}
		now = now_ns();
	}
	printf("{\"sent\": %lu, \"refused\": %lu, \"packets_per_second\": %.0f}\n", f->n_sent,
		f->n_refused, (double)f->n_sent * (double)NS_PER_S / (double)(now - start_ns));
	return error;
}

static void usage(void)
{
	fputs("usage: flood --device NAME --mac MAC --kind syn|udp|fragment --from PREFIX --to "
	      "PREFIX\n"
	      "             [--port N] [--seconds N] [--rate PACKETS_PER_S] [--seed N]\n",
		stderr);
	exit(2);
}

static enum flood_kind kind_of(const char *word)
{
	if (strcmp(word, "syn") == 0)
		return FLOOD_SYN;
	if (strcmp(word, "udp") == 0)
		return FLOOD_UDP;
	if (strcmp(word, "fragment") != 0)
		usage();
	return FLOOD_FRAGMENT;
}

static void prefix_of(const char *word, struct ip_prefix *ret_prefix)
{
	if (ip_prefix_parse(word, ret_prefix) != 0 || !ip_addr_is_v4(&ret_prefix->addr))
		usage();
}

static void mac_of(const char *word, struct mac_addr *ret_mac)
{
	if (mac_addr_parse(word, ret_mac) != 0)
		usage();
}

static void read_options(struct flood *f, int argc, char **argv)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'},
		{"mac", required_argument, NULL, 'm'},
		{"kind", required_argument, NULL, 'k'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"port", required_argument, NULL, 'p'},
		{"seconds", required_argument, NULL, 's'},
		{"rate", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 'x'},
		{NULL, 0, NULL, 0},
	};
	int c;

	rng_init(&f->rng, 1);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			f->device = optarg;
			break;
		case 'm':
			mac_of(optarg, &f->mac);
			break;
		case 'k':
			f->kind = kind_of(optarg);
			break;
		case 'f':
			prefix_of(optarg, &f->source);
			break;
		case 't':
			prefix_of(optarg, &f->destination);
			break;
		case 'p':
			f->port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			f->seconds = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			f->per_s = strtoull(optarg, NULL, 10);
			break;
		case 'x':
			rng_init(&f->rng, strtoull(optarg, NULL, 10));
			break;
		default:
			usage();
		}
	}
	if (f->device == NULL || ip_addr_is_unset(&f->source.addr)
		|| ip_addr_is_unset(&f->destination.addr))
		usage();
}

int main(int argc, char **argv)
{
	struct flood *f = calloc(1, sizeof(*f));
	int error;

	if (f == NULL)
		return 1;
	f->seconds = 5;
	read_options(f, argc, argv);
	error = open_device(f);
	if (error == 0)
		error = run(f);
	if (error != 0)
		fprintf(stderr, "flood: %s: %s\n", f->device, strerror(-error));
	if (f->fd > 0)
		close(f->fd);
	free(f);
	return error == 0 ? 0 : 1;
}
