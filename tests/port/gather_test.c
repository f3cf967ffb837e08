/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../src/port/gather.h"
#include "../../src/port/segment.h"

#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 1600u
#define SIZE      100u
#define OPTIONS   12u

/* A frame, and what it is to be made of. */
struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t len;
	uint32_t l3, l4, payload;
	bool is_v6;
};

struct make {
	enum link_framing framing;
	bool is_v6, is_tagged;
	uint16_t port;
	uint32_t seq;
	uint16_t id;
	uint8_t flags;
	uint32_t n; /* of payload */
};

static uint64_t pseudo(const struct frame *f)
{
	uint64_t sum = (uint64_t)htons(PROTO_TCP) + htons((uint16_t)(f->len - f->l4));

	return sum
	       + (f->is_v6 ? checksum_sum(f->bytes + f->l3 + 8, 32)
			   : checksum_sum(f->bytes + f->l3 + 12, 8));
}

/* Makes both checksums right for whatever the frame holds now. */
static void finish(struct frame *f)
{
	uint8_t *ip = f->bytes + f->l3, *tcp = f->bytes + f->l4;

	store16(tcp + 16, 0);
	store16(tcp + 16, (uint16_t)~checksum_fold(pseudo(f) + checksum_sum(tcp, f->len - f->l4)));
	if (f->is_v6)
		return;
	store16(ip + 10, 0);
	store16(ip + 10, checksum_of(ip, 20));
}

static void make(struct frame *f, const struct make *m)
{
	static const uint8_t options[OPTIONS] = {1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4};
	uint8_t *ip, *tcp;

	memset(f, 0, sizeof(*f));
	f->is_v6 = m->is_v6;
	if (m->framing == FRAMING_ETHERNET) {
		memset(f->bytes, 2, 12);
		f->l3 = m->is_tagged ? 18 : 14;
		if (m->is_tagged) {
			store_be16(f->bytes + 12, ETHERTYPE_VLAN);
			store_be16(f->bytes + 14, 7);
		}
		store_be16(f->bytes + f->l3 - 2, m->is_v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	}
	f->l4 = f->l3 + (m->is_v6 ? 40 : 20);
	f->payload = f->l4 + 20 + OPTIONS;
	f->len = f->payload + m->n;
	ip = f->bytes + f->l3;
	tcp = f->bytes + f->l4;
	ip[0] = m->is_v6 ? 0x60 : 0x45;
	ip[m->is_v6 ? 6 : 9] = PROTO_TCP;
	ip[m->is_v6 ? 7 : 8] = 63;
	if (m->is_v6) {
		store_be16(ip + 4, (uint16_t)(f->len - f->l4));
		memset(ip + 8, 0x20, 32);
	} else {
		store_be16(ip + 2, (uint16_t)(f->len - f->l3));
		store_be16(ip + 4, m->id);
		store_be16(ip + 6, 0x4000);
		memset(ip + 12, 10, 8);
	}
	store_be16(tcp, m->port);
	store_be16(tcp + 2, 443);
	store_be32(tcp + 4, m->seq);
	store_be32(tcp + 8, 77);
	tcp[12] = (20 + OPTIONS) / 4 << 4;
	tcp[13] = m->flags;
	store_be16(tcp + 14, 501);
	memcpy(tcp + 20, options, OPTIONS);
	for (uint32_t i = 0; i < m->n; i++)
		f->bytes[f->payload + i] = (uint8_t)(m->seq + i * 7);
	finish(f);
}

static struct gather_frame view(const struct frame *f)
{
	return (struct gather_frame){.bytes = f->bytes, .len_bytes = (uint16_t)f->len};
}

static struct gather_limits limits_of(enum link_framing framing)
{
	return (struct gather_limits){.framing = framing,
		.frame_bytes = 1514,
		.run_bytes = UINT16_MAX,
		.run_frames = GATHER_FRAMES_MAX,
		.takes = {true, true}};
}

/* Cuts a run as a kernel does, and asserts that the frames come back octet for octet. */
static void assert_comes_back(const struct gather *g, const struct gather_run *run,
	const struct gather_frame *views, enum link_framing framing)
{
	static uint8_t whole[GATHER_HEAD_MAX + UINT16_MAX];
	struct virtio_net_hdr offload;
	struct segment_cutter cutter;
	uint32_t len = gather_write_head(run, views, whole, &offload);
	uint8_t i = run->first, cut[FRAME_MAX];

	for (uint16_t k = 0; k < run->n_frames; k++, i = g->next[i]) {
		memcpy(whole + len, views[i].bytes + offload.hdr_len,
			views[i].len_bytes - (size_t)offload.hdr_len);
		len += (uint32_t)views[i].len_bytes - offload.hdr_len;
	}
	cr_assert_eq(len, run->len_bytes);
	cr_assert_eq(segment_begin(&cutter, whole, len, framing, &offload), 0);
	if (!run->head.is_v6)
		cr_assert_eq(checksum_of(whole + run->head.l3_off, 20), 0,
			"who takes it whole reads its IP checksum");
	i = run->first;
	for (uint16_t k = 0; k < run->n_frames; k++, i = g->next[i]) {
		cr_assert_eq(segment_next_bytes(&cutter), views[i].len_bytes);
		segment_next(&cutter, cut);
		cr_assert_eq(memcmp(cut, views[i].bytes, views[i].len_bytes), 0, "frame %u", k);
	}
	cr_assert_eq(segment_next_bytes(&cutter), 0);
	/* The whole one's checksum, when finished, is right as well. */
	cr_assert_eq(segment_finish_checksum(whole, len, &offload), 0);
	cr_assert_eq(
		checksum_fold(checksum_sum(whole + run->head.l4_off, len - run->head.l4_off)
			      + htons(PROTO_TCP) + htons((uint16_t)(len - run->head.l4_off))
			      + (run->head.is_v6 ? checksum_sum(whole + run->head.l3_off + 8, 32)
						 : checksum_sum(whole + run->head.l3_off + 12, 8))),
		0xffff);
}

Test(port_gather, makes_one_of_segments_in_a_row_on_every_link)
{
	static const struct make kinds[] = {
		{.framing = FRAMING_ETHERNET},
		{.framing = FRAMING_ETHERNET, .is_tagged = true},
		{.framing = FRAMING_ETHERNET, .is_v6 = true},
		{.framing = FRAMING_RAW_IP},
		{.framing = FRAMING_RAW_IP, .is_v6 = true},
	};
	static struct frame f[5];
	struct gather_frame views[5];
	struct gather g;

	for (size_t c = 0; c < sizeof(kinds) / sizeof(kinds[0]); c++) {
		struct gather_limits limits = limits_of(kinds[c].framing);

		for (uint32_t i = 0; i < 5; i++) {
			struct make m = kinds[c];

			m.seq = 0xffffff80u + i * SIZE; /* wraps */
			m.id = (uint16_t)(0xfffe + i);
			m.flags = TCP_ACK | (i == 4 ? TCP_PSH : 0);
			m.n = i == 4 ? 33 : SIZE;
			make(&f[i], &m);
			views[i] = view(&f[i]);
		}
		gather_burst(&g, &limits, views, 5);
		cr_assert_eq(g.n_runs, 1, "link %zu: %u runs", c, g.n_runs);
		cr_assert_eq(g.runs[0].n_frames, 5);
		assert_comes_back(&g, &g.runs[0], views, kinds[c].framing);
	}
}

/* A change to the second of two segments: one octet of a header, or more. */
struct refusal {
	const char *why;
	char where; /* 'l' link, 'i' IP, 't' TCP */
	uint8_t at, value;
	bool keeps_sums;
};

static void assert_refused(const struct refusal *c, bool is_v6)
{
	static struct frame f[3];
	struct gather_limits limits = limits_of(FRAMING_ETHERNET);
	struct gather_frame views[3];
	struct gather g;

	for (uint32_t i = 0; i < 3; i++) {
		struct make m = {.framing = FRAMING_ETHERNET,
			.is_v6 = is_v6,
			.seq = 1000 + i * SIZE,
			.id = (uint16_t)(5 + i),
			.flags = TCP_ACK,
			.n = SIZE};

		make(&f[i], &m);
		views[i] = view(&f[i]);
	}
	gather_burst(&g, &limits, views, 3);
	cr_assert_eq(g.n_runs, 1, "%s: refused already as it was", c->why);
	f[1].bytes[(c->where == 'l' ? 0 : c->where == 'i' ? f[1].l3 : f[1].l4) + c->at] = c->value;
	if (!c->keeps_sums)
		finish(&f[1]);
	gather_burst(&g, &limits, views, 3);
	for (uint16_t r = 0; r < g.n_runs; r++)
		for (uint16_t k = 0, i = g.runs[r].first; k < g.runs[r].n_frames;
			k++, i = g.next[i])
			cr_assert(i != 1 || (k == 0 && g.runs[r].n_frames == 1), "%s: joined",
				c->why);
}

Test(port_gather, refuses_what_cutting_would_not_give_back)
{
	static const struct refusal v4[] = {
		{"another MAC address", 'l', 3, 9, false},
		{"another service or ECN mark", 'i', 1, 3, false},
		{"an option of IP", 'i', 0, 0x46, false},
		{"an identification that does not count up", 'i', 5, 5, false},
		{"DF missing", 'i', 6, 0, false},
		{"a fragment", 'i', 6, 0x20, false},
		{"an offset", 'i', 7, 1, false},
		{"another time to live", 'i', 8, 62, false},
		{"a wrong IP checksum", 'i', 10, 0xee, true},
		{"a length that is not the frame's", 'i', 3, 20, false},
	};
	static const struct refusal both[] = {
		{"a gap", 't', 7, 0x4d, false},
		{"another acknowledgement", 't', 11, 78, false},
		{"another window", 't', 15, 1, false},
		{"an urgent pointer", 't', 19, 1, false},
		{"another time stamp", 't', 27, 9, false},
		{"fewer options", 't', 12, 0x70, false},
		{"a reserved bit", 't', 12, 0x81, false},
		{"FIN", 't', 13, TCP_ACK | TCP_FIN, false},
		{"SYN", 't', 13, TCP_ACK | TCP_SYN, false},
		{"RST", 't', 13, TCP_ACK | TCP_RST, false},
		{"URG", 't', 13, TCP_ACK | TCP_URG, false},
		{"CWR", 't', 13, TCP_ACK | 0x80, false},
		{"ECE where there was none", 't', 13, TCP_ACK | 0x40, false},
		{"no ACK", 't', 13, 0, false},
		{"a wrong TCP checksum", 't', 17, 0x5a, true},
		{"another octet of payload than was summed", 't', 40, 0xee, true},
	};
	static const struct refusal v6[] = {
		{"another flow label", 'i', 3, 1, false},
		{"another hop limit", 'i', 7, 62, false},
		{"an extension header", 'i', 6, 0, false},
	};

	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		assert_refused(&v4[i], false);
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		assert_refused(&v6[i], true);
	for (size_t i = 0; i < 2 * sizeof(both) / sizeof(both[0]); i++)
		assert_refused(&both[i / 2], i % 2);
}

/* Runs of segments of one flow, told by their payloads and flags; the number of frames in each run is expected. */
Test(port_gather, ends_a_run_where_the_kernel_would_not_cut_so)
{
	static const struct {
		const char *claim;
		uint32_t n[4];
		uint8_t flags[4];
		uint16_t runs[4];
	} cases[] = {
		{"a shorter one is the last", {100, 50, 50, 50}, {0}, {2, 2}},
		{"a longer one begins anew", {100, 101, 101, 0}, {0}, {1, 2, 1}},
		{"PSH is the last's", {100, 100, 100, 100}, {0, TCP_PSH}, {2, 2}},
		{"PSH alone", {100, 100, 100, 100}, {TCP_PSH}, {1, 3}},
		{"one without data ends it", {100, 0, 100, 100}, {0}, {1, 1, 2}},
		{"FIN ends it", {100, 100, 100, 100}, {0, 0, 0, TCP_FIN}, {3, 1}},
	};
	static struct frame f[4];
	struct gather_limits limits = limits_of(FRAMING_RAW_IP);
	struct gather_frame views[4];
	struct gather g;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint32_t seq = 0;
		uint16_t r = 0;

		for (uint32_t i = 0; i < 4; i++) {
			struct make m = {.framing = FRAMING_RAW_IP,
				.seq = seq,
				.id = (uint16_t)i,
				.flags = TCP_ACK | cases[c].flags[i],
				.n = cases[c].n[i]};

			make(&f[i], &m);
			seq += m.n;
			views[i] = view(&f[i]);
		}
		gather_burst(&g, &limits, views, 4);
		for (; r < 4 && cases[c].runs[r] != 0; r++)
			cr_assert_eq(g.runs[r].n_frames, cases[c].runs[r], "%s: run %u has %u",
				cases[c].claim, r, g.runs[r].n_frames);
		cr_assert_eq(g.n_runs, r, "%s", cases[c].claim);
	}
}

Test(port_gather, stays_within_its_limits_and_families)
{
	static struct frame f[4];
	struct gather_limits limits = limits_of(FRAMING_ETHERNET);
	struct gather_frame views[4];
	struct gather g;

	for (uint32_t i = 0; i < 4; i++) {
		struct make m = {.framing = FRAMING_ETHERNET,
			.seq = i * SIZE,
			.id = (uint16_t)i,
			.flags = TCP_ACK,
			.n = SIZE};

		make(&f[i], &m);
		views[i] = view(&f[i]);
	}
	limits.run_frames = 3;
	gather_burst(&g, &limits, views, 4);
	cr_assert_eq(g.n_runs, 2);
	limits.run_frames = 64;
	limits.run_bytes = f[0].len + SIZE;
	gather_burst(&g, &limits, views, 4);
	cr_assert_eq(g.n_runs, 2);
	cr_assert_eq(g.runs[0].len_bytes, limits.run_bytes);
	limits.frame_bytes = f[0].len - 1;
	limits.run_bytes = UINT16_MAX;
	gather_burst(&g, &limits, views, 4);
	cr_assert_eq(g.n_runs, 4);
	limits = limits_of(FRAMING_ETHERNET);
	limits.takes[0] = false;
	gather_burst(&g, &limits, views, 4);
	cr_assert_eq(g.n_runs, 4);
}

Test(port_gather, does_not_reckon_sums_that_are_known_to_be_good)
{
	static struct frame f[2];
	struct gather_limits limits = limits_of(FRAMING_RAW_IP);
	struct gather_frame views[2];
	struct gather g;

	for (uint32_t i = 0; i < 2; i++) {
		struct make m = {.framing = FRAMING_RAW_IP,
			.seq = i * SIZE,
			.id = (uint16_t)i,
			.flags = TCP_ACK,
			.n = SIZE};

		make(&f[i], &m);
		f[i].bytes[f[i].payload] ^= 1;
		views[i] = view(&f[i]);
	}
	gather_burst(&g, &limits, views, 2);
	cr_assert_eq(g.n_runs, 2);
	views[0].is_sum_good = views[1].is_sum_good = true;
	gather_burst(&g, &limits, views, 2);
	cr_assert_eq(g.n_runs, 1);
}

/* Flow f is port 1000 + f. Numbers count up in a flow's sequence numbers, with gaps, mixed with frames of other kinds. */
static void make_random(struct frame *f, uint32_t *seqs, uint16_t *ids, uint32_t n_flows)
{
	uint32_t flow = (uint32_t)rand() % n_flows, what = (uint32_t)rand() % 40;
	struct make m = {.framing = FRAMING_ETHERNET,
		.is_v6 = flow % 3 == 2,
		.port = (uint16_t)(1000 + flow),
		.flags = TCP_ACK,
		.n = SIZE};

	if (what == 0)
		seqs[flow] += SIZE;
	if (what == 1)
		ids[flow]++;
	if (what == 2)
		m.flags |= TCP_PSH;
	if (what == 3)
		m.flags |= TCP_FIN;
	if (what == 4)
		m.n = 0;
	if (what == 5)
		m.n = SIZE / 2;
	m.seq = seqs[flow];
	m.id = ids[flow]++;
	make(f, &m);
	seqs[flow] += m.n;
	if (what == 6)
		f->bytes[f->payload] ^= 0xff; /* its checksum is wrong now */
	if (what == 7 && !m.is_v6)
		f->bytes[f->l3 + 9] = PROTO_UDP;
	if (what == 8)
		f->bytes[12] = 0x88;
	if (what == 9 && !m.is_v6)
		f->bytes[f->l3 + 6] = 0x20;
}

static void assert_orderly(const struct gather *g, const struct gather_frame *views, uint32_t n)
{
	bool seen[GATHER_FRAMES_MAX] = {false};
	int last[16];
	uint32_t total = 0;

	memset(last, -1, sizeof(last));
	for (uint16_t r = 0; r < g->n_runs; r++) {
		const struct gather_run *run = &g->runs[r];
		uint8_t i = run->first;

		for (uint16_t k = 0; k < run->n_frames; k++, i = g->next[i]) {
			uint32_t flow =
				load_be16(views[i].bytes + (views[i].bytes[12] == 0x86 ? 54 : 34))
				- 1000u;
			bool is_other =
				views[i].bytes[12] == 0x88
				|| (views[i].bytes[12] == 0x08 && views[i].bytes[23] == PROTO_UDP);

			cr_assert(i < n && !seen[i]);
			seen[i] = true;
			total++;
			if (is_other)
				continue;
			cr_assert_gt((int)i, last[flow], "flow %u was turned round", flow);
			last[flow] = i;
		}
		if (run->n_frames > 1)
			assert_comes_back(g, run, views, FRAMING_ETHERNET);
	}
	cr_assert_eq(total, n);
}

Test(port_gather, gives_back_every_frame_of_any_mixture_and_keeps_each_flow_in_order)
{
	static struct frame f[GATHER_FRAMES_MAX];
	struct gather_limits limits = limits_of(FRAMING_ETHERNET);
	struct gather_frame views[GATHER_FRAMES_MAX];
	uint32_t seqs[16] = {0}, n_gathered = 0;
	uint16_t ids[16] = {0};
	struct gather g;

	srand(1);
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t n = 1 + (uint32_t)rand() % GATHER_FRAMES_MAX;
		uint32_t n_flows = 1 + (uint32_t)rand() % 12; /* more than may be open */

		for (uint32_t i = 0; i < n; i++) {
			make_random(&f[i], seqs, ids, n_flows);
			views[i] = view(&f[i]);
		}
		gather_burst(&g, &limits, views, (uint16_t)n);
		assert_orderly(&g, views, n);
		n_gathered += n - g.n_runs;
	}
	cr_assert_gt(
		n_gathered, 10000u, "too little was gathered to prove anything: %u", n_gathered);
}
