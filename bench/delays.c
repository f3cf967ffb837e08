/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * delays: what each packet took from one interface to another, by the kernel's stamps at both.
 *
 * Source:   packet(7), TPACKET_V3. A TCP segment is known again by IPv4 identification, sequence number and length, which
 *           translation leaves alone and a retransmission does not share; a UDP packet of ours by its first
 *           eight octets: four letters that say what it is, and a number.
 * Shapes:   near is the device's interface, far the server's. An outgoing packet of one is an entry, an incoming one of
 *           the other its exit. At SIGTERM all entries are written, uplink first, each in order of time.
 * Units:    nanoseconds of CLOCK_REALTIME, octets of IP.
 */
#include <weir/base/direction.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_S    1000000000ull
#define BLOCK_BYTES (1u << 20)
#define BLOCKS      32u
#define FRAME_BYTES 2048u
#define RETIRE_MS   20
#define SNAP_OCTETS 96 /* headers with options, and the eight octets of a payload */
#define MARK_OCTETS 8
#define NO_ENTRY    UINT32_MAX
#define NOT_SEEN    UINT64_MAX
#define FIRST_ROOM  65536u
#define EXIT_USAGE  2

/* TPACKET_ALIGN of the header, in unsigned arithmetic. */
#define FROM_AT                                                                                    \
	((sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT                 \
		* TPACKET_ALIGNMENT)
#define END_TEXT_MAX 128

enum end {
	NEAR,
	FAR,
	N_ENDS
};

/* Letters in the output; README of the figures: docs/judging.md. */
enum kind {
	KIND_DATA,   /* TCP with a payload */
	KIND_ACK,    /* TCP without */
	KIND_SPARSE, /* "VOIP" */
	KIND_PROBE,  /* "PROB" */
	KIND_BLAST,  /* "BLST" */
	KIND_OTHER,
	N_KINDS
};

struct seen {
	uint64_t at_ns;
	uint64_t key;
	uint64_t delay_ns;
	uint32_t octets;
	uint32_t next; /* entry with the same hash */
	uint8_t kind;
};

struct list {
	struct seen *seen;
	uint32_t n, room;
};

/* As the reader of the file unpacks it: struct "<QQIBB2x". */
struct record {
	uint64_t at_ns;
	uint64_t delay_ns;
	uint32_t octets;
	uint8_t kind;
	uint8_t direction;
	uint8_t pad[2];
};

struct capture {
	int fd;
	uint8_t *ring;
	uint32_t block;
	struct list entries, exits;
	uint64_t dropped;
};

struct delays {
	struct capture end[N_ENDS];
	int signal_fd;
	bool failed;
};

static struct seen *list_add(struct list *l)
{
	if (l->n == l->room) {
		uint32_t room = l->room > 0 ? 2 * l->room : FIRST_ROOM;
		struct seen *grown = realloc(l->seen, room * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		l->seen = grown;
		l->room = room;
	}
	l->seen[l->n] = (struct seen){.delay_ns = NOT_SEEN, .next = NO_ENTRY};
	return &l->seen[l->n++];
}

static enum kind kind_of_mark(const uint8_t *mark)
{
	static const struct {
		char letters[5];
		enum kind kind;
	} marks[] = {{"VOIP", KIND_SPARSE}, {"PROB", KIND_PROBE}, {"BLST", KIND_BLAST}};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (memcmp(mark, marks[i].letters, 4) == 0)
			return marks[i].kind;
	}
	return KIND_OTHER;
}

/* Kind, length and what the packet is known by; false for what is not IPv4 or cut short. */
static bool packet_read(const uint8_t *bytes, uint32_t n_bytes, struct seen *ret)
{
	struct iphdr ip;
	struct tcphdr tcp;
	const uint8_t *l4;
	uint32_t header, length;

	if (n_bytes < sizeof(ip))
		return false;
	memcpy(&ip, bytes, sizeof(ip));
	header = ip.ihl * 4u;
	if (ip.version != 4 || header < sizeof(ip) || n_bytes < header)
		return false;
	ret->octets = ntohs(ip.tot_len);
	ret->kind = KIND_OTHER;
	ret->key = (uint64_t)ntohs(ip.id) << 48 | ret->octets;
	l4 = bytes + header;
	if (ip.protocol == IPPROTO_TCP && n_bytes >= header + sizeof(tcp)) {
		memcpy(&tcp, l4, sizeof(tcp));
		length = ret->octets - header - tcp.doff * 4u;
		ret->kind = length > 0 ? KIND_DATA : KIND_ACK;
		ret->key = (uint64_t)ntohs(ip.id) << 48 | (uint64_t)(length & 0xffff) << 32
			   | ntohl(tcp.seq);
	} else if (ip.protocol == IPPROTO_UDP
		   && n_bytes >= header + sizeof(struct udphdr) + MARK_OCTETS) {
		uint32_t mark[2];

		memcpy(mark, l4 + sizeof(struct udphdr), sizeof(mark));
		ret->kind = (uint8_t)kind_of_mark((const uint8_t *)mark);
		ret->key = (uint64_t)mark[0] << 32 | mark[1];
	}
	return true;
}

static void frame_take(struct delays *d, struct capture *c, const struct tpacket3_hdr *frame)
{
	const uint8_t *bytes = (const uint8_t *)frame;
	struct sockaddr_ll from;
	struct seen seen = {.delay_ns = NOT_SEEN, .next = NO_ENTRY}, *kept;

	memcpy(&from, bytes + FROM_AT, sizeof(from));
	if (!packet_read(bytes + frame->tp_net, frame->tp_snaplen, &seen))
		return;
	seen.at_ns = (uint64_t)frame->tp_sec * NS_PER_S + frame->tp_nsec;
	kept = list_add(from.sll_pkttype == PACKET_OUTGOING ? &c->entries : &c->exits);
	if (kept == NULL)
		d->failed = true;
	else
		*kept = seen;
}

static struct tpacket_block_desc *block_at(const struct capture *c)
{
	void *block = c->ring + (size_t)c->block * BLOCK_BYTES;

	return block;
}

static void capture_read(struct delays *d, struct capture *c)
{
	struct tpacket_block_desc *block = block_at(c);

	while (__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
		uint8_t *frame = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;

		for (uint32_t i = 0; i < block->hdr.bh1.num_pkts; i++) {
			void *header = frame;
			const struct tpacket3_hdr *one = header;

			frame_take(d, c, one);
			frame += one->tp_next_offset;
		}
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		c->block = (c->block + 1) % BLOCKS;
		block = block_at(c);
	}
}

static int capture_socket(const char *device)
{
	struct sock_filter keep = BPF_STMT(BPF_RET | BPF_K, SNAP_OCTETS);
	struct sock_fprog program = {.len = 1, .filter = &keep};
	struct tpacket_req3 ring = {.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = BLOCK_BYTES / FRAME_BYTES * BLOCKS,
		.tp_retire_blk_tov = RETIRE_MS};
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device)};
	int version = TPACKET_V3, fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -errno;
	if (address.sll_ifindex > 0
		&& setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) == 0
		&& setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0
		&& setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) == 0
		&& bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	return -error;
}

/* "NAMESPACE:DEVICE" */
static int capture_open(struct capture *c, const char *where)
{
	char path[END_TEXT_MAX];
	const char *colon = strchr(where, ':');
	void *ring;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, ret = -EINVAL;

	if (home < 0 || colon == NULL)
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "/run/netns/%.*s", (int)(colon - where), where);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (there >= 0 && setns(there, CLONE_NEWNET) == 0)
		ret = capture_socket(colon + 1);
	else
		ret = -errno;
	if (setns(home, CLONE_NEWNET) < 0)
		ret = -errno;
	if (there >= 0)
		(void)close(there);
	(void)close(home);
	if (ret < 0)
		return ret;
	c->fd = ret;
	ring = mmap(
		NULL, (size_t)BLOCKS * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	c->ring = ring;
	return 0;
}

static int signals_open(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void delays_run(struct delays *d)
{
	struct pollfd polled[N_ENDS + 1] = {
		[NEAR] = {.fd = d->end[NEAR].fd, .events = POLLIN},
		[FAR] = {.fd = d->end[FAR].fd, .events = POLLIN},
		[N_ENDS] = {.fd = d->signal_fd, .events = POLLIN},
	};

	for (bool stop = false; !stop && !d->failed;) {
		if (poll(polled, N_ENDS + 1, -1) < 0 && errno != EINTR)
			return;
		stop = polled[N_ENDS].revents != 0;
		if (stop) /* the block that is being filled is handed over after this time */
			(void)usleep(3 * RETIRE_MS * 1000);
		for (int e = 0; e < N_ENDS; e++)
			capture_read(d, &d->end[e]);
	}
}

static uint32_t slot_of(const struct seen *s, uint32_t mask)
{
	uint64_t h = (s->key ^ s->kind) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(h >> 32) & mask;
}

static bool may_be(const struct seen *in, const struct seen *out)
{
	return in->key == out->key && in->kind == out->kind && in->delay_ns == NOT_SEEN
	       && in->at_ns <= out->at_ns;
}

/* Gives each exit the oldest entry that it may be, and counts those that had none. Returns 0 or -ENOMEM. */
static int match(struct list *entries, const struct list *exits, uint64_t *ret_strangers)
{
	uint32_t room = FIRST_ROOM, *first;

	*ret_strangers = exits->n;
	if (entries->n == 0)
		return 0;
	while (room < entries->n)
		room *= 2;
	first = malloc(room * sizeof(*first));
	if (first == NULL)
		return -ENOMEM;
	memset(first, 0xff, room * sizeof(*first));
	for (uint32_t i = entries->n; i-- > 0;) {
		uint32_t slot = slot_of(&entries->seen[i], room - 1);

		entries->seen[i].next = first[slot];
		first[slot] = i;
	}
	for (uint32_t i = 0; i < exits->n; i++) {
		const struct seen *out = &exits->seen[i];
		uint32_t at = first[slot_of(out, room - 1)];

		while (at != NO_ENTRY && !may_be(&entries->seen[at], out))
			at = entries->seen[at].next;
		if (at == NO_ENTRY)
			continue;
		entries->seen[at].delay_ns = out->at_ns - entries->seen[at].at_ns;
		(*ret_strangers)--;
	}
	free(first);
	return 0;
}

static int write_entries(FILE *out, enum direction direction, const struct list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct seen *s = &l->seen[i];
		struct record r = {.at_ns = s->at_ns,
			.delay_ns = s->delay_ns,
			.octets = s->octets,
			.kind = s->kind,
			.direction = (uint8_t)direction};

		if (fwrite(&r, sizeof(r), 1, out) != 1)
			return -EIO;
	}
	return 0;
}

static int finish(struct delays *d, const char *path)
{
	static const int from[N_DIRECTIONS] = {[UPLINK] = NEAR, [DOWNLINK] = FAR};
	uint64_t strangers[N_DIRECTIONS] = {0};
	FILE *out = fopen(path, "we");
	int ret = out != NULL ? 0 : -errno;

	for (int i = 0; i < N_DIRECTIONS && ret == 0; i++) {
		struct list *entries = &d->end[from[i]].entries;

		ret = match(entries, &d->end[1 - from[i]].exits, &strangers[i]);
		if (ret == 0)
			ret = write_entries(out, (enum direction)i, entries);
	}
	if (out != NULL && fclose(out) != 0 && ret == 0)
		ret = -errno;
	for (int e = 0; e < N_ENDS; e++) {
		struct tpacket_stats_v3 stats = {0};
		socklen_t size = sizeof(stats);

		(void)getsockopt(d->end[e].fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
		d->end[e].dropped = stats.tp_drops;
	}
	(void)printf("{\"missed_near\": %llu, \"missed_far\": %llu, \"strangers_uplink\": %llu, "
		     "\"strangers_downlink\": %llu}\n",
		(unsigned long long)d->end[NEAR].dropped, (unsigned long long)d->end[FAR].dropped,
		(unsigned long long)strangers[UPLINK], (unsigned long long)strangers[DOWNLINK]);
	return ret;
}

static void capture_clean(struct capture *c)
{
	free(c->entries.seen);
	free(c->exits.seen);
	if (c->ring != NULL)
		(void)munmap(c->ring, (size_t)BLOCKS * BLOCK_BYTES);
	if (c->fd >= 0)
		(void)close(c->fd);
}

int main(int argc, char **argv)
{
	struct delays d = {.signal_fd = -1, .end = {[NEAR] = {.fd = -1}, [FAR] = {.fd = -1}}};
	int ret = 0;

	if (argc != 4) {
		(void)fprintf(stderr,
			"usage: delays NAMESPACE:DEVICE NAMESPACE:DEVICE FILE\n"
			"  the device's end, the server's end, and where records go at SIGTERM\n");
		return EXIT_USAGE;
	}
	d.signal_fd = signals_open();
	for (int e = 0; e < N_ENDS && ret == 0; e++) {
		ret = capture_open(&d.end[e], argv[1 + e]);
		if (ret < 0)
			(void)fprintf(stderr, "delays: %s: %s\n", argv[1 + e], strerror(-ret));
	}
	if (ret == 0 && d.signal_fd >= 0) {
		(void)fprintf(stderr, "delays.ready\n");
		delays_run(&d);
		ret = d.failed ? -ENOMEM : finish(&d, argv[3]);
		if (ret < 0)
			(void)fprintf(stderr, "delays: %s: %s\n", argv[3], strerror(-ret));
	}
	for (int e = 0; e < N_ENDS; e++)
		capture_clean(&d.end[e]);
	return ret < 0 || d.signal_fd < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
