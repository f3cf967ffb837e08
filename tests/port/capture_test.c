/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/port/capture.h>
#include <weir/port/capture_writer.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A capture in memory: header, then records as they are added. */
struct image {
	uint8_t bytes[4096];
	size_t len;
};

static void put(struct image *m, const void *bytes, size_t len)
{
	cr_assert_leq(m->len + len, sizeof(m->bytes));
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static void put_u32(struct image *m, uint32_t v)
{
	uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

	put(m, le, sizeof(le));
}

static void put_header(struct image *m, uint32_t link_type)
{
	m->len = 0;
	put_u32(m, 0xa1b2c3d4);
	put_u32(m, 0x00040002);
	put_u32(m, 0);
	put_u32(m, 0);
	put_u32(m, 65535);
	put_u32(m, link_type);
}

static void put_record(
	struct image *m, uint64_t time_us, const void *bytes, uint32_t len, uint32_t wire)
{
	put_u32(m, (uint32_t)(time_us / 1000000));
	put_u32(m, (uint32_t)(time_us % 1000000));
	put_u32(m, len);
	put_u32(m, wire);
	put(m, bytes, len);
}

static struct capture_set *set_of(const struct image *images, uint32_t n)
{
	struct capture_set *s;

	cr_assert_eq(capture_set_create(&s), 0);
	for (uint32_t i = 0; i < n; i++) {
		FILE *f = fmemopen((void *)(uintptr_t)images[i].bytes, images[i].len, "r");

		cr_assert_not_null(f);
		cr_assert_eq(capture_set_add_stream(s, "image", f), 0);
	}
	return s;
}

/* One record of a link type, and what comes out of it. */
struct link_case {
	const char *claim;
	uint32_t link_type;
	const char *bytes;
	uint32_t len;
	uint16_t ether_type; /* 0: skipped */
	uint8_t data_at;
	char counter; /* of a skipped one: 's'hort, 'p'rotocol, 'l'ink type */
	bool has_src_mac;
};

#define BYTES(text) text, sizeof(text) - 1
#define MACS        "\x02\0\0\0\0\1\x02\0\0\0\0\2"
#define SLL_ADDR    "\0\0\0\1\0\6\x02\0\0\0\0\2\0\0"
#define PPPOE       "\x11\0\0\1\0\3"

static const struct link_case link_cases[] = {
	{"Ethernet gives its type and MACs", 1, BYTES(MACS "\x08\0\x45"), 0x0800, 14, 0, true},
	{"a VLAN tag is taken off", 1, BYTES(MACS "\x81\0\0\5\x08\0\x45"), 0x0800, 18, 0, true},
	{"so are two", 1, BYTES(MACS "\x88\xa8\0\5\x81\0\0\6\x86\xdd\x60"), 0x86dd, 22, 0, true},
	{"a third stays for the path to refuse", 1,
		BYTES(MACS "\x88\xa8\0\5\x81\0\0\6\x81\0\0\7\x08\0"), 0x8100, 22, 0, true},
	{"PPPoE leads to IP", 1, BYTES(MACS "\x88\x64" PPPOE "\0\x21\x45"), 0x0800, 22, 0, true},
	{"PPPoE's own protocols are skipped", 1, BYTES(MACS "\x88\x64" PPPOE "\xc0\x21\1"), 0, 0,
		'p', false},
	{"an LLC frame keeps its length as type", 1, BYTES(MACS "\0\3\x42\x42\3"), 3, 14, 0, true},
	{"13 bytes are no Ethernet frame", 1, BYTES(MACS "\x08"), 0, 0, 's', false},
	{"a tag that is cut off is short", 1, BYTES(MACS "\x81\0\0"), 0, 0, 's', false},
	{"raw IP tells its version: 4", 101, BYTES("\x45\0"), 0x0800, 0, 0, false},
	{"raw IP tells its version: 6", 101, BYTES("\x60\0"), 0x86dd, 0, 0, false},
	{"raw IPv4 by its own link type", 228, BYTES("\x45\0"), 0x0800, 0, 0, false},
	{"raw IPv6 by its own link type", 229, BYTES("\x60\0"), 0x86dd, 0, 0, false},
	{"an empty raw packet is short", 101, BYTES(""), 0, 0, 's', false},
	{"Linux cooked v1 gives the sender's MAC", 113, BYTES(SLL_ADDR "\x08\0\x45"), 0x0800, 16, 0,
		true},
	{"Linux cooked v1 cut off", 113, BYTES(SLL_ADDR "\x08"), 0, 0, 's', false},
	{"Linux cooked v1 of a CAN frame is skipped", 113, BYTES(SLL_ADDR "\0\x0c\x45"), 0, 0, 'p',
		false},
	{"Linux cooked v2 gives the sender's MAC", 276,
		BYTES("\x08\0\0\0\0\0\0\1\0\1\0\6\x02\0\0\0\0\2\0\0\x45"), 0x0800, 20, 0, true},
	{"Linux cooked v2 without a MAC", 276,
		BYTES("\x86\xdd\0\0\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0\x60"), 0x86dd, 20, 0, false},
	{"PPP with address and control", 9, BYTES("\xff\3\0\x21\x45"), 0x0800, 4, 0, false},
	{"PPP without", 9, BYTES("\0\x21\x45"), 0x0800, 2, 0, false},
	{"PPP with a compressed protocol field", 9, BYTES("\x21\x45"), 0x0800, 1, 0, false},
	{"PPP of IPv6", 50, BYTES("\xff\3\0\x57\x60"), 0x86dd, 4, 0, false},
	{"PPP's LCP is skipped", 50, BYTES("\xff\3\xc0\x21\1"), 0, 0, 'p', false},
	{"PPP that ends in its header", 9, BYTES("\xff\3\0"), 0, 0, 's', false},
	{"Cisco HDLC on a PPP serial line", 50, BYTES("\x0f\0\x08\0\x45"), 0x0800, 4, 0, false},
	{"Cisco HDLC", 104, BYTES("\x8f\0\x86\xdd\x60"), 0x86dd, 4, 0, false},
	{"NULL of a little-endian machine", 0, BYTES("\2\0\0\0\x45"), 0x0800, 4, 0, false},
	{"NULL of a big-endian machine", 0, BYTES("\0\0\0\x1e\x60"), 0x86dd, 4, 0, false},
	{"LOOP", 108, BYTES("\0\0\0\2\x45"), 0x0800, 4, 0, false},
	{"a family that is not IP is skipped", 0, BYTES("\7\0\0\0\x45"), 0, 0, 'p', false},
	{"802.11 is another link type", 105, BYTES("\x08\2\0\0"), 0, 0, 'l', false},
};

Test(port_capture, takes_a_packet_out_of_every_link_type_it_knows)
{
	for (size_t i = 0; i < sizeof(link_cases) / sizeof(link_cases[0]); i++) {
		const struct link_case *c = &link_cases[i];
		struct capture_file_stats stats;
		struct capture_packet p;
		struct capture_set *s;
		struct image m;

		put_header(&m, c->link_type);
		put_record(&m, 1000000, c->bytes, c->len, c->len + 7);
		s = set_of(&m, 1);
		cr_expect_eq(capture_set_next(s, &p), c->ether_type != 0, "%s", c->claim);
		if (c->ether_type != 0) {
			cr_expect_eq(
				p.ether_type, c->ether_type, "%s: %04x", c->claim, p.ether_type);
			cr_expect_eq(
				p.len_bytes, c->len - c->data_at, "%s: %u", c->claim, p.len_bytes);
			cr_expect_eq(p.wire_bytes, p.len_bytes + 7, "%s", c->claim);
			cr_expect_eq(memcmp(p.data, c->bytes + c->data_at, p.len_bytes), 0, "%s",
				c->claim);
			cr_expect_eq(p.has_src_mac, c->has_src_mac, "%s", c->claim);
			cr_expect(!p.has_src_mac || p.src_mac.bytes[5] == 2, "%s", c->claim);
			cr_expect_not(capture_set_next(s, &p));
		}
		capture_set_stats(s, 0, &stats);
		cr_expect_eq(stats.n_packets, c->ether_type != 0, "%s", c->claim);
		cr_expect_eq(stats.n_short, c->counter == 's', "%s", c->claim);
		cr_expect_eq(stats.n_protocol, c->counter == 'p', "%s", c->claim);
		cr_expect_eq(stats.n_link_type, c->counter == 'l', "%s", c->claim);
		cr_expect_null(stats.damage);
		capture_set_destroy(s);
	}
}

Test(port_capture, merges_by_time_then_file_then_position)
{
	static const struct {
		uint64_t time_us;
		uint32_t file;
		char mark;
	} expected[] = {
		{5, 1, 'a'}, {10, 0, 'b'}, {10, 0, 'c'}, {10, 1, 'd'}, {3, 1, 'e'}, {20, 0, 'f'}};
	struct image m[2];
	struct capture_set *s;
	struct capture_packet p;

	put_header(&m[0], 101);
	put_header(&m[1], 101);
	for (size_t i = 0; i < 6; i++) {
		char bytes[2] = {0x45, expected[i].mark};

		put_record(&m[expected[i].file], expected[i].time_us, bytes, 2, 2);
	}
	s = set_of(m, 2);
	for (size_t i = 0; i < 6; i++) {
		cr_assert(capture_set_next(s, &p));
		cr_expect_eq(p.time_us, expected[i].time_us, "packet %zu", i);
		cr_expect_eq(p.file, expected[i].file, "packet %zu", i);
		cr_expect_eq(p.data[1], expected[i].mark, "packet %zu", i);
	}
	cr_expect_not(capture_set_next(s, &p));
	cr_expect_not(capture_set_next(s, &p), "and stays at the end");
	capture_set_destroy(s);
}

Test(port_capture, reads_a_damaged_file_up_to_the_damage_and_names_it)
{
	struct capture_file_stats stats;
	struct capture_packet p;
	struct capture_set *s;
	struct image m[3];

	put_header(&m[0], 101);
	put_record(&m[0], 1, "\x45\1", 2, 2);
	put_record(&m[0], 2, "\x45\2", 2, 2);
	m[0].len--; /* the last record lacks a byte */
	m[1].len = 0;
	put(&m[1], "this is no capture at all, but some text", 40);
	put_header(&m[2], 101);
	put_record(&m[2], 3, "\x45\3", 2, 2);
	s = set_of(m, 3);
	cr_assert(capture_set_next(s, &p));
	cr_expect_eq(p.data[1], 1);
	cr_assert(capture_set_next(s, &p));
	cr_expect_eq(p.data[1], 3, "the other files go on");
	cr_expect_not(capture_set_next(s, &p));
	capture_set_stats(s, 0, &stats);
	cr_expect_eq(stats.n_packets, 1);
	cr_assert_not_null(stats.damage);
	cr_expect_not_null(strstr(stats.damage, "truncated"), "%s", stats.damage);
	capture_set_stats(s, 1, &stats);
	cr_expect_eq(stats.n_packets, 0);
	cr_expect_not_null(stats.damage);
	capture_set_stats(s, 2, &stats);
	cr_expect_null(stats.damage);
	capture_set_destroy(s);
}

Test(port_capture, knows_times_after_2038_and_bounds_absurd_ones)
{
	struct capture_packet p;
	struct capture_set *s;
	struct image m;

	put_header(&m, 101);
	put_record(&m, 4000000000ull * 1000000 + 7, "\x45", 1, 1);
	put_record(&m, 0, "\x45", 1, 1);
	memset(m.bytes + m.len - 17, 0xff, 8); /* seconds and microseconds of the last record */
	s = set_of(&m, 1);
	cr_assert(capture_set_next(s, &p));
	cr_expect_eq(p.time_us, 4000000000ull * 1000000 + 7);
	cr_assert(capture_set_next(s, &p));
	cr_expect_leq(p.time_us, (uint64_t)UINT32_MAX * 1000000);
	capture_set_destroy(s);
}

/* The same instant, 5.000007 s, in the four forms of the format, and in a form that libpcap reads. */
static const struct {
	const char *claim;
	const char *magic;
	bool is_big_endian;
	uint32_t fraction;
} forms[] = {
	{"microseconds", "\xd4\xc3\xb2\xa1", false, 7},
	{"nanoseconds", "\x4d\x3c\xb2\xa1", false, 7999},
	{"microseconds of a big-endian machine", "\xa1\xb2\xc3\xd4", true, 7},
	{"nanoseconds of a big-endian machine", "\xa1\xb2\x3c\x4d", true, 7999},
};

/* Words of a machine of the other byte order. */
static void swap_words(uint8_t *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, at += 4) {
		uint8_t bytes[4] = {at[3], at[2], at[1], at[0]};

		memcpy(at, bytes, sizeof(bytes));
	}
}

Test(port_capture, reads_classic_captures_of_every_byte_order_and_precision)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct capture_packet p;
		struct capture_set *s;
		struct image m;

		put_header(&m, 101);
		put_record(&m, 5000000, "\x45\1\2", 3, 9);
		memcpy(m.bytes + 24 + 4, &forms[i].fraction,
			4); /* little-endian, as put_u32 does */
		if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
			swap_words(m.bytes + 24 + 4, 1);
		if (forms[i].is_big_endian) {
			swap_words(m.bytes + 8, 4);
			memcpy(m.bytes + 4, "\0\2\0\4", 4);
			swap_words(m.bytes + 24, 4);
		}
		memcpy(m.bytes, forms[i].magic, 4);
		s = set_of(&m, 1);
		cr_assert(capture_set_next(s, &p), "%s", forms[i].claim);
		cr_expect_eq(p.time_us, 5000007, "%s: %lu", forms[i].claim, p.time_us);
		cr_expect_eq(p.len_bytes, 3, "%s", forms[i].claim);
		cr_expect_eq(p.wire_bytes, 9, "%s", forms[i].claim);
		cr_expect_not(capture_set_next(s, &p), "%s", forms[i].claim);
		capture_set_destroy(s);
	}
}

Test(port_capture, reads_what_comes_through_a_pipe)
{
	struct capture_packet p;
	struct capture_set *s;
	struct image m;
	int ends[2];
	FILE *f;

	put_header(&m, 101);
	put_record(&m, 7, "\x45\1", 2, 2);
	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(write(ends[1], m.bytes, m.len), (ssize_t)m.len);
	close(ends[1]);
	f = fdopen(ends[0], "rb");
	cr_assert_not_null(f);
	cr_assert_eq(capture_set_create(&s), 0);
	cr_assert_eq(capture_set_add_stream(s, "pipe", f), 0);
	cr_assert(capture_set_next(s, &p));
	cr_expect_eq(p.time_us, 7);
	cr_expect_not(capture_set_next(s, &p));
	capture_set_destroy(s);
}

Test(port_capture, a_record_longer_than_the_snapshot_length_is_cut_to_it)
{
	struct capture_packet p;
	struct capture_set *s;
	struct image m;

	put_header(&m, 101);
	memcpy(m.bytes + 16, "\4\0\0\0", 4);
	put_record(&m, 1, "\x45\1\2\3\4\5", 6, 6);
	put_record(&m, 2, "\x45\6", 2, 2);
	s = set_of(&m, 1);
	cr_assert(capture_set_next(s, &p));
	cr_expect_eq(p.len_bytes, 4);
	cr_expect_eq(p.wire_bytes, 6);
	cr_assert(capture_set_next(s, &p), "the next one begins behind all of it");
	cr_expect_eq(p.data[1], 6);
	capture_set_destroy(s);
}

/* Where a file ends or lies, and the words that tell it. */
static const struct {
	const char *claim;
	uint32_t cut;         /* bytes missing at the end */
	uint32_t len_claimed; /* of the last record; 0: its own */
	const char *says;
} damages[] = {
	{"in a header", 9, 0, "9 of the 16 bytes of its header"},
	{"after a header", 2, 0, "0 of the 2 bytes of its data"},
	{"in the data", 1, 0, "1 of the 2 bytes of its data"},
	{"longer than any packet", 0, 262145, "262145"},
	{"as long as the longest", 0, 262144, "2 of the 262144 bytes of its data"},
	{"absurdly long", 0, 0xffffffff, "4294967295"},
};

Test(port_capture, tells_how_a_classic_capture_is_damaged)
{
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct capture_file_stats stats;
		struct capture_packet p;
		struct capture_set *s;
		struct image m;

		put_header(&m, 101);
		put_record(&m, 1, "\x45\1", 2, 2);
		put_record(&m, 2, "\x45\2", 2, 2);
		if (damages[i].len_claimed != 0) {
			size_t end = m.len;

			m.len -= 2 + 8; /* back to the last record's lengths */
			put_u32(&m, damages[i].len_claimed);
			m.len = end;
		}
		m.len -= damages[i].cut;
		s = set_of(&m, 1);
		cr_assert(capture_set_next(s, &p), "%s", damages[i].claim);
		cr_expect_not(capture_set_next(s, &p), "%s", damages[i].claim);
		cr_expect_not(capture_set_next(s, &p), "%s", damages[i].claim);
		capture_set_stats(s, 0, &stats);
		cr_expect_eq(stats.n_packets, 1, "%s", damages[i].claim);
		cr_assert_not_null(stats.damage, "%s", damages[i].claim);
		cr_expect_not_null(strstr(stats.damage, damages[i].says), "%s: %s",
			damages[i].claim, stats.damage);
		capture_set_destroy(s);
	}
}

/* Records of all sizes up to the largest, so that their ends fall everywhere in what is read at once. */
Test(port_capture, reads_records_that_lie_across_what_is_read_at_once)
{
	char path[] = "/tmp/weir-capture-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w+b") : NULL;
	uint8_t *frame = calloc(1, 262144);
	struct capture_packet p;
	struct capture_set *s;
	struct image m;

	cr_assert_not_null(f);
	cr_assert_not_null(frame);
	put_header(&m, 101);
	memcpy(m.bytes + 16, "\0\0\4\0", 4); /* a snapshot length of 262144 */
	cr_assert_eq(fwrite(m.bytes, m.len, 1, f), 1);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t len = i == 50 ? 262144 : 1 + i * i * 71;

		m.len = 0;
		put_record(&m, i, "", 0, len);
		m.len = 8;
		put_u32(&m, len);
		m.len = 16;
		frame[0] = 0x45;
		frame[len - 1] = len == 1 ? 0x45 : (uint8_t)i;
		cr_assert_eq(fwrite(m.bytes, 16, 1, f), 1);
		cr_assert_eq(fwrite(frame, len, 1, f), 1);
	}
	fclose(f);
	cr_assert_eq(capture_set_create(&s), 0);
	cr_assert_eq(capture_set_add(s, path), 0);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t len = i == 50 ? 262144 : 1 + i * i * 71;

		cr_assert(capture_set_next(s, &p), "record %u", i);
		cr_assert_eq(p.time_us, i);
		cr_assert_eq(p.len_bytes, len, "record %u: %u", i, p.len_bytes);
		cr_assert_eq(p.data[len - 1], len == 1 ? 0x45 : i, "record %u", i);
	}
	cr_expect_not(capture_set_next(s, &p));
	capture_set_destroy(s);
	unlink(path);
	free(frame);
}

Test(port_capture, says_so_when_a_file_is_not_there)
{
	struct capture_set *s;

	cr_assert_eq(capture_set_create(&s), 0);
	cr_expect_eq(capture_set_add(s, "/nonexistent/x.pcap"), -ENOENT);
	cr_expect_eq(capture_set_n_files(s), 0);
	capture_set_destroy(s);
}

Test(port_capture, reads_back_what_the_writer_wrote)
{
	char path[] = "/tmp/weir-capture-XXXXXX";
	int fd = mkstemp(path);
	struct capture_writer *w;
	struct capture_packet p;
	struct capture_set *s;
	uint8_t frame[1500] = {0x45};
	uint8_t head[24];
	FILE *f;

	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(capture_writer_create(path, CAPTURE_LINK_RAW_IP, &w), 0);
	for (uint32_t i = 0; i < 2000; i++) { /* more than a buffer */
		frame[1] = (uint8_t)i;
		capture_writer_add(w, 1700000000123456ull + i, frame, 20 + i % 1480);
	}
	cr_assert_eq(capture_writer_close(w), 0);

	f = fopen(path, "rb");
	cr_assert_not_null(f);
	cr_assert_eq(fread(head, 1, sizeof(head), f), sizeof(head));
	fclose(f);
	cr_expect_eq(
		memcmp(head, "\xd4\xc3\xb2\xa1\2\0\4\0", 8), 0, "little-endian on every machine");

	cr_assert_eq(capture_set_create(&s), 0);
	cr_assert_eq(capture_set_add(s, path), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		cr_assert(capture_set_next(s, &p), "packet %u", i);
		cr_assert_eq(p.time_us, 1700000000123456ull + i);
		cr_assert_eq(p.len_bytes, 20 + i % 1480);
		cr_assert_eq(p.data[1], (uint8_t)i);
	}
	cr_expect_not(capture_set_next(s, &p));
	capture_set_destroy(s);
	unlink(path);
}

Test(port_capture, reports_a_full_disk)
{
	struct capture_writer *w;
	uint8_t frame[1500] = {0x45};

	if (access("/dev/full", W_OK) != 0)
		cr_skip_test("no /dev/full here");
	cr_assert_eq(capture_writer_create("/dev/full", CAPTURE_LINK_RAW_IP, &w), 0);
	for (uint32_t i = 0; i < 1000; i++)
		capture_writer_add(w, i, frame, sizeof(frame));
	cr_expect_eq(capture_writer_error(w), -ENOSPC);
	cr_expect_eq(capture_writer_close(w), -ENOSPC);
}

/* The real captures beside the project, where they are. */
Test(port_capture, reads_every_real_capture_to_its_end)
{
	const char *dir = getenv("WEIR_CAPTURES") != NULL ? getenv("WEIR_CAPTURES")
							  : SOURCE_ROOT "/../shared/data/pcap";
	DIR *d = opendir(dir);
	struct dirent *e;
	uint32_t n_files = 0;

	if (d == NULL)
		cr_skip_test("no captures in %s", dir);
	while ((e = readdir(d)) != NULL) {
		struct capture_file_stats stats;
		struct capture_packet p;
		struct capture_set *s;
		char path[512];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		cr_assert_eq(capture_set_create(&s), 0);
		cr_assert_eq(capture_set_add(s, path), 0);
		while (capture_set_next(s, &p))
			cr_assert_leq(p.len_bytes, p.wire_bytes);
		capture_set_stats(s, 0, &stats);
		cr_expect_null(stats.damage, "%s: %s", path, stats.damage);
		cr_expect_eq(stats.n_link_type, 0, "%s: %s", path, stats.link_name);
		cr_expect_gt(stats.n_packets + stats.n_protocol, 0, "%s", path);
		capture_set_destroy(s);
		n_files++;
	}
	closedir(d);
	cr_expect_gt(n_files, 0);
}
