/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of bench/wire: a source of numbered and stamped datagrams, a sink that tells how long they took, a watch that tells
 * how fast they come, and a raw-IP link whose two ends are TUN devices in two namespaces.
 *
 * Shapes:   the payload begins with the packet's number (64 bits) and the time it was sent (ns of CLOCK_REALTIME, which
 *           AF_PACKET stamps by), both in host byte order. No UDP checksum, which RFC 768 allows: stamps need none then.
 * Units:    lengths in octets of IP; rates in packets a second.
 * Errors:   a message on standard error and exit 1.
 * Threads:  one; `join` has one each way.
 */
#include <weir/base/addr.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/parse.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX     64
#define FRAME_MAX     2048
#define PACKET_MAX    65536
#define NS_PER_S      UINT64_C(1000000000)
#define SLEEP_NS      60000   /* a shorter gap is not slept but spun through */
#define BEHIND_MAX_NS 2000000 /* what was missed longer ago is not made up for */
#define FIRST_PORT    10000
#define PAYLOAD_BYTES 16
#define UDP_PACKET    (IPV4_HEADER_BYTES + UDP_HEADER_BYTES)
#define SLOTS         4096
#define SLOT_BYTES    2048
#define DELAYS_MAX    (1u << 22)
#define WATCH_NS      1000000
#define WATCH_END_NS  200000000

struct load {
	const char *device;
	const char *netns[2]; /* join: of each end */
	const char *devices[2];
	struct ip_addr from;
	struct ip_addr to;
	struct mac_addr mac;
	uint16_t port;
	uint32_t n_flows;
	uint32_t octets;
	uint32_t batch;
	uint32_t sample; /* one in so many is looked at; a power of two */
	uint64_t per_s;  /* 0: as fast as it goes */
	double seconds;
	bool is_tun;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- source --- */

struct source {
	const struct load *load;
	int fd;
	struct mac_addr own_mac;
	uint64_t number;
	uint64_t n_sent;
	uint64_t n_refused;
	uint32_t flow;
	uint8_t frames[BATCH_MAX][FRAME_MAX];
	struct iovec parts[BATCH_MAX];
	struct mmsghdr messages[BATCH_MAX];
};

static int open_source(struct source *s)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	struct ifreq ifr = {0};
	int on = 1;

	s->fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it receives nothing */
	if (s->fd < 0)
		return -errno;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", s->load->device);
	if (ioctl(s->fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(s->own_mac.bytes, ifr.ifr_hwaddr.sa_data, sizeof(s->own_mac));
	address.sll_ifindex = (int)if_nametoindex(s->load->device);
	if (setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0
		|| bind(s->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

static void build(struct source *s, uint8_t *frame)
{
	const struct load *l = s->load;
	uint8_t *ip = frame + ETHERNET_HEADER_BYTES;

	memset(frame, 0, FRAME_MAX);
	memcpy(frame, l->mac.bytes, sizeof(l->mac));
	memcpy(frame + 6, s->own_mac.bytes, sizeof(s->own_mac));
	store_be16(frame + 12, ETHERTYPE_IPV4);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)l->octets);
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = PROTO_UDP;
	store32(ip + 12, l->from.words[3]);
	store32(ip + 16, l->to.words[3]);
	store16(ip + 10, checksum_of(ip, IPV4_HEADER_BYTES));
	store_be16(ip + IPV4_HEADER_BYTES + 2, l->port);
	store_be16(ip + IPV4_HEADER_BYTES + 4, (uint16_t)(l->octets - IPV4_HEADER_BYTES));
}

static void prepare(struct source *s)
{
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		build(s, s->frames[i]);
		s->parts[i] = (struct iovec){.iov_base = s->frames[i],
			.iov_len = ETHERNET_HEADER_BYTES + s->load->octets};
		s->messages[i].msg_hdr = (struct msghdr){.msg_iov = &s->parts[i], .msg_iovlen = 1};
	}
}

static int send_batch(struct source *s)
{
	uint64_t sent_ns = now_ns(CLOCK_REALTIME);
	int n;

	for (uint32_t i = 0; i < s->load->batch; i++) {
		uint8_t *udp = s->frames[i] + ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES;
		uint64_t number = s->number++;

		store_be16(udp, (uint16_t)(FIRST_PORT + s->flow));
		s->flow = s->flow + 1 == s->load->n_flows ? 0 : s->flow + 1;
		memcpy(udp + UDP_HEADER_BYTES, &number, sizeof(number));
		memcpy(udp + UDP_HEADER_BYTES + sizeof(number), &sent_ns, sizeof(sent_ns));
	}
	n = sendmmsg(s->fd, s->messages, s->load->batch, 0);
	if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
		return -errno;
	n = n < 0 ? 0 : n;
	s->n_sent += (uint64_t)n;
	s->n_refused += s->load->batch - (uint64_t)n;
	return 0;
}

static void wait_until(uint64_t due_ns)
{
	struct timespec due = {
		.tv_sec = (time_t)(due_ns / NS_PER_S), .tv_nsec = (long)(due_ns % NS_PER_S)};

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static int keep_sending(struct source *s)
{
	uint64_t start_ns = now_ns(CLOCK_MONOTONIC);
	uint64_t end_ns = start_ns + (uint64_t)(s->load->seconds * (double)NS_PER_S);
	uint64_t gap_ns = s->load->per_s == 0 ? 0 : s->load->batch * NS_PER_S / s->load->per_s;
	uint64_t due_ns = start_ns;
	uint64_t now = start_ns;
	int error = 0;

	while (error == 0 && now < end_ns) {
		if (now >= due_ns) {
			error = send_batch(s);
			due_ns = (due_ns + BEHIND_MAX_NS < now ? now : due_ns) + gap_ns;
		} else if (due_ns - now > SLEEP_NS) {
			wait_until(due_ns);
		}
		now = now_ns(CLOCK_MONOTONIC);
	}
	printf("{\"sent\": %lu, \"refused\": %lu, \"seconds\": %.6f}\n", s->n_sent, s->n_refused,
		(double)(now - start_ns) / (double)NS_PER_S);
	return error;
}

static int run_source(const struct load *l)
{
	struct source *s = calloc(1, sizeof(*s));
	int error;

	if (s == NULL)
		return -ENOMEM;
	s->load = l;
	error = open_source(s);
	if (error == 0) {
		prepare(s);
		error = keep_sending(s);
	}
	if (s->fd > 0)
		(void)close(s->fd);
	free(s);
	return error;
}

/* --- TUN devices --- */

static int open_tun(const char *device, int flags)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | flags);
	int error;

	if (fd < 0)
		return -errno;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	if (ioctl(fd, TUNSETIFF, &ifr) == 0)
		return fd;
	error = -errno;
	(void)close(fd);
	return error;
}

static void say_ready(void)
{
	puts("ready");
	(void)fflush(stdout);
}

/* --- sink --- */

struct sink {
	const struct load *load;
	uint64_t n_seen;
	uint64_t n_early; /* stamped later than they came: the clock was set */
	uint32_t n_delays;
	uint32_t *delays_ns;
};

static int compare_delays(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A packet of the source's, from its IP header on. */
static void look_at(struct sink *s, const uint8_t *ip, size_t len_bytes, uint64_t came_ns)
{
	const uint8_t *udp = ip + IPV4_HEADER_BYTES;
	uint64_t number, sent_ns;

	if (len_bytes < UDP_PACKET + PAYLOAD_BYTES || ip[0] != 0x45 || ip[9] != PROTO_UDP
		|| load_be16(udp + 2) != s->load->port)
		return;
	memcpy(&number, udp + UDP_HEADER_BYTES, sizeof(number));
	memcpy(&sent_ns, udp + UDP_HEADER_BYTES + sizeof(number), sizeof(sent_ns));
	if ((number & (s->load->sample - 1)) != 0)
		return;
	s->n_seen++;
	if (came_ns < sent_ns)
		s->n_early++;
	else if (s->n_delays < DELAYS_MAX)
		s->delays_ns[s->n_delays++] =
			came_ns - sent_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)(came_ns - sent_ns);
}

/* Nearest rank, in microseconds. */
static double rank_us(const struct sink *s, double share)
{
	double place = share * s->n_delays;
	uint32_t rank = (uint32_t)place;

	if (s->n_delays == 0)
		return 0.0;
	rank += rank < place;
	return s->delays_ns[rank == 0 ? 0 : rank - 1] / 1000.0;
}

static void report(struct sink *s)
{
	qsort(s->delays_ns, s->n_delays, sizeof(*s->delays_ns), compare_delays);
	printf("{\"seen\": %lu, \"early\": %lu, \"min_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": "
	       "%.1f, "
	       "\"p999_us\": %.1f, \"max_us\": %.1f}\n",
		s->n_seen, s->n_early, rank_us(s, 0), rank_us(s, 0.5), rank_us(s, 0.99),
		rank_us(s, 0.999), rank_us(s, 1));
}

/* Lets one packet in `sample` of the source's pass, the rest costing the kernel next to nothing. */
static int attach_filter(int fd, const struct load *l)
{
	const uint32_t to_number = ETHERNET_HEADER_BYTES + UDP_PACKET;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV4, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETHERNET_HEADER_BYTES + 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_UDP, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, l->port, 0, 3),
		/* The filter loads words as big-endian ones; the number's low 16 bits come first. */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, to_number),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
			(uint32_t)__builtin_bswap16((uint16_t)(l->sample - 1)), 1, 0),
		BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int open_ring(const struct load *l, uint8_t **ret_ring)
{
	/* All protocols: such a socket sees a packet before nftables does, whose rule ends it. */
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(l->device)};
	struct tpacket_req request = {.tp_block_size = SLOT_BYTES * 16,
		.tp_block_nr = SLOTS / 16,
		.tp_frame_size = SLOT_BYTES,
		.tp_frame_nr = SLOTS};
	int version = TPACKET_V2, on = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *ring;

	if (fd < 0)
		return -errno;
	if (attach_filter(fd, l) < 0
		|| setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0
		|| setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0
		|| setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0
		|| bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	ring = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	*ret_ring = ring;
	return fd;
}

/* What the sink is told by signals: to end, or (SIGUSR1) to forget what it has seen. */
static int open_commands(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* False when the end has come; not before all that came earlier was looked at. */
static bool wait_for_input(struct sink *s, int fd, int command_fd)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = command_fd, .events = POLLIN}};
	struct signalfd_siginfo command;

	(void)poll(p, 2, -1);
	if ((p[0].revents & POLLIN) != 0 || p[1].revents == 0)
		return true;
	if (read(command_fd, &command, sizeof(command)) != sizeof(command)
		|| command.ssi_signo != SIGUSR1)
		return false;
	s->n_seen = s->n_early = 0;
	s->n_delays = 0;
	return true;
}

static int receive_ring(struct sink *s, int command_fd)
{
	uint8_t *ring = NULL;
	int fd = open_ring(s->load, &ring);
	uint32_t at = 0;

	if (fd < 0 || ring == NULL)
		return fd;
	say_ready();
	for (;;) {
		struct tpacket2_hdr *slot = (void *)(ring + (size_t)at * SLOT_BYTES);

		if ((__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
			if (!wait_for_input(s, fd, command_fd))
				break;
			continue;
		}
		look_at(s, (const uint8_t *)slot + slot->tp_mac + ETHERNET_HEADER_BYTES,
			slot->tp_snaplen - ETHERNET_HEADER_BYTES,
			slot->tp_sec * NS_PER_S + slot->tp_nsec);
		__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		at = (at + 1) % SLOTS;
	}
	(void)munmap(ring, (size_t)SLOTS * SLOT_BYTES);
	(void)close(fd);
	return 0;
}

static int receive_tun(struct sink *s, int command_fd)
{
	uint8_t packet[FRAME_MAX];
	int fd = open_tun(s->load->device, O_NONBLOCK);

	if (fd < 0)
		return fd;
	say_ready();
	for (;;) {
		ssize_t len = read(fd, packet, sizeof(packet));

		if (len > 0)
			look_at(s, packet, (size_t)len, now_ns(CLOCK_REALTIME));
		else if (!wait_for_input(s, fd, command_fd))
			break;
	}
	(void)close(fd);
	return 0;
}

static int run_sink(const struct load *l)
{
	struct sink s = {.load = l, .delays_ns = calloc(DELAYS_MAX, sizeof(*s.delays_ns))};
	int command_fd = open_commands();
	int error;

	if (s.delays_ns == NULL)
		return -ENOMEM;
	error = l->is_tun ? receive_tun(&s, command_fd) : receive_ring(&s, command_fd);
	if (error == 0)
		report(&s);
	free(s.delays_ns);
	return error;
}

/* --- how fast a device receives --- */

/* Packets that a device has received, modulo 2^32. */
static int read_received(const char *device, uint32_t *ret_packets)
{
	struct ifaddrs *all;
	int error = -ENODEV;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
		const struct rtnl_link_stats *stats = a->ifa_data;

		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_PACKET
			|| strcmp(a->ifa_name, device) != 0)
			continue;
		*ret_packets = stats->rx_packets;
		error = 0;
	}
	freeifaddrs(all);
	return error;
}

/* From the first packet that comes until none has come for WATCH_END_NS: how many, and in what time. */
static int run_watch(const struct load *l)
{
	uint64_t begin_ns = 0, last_ns = 0;
	uint32_t first = 0, packets = 0, seen;
	int error = read_received(l->device, &first);

	say_ready();
	seen = first;
	while (error == 0 && (begin_ns == 0 || now_ns(CLOCK_MONOTONIC) < last_ns + WATCH_END_NS)) {
		wait_until(now_ns(CLOCK_MONOTONIC) + WATCH_NS);
		error = read_received(l->device, &packets);
		if (error != 0 || packets == seen)
			continue;
		last_ns = now_ns(CLOCK_MONOTONIC);
		if (begin_ns == 0) {
			begin_ns = last_ns;
			first = packets;
		}
		seen = packets;
	}
	if (error == 0)
		printf("{\"packets\": %u, \"seconds\": %.6f}\n", seen - first,
			(double)(last_ns - begin_ns) / (double)NS_PER_S);
	return error;
}

/* --- link between two TUN devices --- */

struct way {
	int from;
	int to;
};

static void *carry(void *arg)
{
	const struct way *w = arg;
	uint8_t *packet = malloc(PACKET_MAX);
	ssize_t len;

	if (packet == NULL)
		return NULL;
	while ((len = read(w->from, packet, PACKET_MAX)) > 0)
		if (write(w->to, packet, (size_t)len) < 0 && errno == EBADFD)
			break; /* any other is that packet's own */
	free(packet);
	return NULL;
}

static int open_tun_in(const char *netns, const char *device)
{
	int ns = open(netns, O_RDONLY | O_CLOEXEC);
	int error = 0;

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		error = -errno;
	if (ns >= 0)
		(void)close(ns);
	return error < 0 ? error : open_tun(device, 0);
}

static int run_join(const struct load *l)
{
	int a = open_tun_in(l->netns[0], l->devices[0]);
	int b = a < 0 ? a : open_tun_in(l->netns[1], l->devices[1]);
	struct way up = {.from = a, .to = b}, down = {.from = b, .to = a};
	pthread_t thread;

	if (b < 0)
		return b;
	if (pthread_create(&thread, NULL, carry, &up) != 0)
		return -EAGAIN;
	say_ready();
	(void)carry(&down);
	return 0; /* the process's end ends the other way */
}

/* --- options --- */

static void usage(void)
{
	fputs("usage: wire_load send --device NAME --mac MAC --from ADDRESS --to ADDRESS\n"
	      "                      [--port N] [--flows N] [--octets N] [--rate PACKETS_PER_S]\n"
	      "                      [--batch N] [--seconds S]\n"
	      "       wire_load receive --device NAME [--tun] [--port N] [--sample N]\n"
	      "       wire_load watch --device NAME\n"
	      "       wire_load join NETNS TUN NETNS TUN\n",
		stderr);
	exit(2);
}

static void address_of(const char *word, struct ip_addr *ret_address)
{
	if (ip_addr_parse(word, ret_address) != 0 || !ip_addr_is_v4(ret_address))
		usage();
}

static uint32_t number_of(const char *word, unsigned long least, unsigned long most)
{
	char *rest;
	unsigned long n = strtoul(word, &rest, 10);

	if (*rest != '\0' || n < least || n > most)
		usage();
	return (uint32_t)n;
}

static void take_option(struct load *l, int c)
{
	switch (c) {
	case 'd':
		l->device = optarg;
		break;
	case 'm':
		if (mac_addr_parse(optarg, &l->mac) != 0)
			usage();
		break;
	case 'f':
		address_of(optarg, &l->from);
		break;
	case 't':
		address_of(optarg, &l->to);
		break;
	case 'p':
		l->port = (uint16_t)number_of(optarg, 1, UINT16_MAX);
		break;
	case 'n':
		l->n_flows = number_of(optarg, 1, UINT16_MAX - FIRST_PORT);
		break;
	case 'o':
		l->octets = number_of(
			optarg, UDP_PACKET + PAYLOAD_BYTES, FRAME_MAX - ETHERNET_HEADER_BYTES);
		break;
	case 'r':
		l->per_s = number_of(optarg, 0, UINT32_MAX);
		break;
	case 'b':
		l->batch = number_of(optarg, 1, BATCH_MAX);
		break;
	case 'a':
		l->sample = number_of(optarg, 1, 1u << 15);
		break;
	case 's':
		l->seconds = strtod(optarg, NULL);
		break;
	case 'u':
		l->is_tun = true;
		break;
	default:
		usage();
	}
}

static void read_options(struct load *l, int argc, char **argv)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'},
		{"mac", required_argument, NULL, 'm'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"port", required_argument, NULL, 'p'},
		{"flows", required_argument, NULL, 'n'},
		{"octets", required_argument, NULL, 'o'},
		{"rate", required_argument, NULL, 'r'},
		{"batch", required_argument, NULL, 'b'},
		{"sample", required_argument, NULL, 'a'},
		{"seconds", required_argument, NULL, 's'},
		{"tun", no_argument, NULL, 'u'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(l, c);
}

static int run(struct load *l, int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "join") == 0) {
		for (int i = 0; i < 2; i++) {
			l->netns[i] = argv[2 + 2 * i];
			l->devices[i] = argv[3 + 2 * i];
		}
		return run_join(l);
	}
	if (argc < 2)
		usage();
	read_options(l, argc - 1, argv + 1);
	if (l->device == NULL || (l->sample & (l->sample - 1)) != 0)
		usage();
	if (strcmp(argv[1], "receive") == 0)
		return run_sink(l);
	if (strcmp(argv[1], "watch") == 0)
		return run_watch(l);
	if (strcmp(argv[1], "send") != 0 || ip_addr_is_unset(&l->from) || ip_addr_is_unset(&l->to))
		usage();
	return run_source(l);
}

int main(int argc, char **argv)
{
	struct load l = {
		.port = 9999, .n_flows = 1, .octets = 46, .batch = 1, .sample = 1, .seconds = 1};
	int error;

	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	error = run(&l, argc, argv);
	if (error != 0)
		fprintf(stderr, "wire_load: %s: %s\n", l.device != NULL ? l.device : "join",
			strerror(-error));
	return error == 0 ? 0 : 1;
}
