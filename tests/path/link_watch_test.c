/* SPDX-License-Identifier: BSD-3-Clause */
/* What followed uplinks learn from packets that pass: answers timed, rates moved, nothing else touched. */
#include "path_world.h"

#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/icmp_error.h>

#define FAR_US (50 * WORLD_MS)

static void follow(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].follows_link = true;
	config->ports[WORLD_UPLINK].least_bps = 16000;
}

static const struct path_world_params followed = {.tune = follow};

static struct link_stats stats_of(const struct path_world *w)
{
	struct link_stats stats;

	cr_assert(doors_link_read(w->path, WORLD_UPLINK, &stats));
	return stats;
}

static bool is_followed(const struct path_world *w)
{
	struct link_stats stats;

	return doors_link_read(w->path, WORLD_UPLINK, &stats);
}

static uint64_t rate_of(const struct path_world *w, enum direction d)
{
	struct shaper_stats stats;

	cr_assert(doors_shaper_read(w->path, WORLD_UPLINK, d, &stats));
	return stats.load.rate_bps;
}

static const uint8_t *times_of(uint8_t *room, uint32_t tsval, uint32_t tsecr)
{
	room[0] = 1;
	room[1] = 1;
	room[2] = 8;
	room[3] = 10;
	store_be32(room + 4, tsval);
	store_be32(room + 8, tsecr);
	return room;
}

struct talk {
	struct path_world *w;
	uint8_t proto;
	uint16_t remote_port;
	uint32_t seq[N_DIRECTIONS]; /* that comes next */
	uint32_t external_be;
	uint16_t external_port;
	bool has_times;
};

static uint32_t ticks(const struct talk *t, enum direction d)
{
	return (uint32_t)(t->w->now_us / WORLD_MS) + (d == UPLINK ? 1000 : 77000);
}

/* One packet of the talk, either way; it leaves on the other side. */
static void say(struct talk *t, enum direction d, struct packet_spec spec, uint32_t tsecr)
{
	uint8_t room[12];
	struct packet out;

	spec.proto = t->proto;
	if (t->has_times) {
		spec.tcp_options = times_of(room, ticks(t, d), tsecr);
		spec.tcp_options_bytes = sizeof(room);
	}
	if (d == UPLINK) {
		spec.dst_port = t->remote_port;
	} else {
		spec.src_be = PACKET_DST_BE;
		spec.src_port = t->remote_port;
		spec.dst_be = t->external_be;
		spec.dst_port = t->external_port;
	}
	path_world_put(t->w, d == UPLINK ? WORLD_LAN : WORLD_UPLINK, &spec);
	path_world_step(t->w);
	/* the shaper may hold it for a moment */
	for (int ms = 0; !path_world_take(t->w, d == UPLINK ? WORLD_UPLINK : WORLD_LAN, &out);
		ms++) {
		cr_assert_lt(ms, 20);
		path_world_pass(t->w, WORLD_MS, WORLD_MS);
	}
	if (d == UPLINK) {
		t->external_be = packet_src_be(&out);
		t->external_port = packet_src_port(&out);
	}
	packet_clean(&out);
}

static void open(struct talk *t)
{
	say(t, UPLINK, (struct packet_spec){.tcp_flags = TCP_SYN, .tcp_seq = 999}, 0);
	path_world_pass(t->w, FAR_US, WORLD_MS);
	say(t, DOWNLINK,
		(struct packet_spec){
			.tcp_flags = TCP_SYN | TCP_ACK, .tcp_seq = 4999, .tcp_ack = 1000},
		ticks(t, UPLINK) - 50);
	say(t, UPLINK, (struct packet_spec){.tcp_seq = 1000, .tcp_ack = 5000}, 0);
	t->seq[UPLINK] = 1000;
	t->seq[DOWNLINK] = 5000;
}

Test(path_link_watch, tcp_data_that_is_acknowledged_tells_the_round_trip)
{
	struct talk t = {.w = path_world_create(&followed), .proto = PROTO_TCP, .remote_port = 80};
	struct link_stats s;

	open(&t);
	s = stats_of(t.w);
	cr_assert_eq(s.n_tcp, 1, "the SYN is acknowledged too");
	cr_assert_eq(s.base_rtt_us, FAR_US);
	for (int i = 0; i < 10; i++) {
		say(&t, UPLINK,
			(struct packet_spec){
				.tcp_seq = t.seq[UPLINK], .tcp_ack = 5000, .payload_bytes = 1000},
			0);
		t.seq[UPLINK] += 1000;
		path_world_pass(t.w, FAR_US, WORLD_MS);
		say(&t, DOWNLINK, (struct packet_spec){.tcp_seq = 5000, .tcp_ack = t.seq[UPLINK]},
			0);
	}
	s = stats_of(t.w);
	cr_assert_eq(s.n_tcp, 11);
	cr_assert_eq(s.base_rtt_us, FAR_US);
	cr_assert_eq(s.radio_queue_us[UPLINK], 0);
	cr_assert_geq(rate_of(t.w, UPLINK), 2000000, "nothing says that less is carried");
	path_world_destroy(t.w);
}

Test(path_link_watch, time_stamps_tell_the_directions_apart)
{
	struct talk t = {.w = path_world_create(&followed),
		.proto = PROTO_TCP,
		.remote_port = 80,
		.has_times = true};

	open(&t);
	for (int i = 0; i < 40; i++) {
		uint32_t asked = ticks(&t, UPLINK);

		say(&t, UPLINK, (struct packet_spec){.tcp_seq = 1000, .tcp_ack = t.seq[DOWNLINK]},
			0);
		path_world_pass(t.w, FAR_US, WORLD_MS);
		for (int n = 0; n < 3; n++) {
			say(&t, DOWNLINK,
				(struct packet_spec){.tcp_seq = t.seq[DOWNLINK],
					.tcp_ack = 1000,
					.payload_bytes = 1200},
				asked);
			t.seq[DOWNLINK] += 1200;
		}
	}
	cr_assert_geq(stats_of(t.w).n_tcp, 30, "%llu", (unsigned long long)stats_of(t.w).n_tcp);
	cr_assert_geq(stats_of(t.w).n_one_way, 60);
	path_world_destroy(t.w);
}

Test(path_link_watch, behind_a_gap_the_selective_acknowledgement_tells)
{
	struct talk t = {.w = path_world_create(&followed), .proto = PROTO_TCP, .remote_port = 80};
	uint8_t sack[12] = {1, 1, 5, 10};
	struct packet_spec spec = {.tcp_seq = 5000, .tcp_ack = 1000};

	open(&t);
	/* 1000 to 2000 was lost before it came here */
	say(&t, UPLINK,
		(struct packet_spec){.tcp_seq = 2000, .tcp_ack = 5000, .payload_bytes = 1000}, 0);
	path_world_pass(t.w, FAR_US, WORLD_MS);
	store_be32(sack + 4, 2000);
	store_be32(sack + 8, 3000);
	spec.tcp_options = sack;
	spec.tcp_options_bytes = sizeof(sack);
	say(&t, DOWNLINK, spec, 0);
	cr_assert_eq(stats_of(t.w).n_tcp, 2);
	cr_assert_eq(stats_of(t.w).base_rtt_us, FAR_US);
	path_world_destroy(t.w);
}

Test(path_link_watch, a_resolver_and_a_spin_bit_tell_it_too)
{
	struct talk dns = {
		.w = path_world_create(&followed), .proto = PROTO_UDP, .remote_port = 53};
	struct talk quic = {.w = dns.w, .proto = PROTO_UDP, .remote_port = 443};
	static const uint8_t spins[2][20] = {{0x40}, {0x60}};

	say(&dns, UPLINK, (struct packet_spec){.payload_bytes = 30}, 0);
	path_world_pass(dns.w, FAR_US, WORLD_MS);
	say(&dns, DOWNLINK, (struct packet_spec){.payload_bytes = 60}, 0);
	cr_assert_eq(stats_of(dns.w).n_dns, 1);
	for (int i = 0; i < 6; i++) {
		struct packet_spec spec = {.payload = spins[i % 2], .payload_bytes = 20};

		say(&quic, UPLINK, spec, 0);
		path_world_pass(dns.w, FAR_US, WORLD_MS);
		say(&quic, DOWNLINK, spec, 0);
	}
	cr_assert_eq(stats_of(dns.w).n_quic, 5);
	cr_assert_eq(stats_of(dns.w).base_rtt_us, FAR_US);
	path_world_destroy(dns.w);
}

Test(path_link_watch, headers_that_lie_about_their_length_are_let_through_unread)
{
	static const uint8_t no_end[12] = {2, 0, 8, 0, 8, 10};
	struct talk t = {.w = path_world_create(&followed), .proto = PROTO_TCP, .remote_port = 80};
	struct packet_spec spec = {
		.proto = PROTO_TCP, .dst_port = 80, .tcp_seq = 1000, .tcp_ack = 5000};

	open(&t);
	spec.tcp_options = no_end;
	spec.tcp_options_bytes = sizeof(no_end);
	spec.payload_bytes = 10;
	path_world_put(t.w, WORLD_LAN, &spec);
	path_world_step(t.w);
	cr_assert_eq(path_world_discard(t.w, WORLD_UPLINK), 1);
	path_world_destroy(t.w);
}

Test(path_link_watch, who_does_not_follow_is_not_watched)
{
	struct talk t = {.w = path_world_create(NULL), .proto = PROTO_TCP, .remote_port = 80};

	open(&t);
	cr_assert_not(is_followed(t.w));
	cr_assert_eq(rate_of(t.w, UPLINK), 0);
	path_world_destroy(t.w);
}

Test(path_link_watch, following_can_begin_and_end_while_packets_pass)
{
	struct talk t = {.w = path_world_create(NULL), .proto = PROTO_TCP, .remote_port = 80};
	struct path_config *config = path_world_config(t.w);

	open(&t);
	config->ports[WORLD_UPLINK].follows_link = true;
	config->ports[WORLD_UPLINK].least_bps = 16000;
	config->ports[WORLD_UPLINK].uplink_bps = 1500000;
	doors_publish(t.w->path, config);
	path_world_pass(t.w, 100 * WORLD_MS, WORLD_MS);
	cr_assert(is_followed(t.w));
	cr_assert_eq(rate_of(t.w, UPLINK), 1500000, "the most is what was configured");
	config = path_world_config(t.w);
	config->ports[WORLD_UPLINK].follows_link = false;
	config->ports[WORLD_UPLINK].uplink_bps = 700000;
	config->ports[WORLD_UPLINK].queue_us = 100000;
	doors_publish(t.w->path, config);
	path_world_pass(t.w, 100 * WORLD_MS, WORLD_MS);
	cr_assert_eq(rate_of(t.w, UPLINK), 700000);
	path_world_destroy(t.w);
}

Test(path_link_watch, what_the_modem_tells_is_handed_over_whole)
{
	static const struct link_rate_hint hint = {
		.technology = LINK_RATE_NR, .cell = LINK_RATE_CELL_MAX, .rsrp_dbm = -156};
	struct path_world *w = path_world_create(&followed);
	struct link_stats s = stats_of(w);

	cr_assert_eq(s.hint_us, 0);
	cr_assert(doors_link_hint(w->path, WORLD_UPLINK, &hint, w->now_us));
	path_world_pass(w, 100 * WORLD_MS, 10 * WORLD_MS);
	s = stats_of(w);
	cr_assert_eq(s.hint.technology, hint.technology);
	cr_assert_eq(s.hint.cell, hint.cell);
	cr_assert_eq(s.hint.rsrp_dbm, hint.rsrp_dbm);
	cr_assert_eq(s.hint_us, w->now_us - 100 * WORLD_MS);
	cr_assert_not(doors_link_hint(w->path, WORLD_LAN, &hint, w->now_us));
	path_world_destroy(w);
}

/* A host that answers echo requests, and whom weir may ask. */
#define PROBED_BE V4(198, 51, 100, 77)
#define PROBE     28

static void follow_and_probe(struct path_setup *setup, struct path_config *config)
{
	struct path_port *p = &config->ports[WORLD_UPLINK];

	follow(setup, config);
	p->probe_to = ip_addr_v4(PROBED_BE);
	p->probe_every_us = 200 * WORLD_MS;
	p->uplink_bps = 2000000;
}

static const struct path_world_params probing = {.tune = follow_and_probe};

struct asked {
	uint32_t n_sent, n_answered;
	struct packet last; /* the last answer */
	bool is_deaf;
};

static void put_answer(struct path_world *w, const struct packet *answer)
{
	struct packet copy = packet_of_bytes(answer->bytes, answer->len_bytes, FRAMING_RAW_IP);

	path_world_put_frame(w, WORLD_UPLINK, copy);
}

/* A millisecond of a load that nobody answers; probes among what leaves are answered FAR_US later. */
static void load(struct path_world *w, struct asked *a, uint32_t n_packets)
{
	static struct packet held[64];
	static uint64_t due_us[64];
	static uint32_t first, n;
	struct packet p;

	for (uint32_t i = 0; i < n_packets; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){
				.proto = PROTO_UDP, .dst_port = 51820, .payload_bytes = 1200});
	for (; n > 0 && due_us[first % 64] <= w->now_us; n--, first++) {
		put_answer(w, &held[first % 64]);
		packet_clean(&a->last);
		a->last = held[first % 64];
		a->n_answered++;
	}
	path_world_pass(w, WORLD_MS, WORLD_MS);
	while (path_world_take(w, WORLD_UPLINK, &p)) {
		if (packet_ip(&p)[9] != PROTO_ICMP || packet_dst_be(&p) != PROBED_BE) {
			packet_clean(&p);
			continue;
		}
		cr_assert_eq(p.len_bytes, PROBE);
		cr_assert_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		cr_assert(packet_is_checksum_good(&p));
		a->n_sent++;
		icmp_echo_reply((uint8_t *)(uintptr_t)packet_ip(&p), PROBE);
		if (a->is_deaf || n == 64) {
			packet_clean(&a->last);
			a->last = p;
			continue;
		}
		due_us[(first + n) % 64] = w->now_us + FAR_US;
		held[(first + n++) % 64] = p;
	}
}

static void load_for(struct path_world *w, struct asked *a, uint32_t ms, uint32_t n_packets)
{
	for (uint32_t i = 0; i < ms; i++)
		load(w, a, n_packets);
}

Test(path_link_watch, a_load_that_nobody_answers_is_probed_and_what_comes_back_is_used)
{
	struct path_world *w = path_world_create(&probing);
	struct asked a = {0};
	struct link_stats s;
	struct path_stats stats;

	doors_probe_limit_set(w->path, WORLD_UPLINK, 1000000);
	load_for(w, &a, 3000, 1);
	s = stats_of(w);
	cr_assert_geq(a.n_sent, 10, "%u", a.n_sent);
	cr_assert_leq(a.n_sent, 15, "%u", a.n_sent);
	cr_assert_eq(s.probe_packets[UPLINK], a.n_sent);
	cr_assert_eq(s.probe_octets[UPLINK], a.n_sent * PROBE);
	cr_assert_eq(s.probe_octets[DOWNLINK], a.n_answered * PROBE);
	cr_assert_eq(s.n_probes, a.n_answered);
	cr_assert_eq(s.base_rtt_us, FAR_US + WORLD_MS);
	cr_assert_eq(path_world_drops(w, DROP_LOCAL_PROBE_ANSWER), a.n_answered);
	doors_stats_read(w->path, &stats);
	cr_assert_eq(stats.unsolicited_packets[WORLD_UPLINK], 0, "somebody did ask");
	packet_clean(&a.last);
	path_world_destroy(w);
}

Test(path_link_watch, no_probe_is_sent_without_a_load_or_a_limit_or_a_target)
{
	struct path_world *w = path_world_create(&probing);
	struct asked a = {0};
	struct path_config *config;

	load_for(w, &a, 1000, 1);
	cr_assert_eq(a.n_sent, 0, "no limit was set yet");
	load_for(w, &a, 20000, 0); /* until the shaper is empty */
	doors_probe_limit_set(w->path, WORLD_UPLINK, 1000000);
	load_for(w, &a, 1000, 0);
	cr_assert_eq(a.n_sent, 0, "nothing waits, nothing passes");
	config = path_world_config(w);
	config->ports[WORLD_UPLINK].probe_to = (struct ip_addr){.words = {0}};
	doors_publish(w->path, config);
	load_for(w, &a, 1000, 1);
	cr_assert_eq(a.n_sent, 0, "nobody is to be asked");
	path_world_destroy(w);
}

Test(path_link_watch, probes_end_at_their_limit_with_room_for_their_answers)
{
	struct path_world *w = path_world_create(&probing);
	struct asked a = {0};

	doors_probe_limit_set(w->path, WORLD_UPLINK, 10 * PROBE + 1);
	load_for(w, &a, 4000, 1);
	cr_assert_eq(a.n_sent, 5);
	cr_assert_eq(
		stats_of(w).probe_octets[UPLINK] + stats_of(w).probe_octets[DOWNLINK], 10 * PROBE);
	doors_probe_limit_set(w->path, WORLD_UPLINK, 20 * PROBE);
	load_for(w, &a, 4000, 1);
	cr_assert_eq(a.n_sent, 10, "another cycle");
	packet_clean(&a.last);
	path_world_destroy(w);
}

Test(path_link_watch, who_does_not_answer_is_asked_less_and_less)
{
	struct path_world *w = path_world_create(&probing);
	struct asked a = {.is_deaf = true};

	doors_probe_limit_set(w->path, WORLD_UPLINK, 1000000);
	load_for(w, &a, 60000, 1);
	cr_assert_leq(a.n_sent, 60, "%u", a.n_sent);
	cr_assert_eq(stats_of(w).n_probes, 0);
	cr_assert_eq(stats_of(w).seen_us[UPLINK], 0);
	packet_clean(&a.last);
	path_world_destroy(w);
}

Test(path_link_watch, only_who_was_asked_can_answer_and_only_once)
{
	struct path_world *w = path_world_create(&probing);
	struct asked a = {.is_deaf = true};
	static const struct {
		uint8_t at, mask;
	} lies[] = {
		{15, 1}, /* from another host */
		{25, 1}, /* another identifier */
		{27, 1}, /* another sequence */
		{22, 1}, /* a wrong checksum */
	};

	doors_probe_limit_set(w->path, WORLD_UPLINK, 1000000);
	load_for(w, &a, 1000, 1);
	cr_assert_geq(a.n_sent, 1);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct packet lie = packet_of_bytes(a.last.bytes, a.last.len_bytes, FRAMING_RAW_IP);
		uint8_t *ip = lie.bytes;

		ip[lies[i].at] ^= lies[i].mask;
		store16(ip + 10, 0);
		store16(ip + 10, checksum_of(ip, 20));
		if (lies[i].at > 22) {
			store16(ip + 22, 0);
			store16(ip + 22, checksum_of(ip + 20, 8));
		}
		path_world_put_frame(w, WORLD_UPLINK, lie);
		path_world_pass(w, WORLD_MS, WORLD_MS);
		cr_assert_eq(stats_of(w).n_probes, 0, "lie %zu", i);
	}
	for (int i = 0; i < 2; i++) {
		put_answer(w, &a.last);
		path_world_pass(w, WORLD_MS, WORLD_MS);
		cr_assert_eq(stats_of(w).n_probes, 1, "and not twice");
	}
	packet_clean(&a.last);
	path_world_destroy(w);
}

Test(path_link_watch, beside_tcp_that_is_answered_no_probe_is_sent)
{
	struct talk t = {.w = path_world_create(&probing), .proto = PROTO_TCP, .remote_port = 80};

	doors_probe_limit_set(t.w->path, WORLD_UPLINK, 1000000);
	open(&t);
	for (int i = 0; i < 40; i++) {
		for (int n = 0; n < 6; n++, t.seq[UPLINK] += 1000)
			say(&t, UPLINK,
				(struct packet_spec){.tcp_seq = t.seq[UPLINK],
					.tcp_ack = 5000,
					.payload_bytes = 1000},
				0);
		path_world_pass(t.w, FAR_US, WORLD_MS);
		say(&t, DOWNLINK, (struct packet_spec){.tcp_seq = 5000, .tcp_ack = t.seq[UPLINK]},
			0);
	}
	cr_assert_eq(stats_of(t.w).probe_packets[UPLINK], 0);
	path_world_destroy(t.w);
}
