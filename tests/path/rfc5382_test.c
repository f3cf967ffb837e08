/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5382, NAT and TCP, as RFC 7857 updates it: one test a requirement, named after it. docs/nat.md has the table. */
#include "dialogue.h"

#include <string.h>

#define ESTABLISHED_US (7440 * WORLD_S) /* 2 hours 4 minutes */
#define TRANSITORY_US  (240 * WORLD_S)
#define HANDSHAKE      ">S <SA >A"

static const struct packet_spec conversation = {.proto = PROTO_TCP};

/* REQ-1. */
Test(path_rfc5382, req1_an_internal_endpoint_has_one_external_endpoint_towards_all)
{
	const uint32_t servers[] = {SERVER_BE, SERVER_B_BE, STRANGER_BE};
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.proto = PROTO_TCP, .tcp_flags = TCP_SYN};
	uint16_t port;

	say(w, &s);
	s.src_be = HOST_B_BE;
	port = say(w, &s);
	cr_expect_neq(port, PACKET_SRC_PORT);
	for (uint32_t i = 0; i < N_OF(servers); i++)
		for (uint16_t dst_port = 80; dst_port < 84; dst_port++) {
			s.dst_be = servers[i];
			s.dst_port = dst_port;
			cr_expect_eq(say(w, &s), port);
			cr_expect(is_answered(w, &s, port));
		}
	path_world_destroy(w);
}

/* REQ-2: valid sequences of a connection that the inside opens. */
Test(path_rfc5382, req2_every_legal_dialogue_opened_inside_passes)
{
	static const char *const scripts[] = {
		HANDSHAKE " >PA <A <PA >A >FA <FA >A", /* plain */
		">S >S >S <SA <SA >A >A <PA",          /* both sides repeat themselves */
		">SP <SAP >A",                         /* data on the SYN (RFC 7413) */
		">SP <SA <PA >A",                      /* the server speaks first (RFC 7413) */
		">SEC <SAE >A >PA <PAE",               /* ECN (RFC 3168 6.1.1) */
		">S <S >SA <A >PA <PA",                /* simultaneous open */
		">S <S >SA <SA >PA <PA",               /* its last figure: both SYN-ACKs cross */
		">S <S >SA <SA >A <A >FA <FA >A <A",   /* and a close in both at once */
		HANDSHAKE " >FA <A <PA <PA >A <FA >A", /* half closed, the server goes on */
		HANDSHAKE " <FA >A >PA >PA <A >FA <A", /* half closed, the host goes on */
		HANDSHAKE " >FA <FA >A <A",            /* both close at once */
		HANDSHAKE " >FA <FA >A <FA >A",        /* the last ACK was lost */
		HANDSHAKE " >FA <FA >A >S <SA >A >PA", /* the same ports again (RFC 6191) */
		HANDSHAKE " <S >A <R",           /* a SYN in the window, challenged, then reset */
		HANDSHAKE " >S <A >R >S <SA >A", /* a host that was restarted (RFC 9293 3.5.1) */
		">S <RA",                        /* refused */
		">S <RA >S <RA >S <SA >A",       /* refused until the server is there */
		HANDSHAKE " >R",                 /* given up */
		HANDSHAKE " >PA <PA >A <RA",     /* reset by the server */
		">S <A >R >S <SA >A",            /* an old half-open connection at the server */
	};

	for (uint32_t i = 0; i < N_OF(scripts); i++) {
		struct path_world *w = path_world_create(NULL);

		play(w, &conversation, scripts[i]);
		path_world_destroy(w);
	}
}

/* REQ-2: and of one that the outside opens towards an endpoint that has a mapping, where the filter permits it. */
Test(path_rfc5382, req2_every_legal_dialogue_opened_outside_passes)
{
	static const char *const scripts[] = {
		"<S >SA <A >PA <PA >A <FA >A >FA <A",
		"<S <S >SA >SA <A",
		"<SP >SA <A",
		"<S >S <SA >SA <A >A",
		"<S >S <SA >A <PA",
		"<S >RA",
		"<S >RA <S >SA <A <PA",
		"<S >SA <A <FA >FA <A",
		"<S >SA <A <FA >A >PA >PA >FA <A",
	};

	for (uint32_t i = 0; i < N_OF(scripts); i++) {
		struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
		struct packet_spec from_b = conversation;

		/* A listening host has a mapping by some other connection. */
		play(w, &conversation, HANDSHAKE);
		from_b.dst_be = SERVER_B_BE;
		from_b.dst_port = 1234;
		play(w, &from_b, scripts[i]);
		path_world_destroy(w);
	}
}

/* REQ-2 (a): simultaneous open where the outside is first: its SYN is not let in, but the host's makes the connection, and
 * the repeated one passes. */
Test(path_rfc5382, req2a_a_simultaneous_open_works_whoever_is_first)
{
	const enum nat_filtering filters[] = {
		NAT_FILTER_ADDRESS_DEPENDENT, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT};

	for (uint32_t i = 0; i < N_OF(filters); i++) {
		struct path_world *w = world_with_filter(filters[i]);
		struct packet_spec s = conversation;
		struct packet_spec syn;

		play(w, &conversation, HANDSHAKE);
		s.dst_be = SERVER_B_BE;
		syn = reply_to(&s, PACKET_SRC_PORT);
		syn.tcp_flags = TCP_SYN;
		cr_expect(!passes(w, WORLD_UPLINK, &syn, WORLD_LAN, NULL));
		play(w, &s, ">S <S >SA <SA >PA <PA");
		path_world_destroy(w);
	}
}

/* REQ-3. */
Test(path_rfc5382, req3_each_filter_admits_whom_it_says)
{
	const struct {
		enum nat_filtering filtering;
		bool admits[3]; /* its address, another port; another host, its port; a stranger */
	} cases[] = {
		{NAT_FILTER_ENDPOINT_INDEPENDENT, {true, true, true}},
		{NAT_FILTER_ADDRESS_DEPENDENT, {true, false, false}},
		{NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT, {false, false, false}},
	};
	const struct packet_spec from[3] = {{.src_be = SERVER_BE, .src_port = 1},
		{.src_be = SERVER_B_BE, .src_port = PACKET_DST_PORT},
		{.src_be = STRANGER_BE, .src_port = 7}};

	for (uint32_t i = 0; i < N_OF(cases); i++)
		for (uint32_t who = 0; who < 3; who++) {
			struct path_world *w = world_with_filter(cases[i].filtering);
			struct packet_spec s = from[who];

			play(w, &conversation, HANDSHAKE);
			s.proto = PROTO_TCP;
			s.tcp_flags = TCP_SYN;
			s.dst_be = WORLD_UPLINK_BE;
			s.dst_port = PACKET_SRC_PORT;
			cr_expect_eq(passes(w, WORLD_UPLINK, &s, WORLD_LAN, NULL),
				cases[i].admits[who], "filter %u, sender %u", i, who);
			path_world_destroy(w);
		}
}

/* A SYN from a stranger to a port that a mapping has, or to one that none has. */
static struct packet_spec unsolicited_syn(uint16_t dst_port)
{
	return (struct packet_spec){.proto = PROTO_TCP,
		.tcp_flags = TCP_SYN,
		.src_be = STRANGER_BE,
		.src_port = 5555,
		.dst_be = WORLD_UPLINK_BE,
		.dst_port = dst_port};
}

/* A world whose configuration has nat.unsolicited_syn: tell. */
static struct path_world *telling_world(void)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);

	config->tells_unsolicited_syn = true;
	doors_publish(w->path, config);
	return w;
}

/* REQ-4: no answer to an unsolicited SYN for six seconds. */
Test(path_rfc5382, req4_an_unsolicited_syn_is_not_answered_for_six_seconds)
{
	const uint16_t ports[] = {PACKET_SRC_PORT, 22};

	for (uint32_t i = 0; i < N_OF(ports); i++) {
		struct path_world *w = telling_world();
		struct packet_spec syn = unsolicited_syn(ports[i]);

		play(w, &conversation, HANDSHAKE);
		path_world_put(w, WORLD_UPLINK, &syn);
		path_world_step(w);
		path_world_pass(w, 6 * WORLD_S - WORLD_MS, 100 * WORLD_MS);
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* REQ-4: nor at all when the inside opens the connection meanwhile. */
Test(path_rfc5382, req4_an_unsolicited_syn_is_forgotten_when_the_inside_opens)
{
	struct path_world *w = telling_world();
	struct packet_spec syn = unsolicited_syn(PACKET_SRC_PORT);
	struct packet_spec s = {
		.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .dst_be = STRANGER_BE, .dst_port = 5555};

	play(w, &conversation, HANDSHAKE);
	path_world_put(w, WORLD_UPLINK, &syn);
	path_world_step(w);
	path_world_pass(w, 3 * WORLD_S, 100 * WORLD_MS);
	cr_expect_eq(say(w, &s), PACKET_SRC_PORT);
	path_world_pass(w, 10 * WORLD_S, 100 * WORLD_MS);
	expect_silence(w);
	path_world_destroy(w);
}

/* REQ-4: else it is told, once, that there is nobody. */
Test(path_rfc5382, req4_an_unsolicited_syn_is_answered_by_port_unreachable_after_six_seconds)
{
	struct path_world *w = telling_world();
	struct packet_spec syn = unsolicited_syn(PACKET_SRC_PORT);
	struct packet p, quoted;

	play(w, &conversation, HANDSHAKE);
	path_world_put(w, WORLD_UPLINK, &syn);
	path_world_step(w);
	path_world_pass(w, 8 * WORLD_S, 100 * WORLD_MS);
	cr_assert(path_world_take(w, WORLD_UPLINK, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_PORT);
	cr_expect_eq(packet_dst_be(&p), STRANGER_BE);
	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	quoted = quote_of(&p);
	expect_ends(&quoted, STRANGER_BE, 5555, WORLD_UPLINK_BE, PACKET_SRC_PORT);
	packet_clean(&quoted);
	packet_clean(&p);
	path_world_pass(w, 8 * WORLD_S, 100 * WORLD_MS);
	expect_silence(w);
	path_world_destroy(w);
}

/* REQ-4: one that is repeated is told once, all are told as often as errors may be, and by default nobody is: the carrier
 * bills the answers. */
Test(path_rfc5382, req4_whoever_repeats_an_unsolicited_syn_is_told_once)
{
	for (uint32_t tells = 0; tells < 2; tells++) {
		struct path_world *w = tells != 0 ? telling_world() : path_world_create(NULL);
		struct packet_spec syn = unsolicited_syn(22);

		for (int i = 0; i < 3; i++) {
			path_world_put(w, WORLD_UPLINK, &syn);
			path_world_step(w);
			path_world_pass(w, WORLD_S, 100 * WORLD_MS);
		}
		path_world_pass(w, 20 * WORLD_S, 100 * WORLD_MS);
		cr_expect_eq(path_world_discard(w, WORLD_UPLINK), tells);
		path_world_destroy(w);
	}
}

/* True when the connection is there after `idle_us`: a segment from outside passes. */
static bool lives_after(const char *script, uint64_t idle_us)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec back = reply_to(&conversation, PACKET_SRC_PORT);
	bool lives;

	play(w, &conversation, script);
	wait_for(w, idle_us);
	back.tcp_flags = TCP_ACK;
	lives = passes(w, WORLD_UPLINK, &back, WORLD_LAN, NULL);
	path_world_destroy(w);
	return lives;
}

static void expect_timeout(const char *script, uint64_t timeout_us)
{
	cr_expect(lives_after(script, timeout_us - WORLD_MS), "\"%s\" ends too early", script);
	cr_expect(!lives_after(script, timeout_us + WORLD_S), "\"%s\" does not end", script);
}

/* REQ-5, section 5: partially open until both ends have sent an ACK: 4 minutes; established: 2 hours 4 minutes. */
Test(path_rfc5382, req5_opening_and_established_connections_are_kept_as_long_as_they_must)
{
	expect_timeout(">S", TRANSITORY_US);
	expect_timeout(">S >S", TRANSITORY_US);
	expect_timeout(">S <SA", TRANSITORY_US);
	expect_timeout(">S <S", TRANSITORY_US);
	expect_timeout(HANDSHAKE, ESTABLISHED_US);
	expect_timeout(HANDSHAKE " >PA <A", ESTABLISHED_US);
	expect_timeout(">S <S >SA <A", ESTABLISHED_US);
}

/* REQ-5: whoever configures nothing gets no less. */
Test(path_rfc5382, req5_no_timer_is_configured_below_what_is_demanded)
{
	struct path_config *pc = default_path_config();

	cr_expect_geq(pc->timeouts.tcp_established_ms, 7440 * 1000);
	cr_expect_geq(pc->timeouts.tcp_transitory_ms, 240 * 1000);
	path_config_destroy(pc);
}

/* REQ-5: both SYN-ACKs of a simultaneous open are ACKs in both directions: it is established. */
Test(path_rfc5382, req5_a_simultaneous_open_is_established_by_its_syn_acks)
{
	expect_timeout(">S <S >SA <SA", ESTABLISHED_US);
}

/* REQ-5: one FIN does not begin the closing phase: FIN-WAIT-2 and CLOSE-WAIT are established. */
Test(path_rfc5382, req5_a_half_closed_connection_is_kept_like_an_open_one)
{
	expect_timeout(HANDSHAKE " >FA <A", ESTABLISHED_US);
	expect_timeout(HANDSHAKE " <FA >A", ESTABLISHED_US);
	expect_timeout(HANDSHAKE " >FA <A <PA >A", ESTABLISHED_US);
}

/* REQ-5: the closing phase, FINs from both and not all acknowledged: transitory. */
Test(path_rfc5382, req5_a_closing_connection_is_kept_four_minutes)
{
	expect_timeout(HANDSHAKE " >FA <FA", TRANSITORY_US);
	expect_timeout(HANDSHAKE " >FA <FA <FA", TRANSITORY_US);
}

/* REQ-6: no ALG: what FTP says of addresses goes as it came. */
Test(path_rfc5382, req6_payloads_are_nobodys_business)
{
	static const char ftp[] = "PORT 192,168,50,10,156,64\r\n";
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.proto = PROTO_TCP,
		.dst_port = 21,
		.payload = (const uint8_t *)ftp,
		.payload_bytes = sizeof(ftp)};
	struct packet p;

	s.tcp_flags = TCP_SYN;
	cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, &p));
	cr_expect_arr_eq(packet_l4(&p) + 20, ftp, sizeof(ftp));
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-7: no port overloading; RFC 7857 section 3 would allow overlapping, which weir does not do. */
Test(path_rfc5382, req7_no_two_hosts_share_an_external_port)
{
	struct path_world *w = path_world_create(NULL);
	bool is_taken[65536] = {false};

	for (uint8_t i = 0; i < 30; i++)
		for (uint16_t n = 0; n < 4; n++) {
			struct packet_spec s = {.proto = PROTO_TCP,
				.tcp_flags = TCP_SYN,
				.src_be = V4(192, 168, 50, 20 + i),
				.src_port = (uint16_t)(5000 + n),
				.dst_be = V4(198, 51, 100, i)};
			uint16_t port = say(w, &s);

			cr_expect(!is_taken[port], "port %u twice", port);
			is_taken[port] = true;
		}
	path_world_destroy(w);
}

/* A segment between two LAN hosts by the external address. */
static bool turns(struct path_world *w, bool from_a, uint8_t flags)
{
	struct packet_spec s = {.proto = PROTO_TCP,
		.tcp_flags = flags,
		.src_be = from_a ? HOST_A_BE : HOST_B_BE,
		.src_port = from_a ? 7000 : 8000,
		.dst_be = WORLD_UPLINK_BE,
		.dst_port = from_a ? 8000 : 7000};
	struct packet p;

	if (!passes(w, WORLD_LAN, &s, WORLD_LAN, &p))
		return false;
	expect_ends(&p, WORLD_UPLINK_BE, s.src_port, from_a ? HOST_B_BE : HOST_A_BE, s.dst_port);
	packet_clean(&p);
	return true;
}

static struct path_world *world_with_two_hosts(enum nat_filtering filtering)
{
	struct path_world *w = world_with_filter(filtering);
	struct packet_spec s = {.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .src_port = 7000};

	say(w, &s);
	s.src_be = HOST_B_BE;
	s.src_port = 8000;
	say(w, &s);
	return w;
}

/* REQ-8, (a). */
Test(path_rfc5382, req8_a_hairpinned_connection_has_the_external_source)
{
	const uint8_t dialogue[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH,
		TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK};
	struct path_world *w = world_with_two_hosts(NAT_FILTER_ENDPOINT_INDEPENDENT);

	for (uint32_t i = 0; i < N_OF(dialogue); i++)
		cr_expect(turns(w, i % 2 == 0, dialogue[i]), "segment %u", i);
	path_world_destroy(w);
}

/* REQ-8 with REQ-2 (a): both hosts open at once; with a filter the first SYN is lost and comes again. */
Test(path_rfc5382, req8_a_simultaneous_open_is_hairpinned_through_every_filter)
{
	const enum nat_filtering filters[] = {NAT_FILTER_ENDPOINT_INDEPENDENT,
		NAT_FILTER_ADDRESS_DEPENDENT, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT};

	for (uint32_t i = 0; i < N_OF(filters); i++) {
		struct path_world *w = world_with_two_hosts(filters[i]);

		cr_expect_eq(
			turns(w, true, TCP_SYN), filters[i] == NAT_FILTER_ENDPOINT_INDEPENDENT);
		cr_expect(turns(w, false, TCP_SYN), "filter %u", i);
		cr_expect(turns(w, true, TCP_SYN), "filter %u", i);
		cr_expect(turns(w, true, TCP_SYN | TCP_ACK));
		cr_expect(turns(w, false, TCP_SYN | TCP_ACK));
		cr_expect(turns(w, true, TCP_ACK | TCP_PSH));
		cr_expect(turns(w, false, TCP_ACK | TCP_PSH));
		path_world_destroy(w);
	}
}

/* An unreachable of each code about an established connection; fails the test when one does not arrive. */
static void hear_unreachables(struct path_world *w)
{
	struct packet_spec s = {.proto = PROTO_TCP, .tcp_flags = TCP_ACK, .payload_bytes = 40};
	struct packet sent;

	cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, &sent));
	for (uint8_t code = 0; code < 16; code++) {
		struct packet p, quoted;

		cr_assert(passes(w, WORLD_UPLINK,
				  &(struct packet_spec){.proto = PROTO_ICMP,
					  .icmp_type = ICMP_UNREACHABLE,
					  .icmp_code = code,
					  .icmp_seq = 1300,
					  .src_be = ROUTER_BE,
					  .dst_be = WORLD_UPLINK_BE,
					  .quoted = &sent},
				  WORLD_LAN, &p),
			"code %u", code);
		quoted = quote_of(&p);
		expect_ends(&quoted, HOST_A_BE, PACKET_SRC_PORT, SERVER_BE, PACKET_DST_PORT);
		cr_expect_eq(packet_l4(&p)[1], code);
		packet_clean(&quoted);
		packet_clean(&p);
	}
	packet_clean(&sent);
}

/* REQ-9, REQ-10: Destination Unreachable is translated and ends neither mapping nor connection. */
Test(path_rfc5382, req9_req10_unreachable_arrives_and_ends_nothing)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec back = reply_to(&conversation, PACKET_SRC_PORT);

	play(w, &conversation, HANDSHAKE);
	hear_unreachables(w);
	wait_for(w, ESTABLISHED_US - WORLD_MS);
	back.tcp_flags = TCP_ACK;
	cr_expect(passes(w, WORLD_UPLINK, &back, WORLD_LAN, NULL));
	path_world_destroy(w);
}

/* RFC 7857 section 2.2: a reset passes both ways. */
Test(path_rfc5382, rfc7857_s2_2_a_reset_is_translated)
{
	struct path_world *w = path_world_create(NULL);

	play(w, &conversation, HANDSHAKE " <R");
	play(w, &conversation, ">S <SA >A >R <R");
	path_world_destroy(w);
}

/* RFC 7857 section 2.2: what a reset ends is kept for four minutes. */
Test(path_rfc5382, rfc7857_s2_2_a_reset_connection_is_kept_four_minutes)
{
	expect_timeout(HANDSHAKE " <R", TRANSITORY_US);
	expect_timeout(HANDSHAKE " >R", TRANSITORY_US);
	expect_timeout(">S <RA", TRANSITORY_US);
}

/* RFC 7857 section 2 (figure 1): data after a reset shows that the hosts did not believe it. */
Test(path_rfc5382, rfc7857_s2_data_after_a_reset_makes_the_connection_established_again)
{
	expect_timeout(HANDSHAKE " <R >PA <A", ESTABLISHED_US);
}

/* A connection with known sequence numbers: 1000 and 9000 were the SYNs', and each side has said 100 octets. */
static void converse(struct path_world *w)
{
	const struct {
		bool is_up;
		uint8_t flags;
		uint32_t seq, ack, octets;
	} steps[] = {{true, TCP_SYN, 1000, 0, 0}, {false, TCP_SYN | TCP_ACK, 9000, 1001, 0},
		{true, TCP_ACK, 1001, 9001, 100}, {false, TCP_ACK, 9001, 1101, 100},
		{true, TCP_ACK, 1101, 9101, 0}};

	for (uint32_t i = 0; i < N_OF(steps); i++) {
		struct packet_spec s = conversation;

		if (!steps[i].is_up)
			s = reply_to(&s, PACKET_SRC_PORT);
		s.tcp_flags = steps[i].flags;
		s.tcp_seq = steps[i].seq;
		s.tcp_ack = steps[i].ack;
		s.payload_bytes = steps[i].octets;
		cr_assert(passes(w, steps[i].is_up ? WORLD_LAN : WORLD_UPLINK, &s,
			steps[i].is_up ? WORLD_UPLINK : WORLD_LAN, NULL));
	}
}

/* True when the connection is idle for two hours and lives, after a reset from outside with this sequence number. */
static bool survives_reset(uint32_t seq)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec rst = reply_to(&conversation, PACKET_SRC_PORT);
	struct packet_spec back = rst;
	bool lives;

	converse(w);
	rst.tcp_flags = TCP_RST;
	rst.tcp_seq = seq;
	path_world_put(w, WORLD_UPLINK, &rst);
	path_world_step(w);
	path_world_discard(w, WORLD_LAN);
	wait_for(w, ESTABLISHED_US - WORLD_MS);
	back.tcp_flags = TCP_ACK;
	back.tcp_seq = 9101;
	back.tcp_ack = 1101;
	lives = passes(w, WORLD_UPLINK, &back, WORLD_LAN, NULL);
	path_world_destroy(w);
	return lives;
}

/* RFC 7857 section 2.2: a reset counts only when its sequence number shows that its sender knows the connection. */
Test(path_rfc5382, rfc7857_s2_2_a_reset_with_the_connections_sequence_number_counts)
{
	cr_expect(!survives_reset(9101));
}

Test(path_rfc5382, rfc7857_s2_2_a_blind_reset_changes_nothing)
{
	cr_expect(survives_reset(9101 + (1u << 30)));
	cr_expect(survives_reset(9101 - (1u << 30)));
	cr_expect(survives_reset(0));
}

/* RFC 7857 section 6: what the inside sends because of packets from outside does not hold the mapping open. */
Test(path_rfc5382, rfc7857_s6_resets_and_errors_sent_outward_do_not_refresh)
{
	struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
	struct packet_spec rst = conversation;
	struct packet_spec knock = reply_to(&conversation, PACKET_SRC_PORT);

	play(w, &conversation, ">S <RA");
	knock.tcp_flags = TCP_ACK;
	rst.tcp_flags = TCP_RST;
	for (int i = 0; i < 9; i++) { /* once in half a minute */
		wait_for(w, 30 * WORLD_S);
		path_world_put(w, WORLD_LAN, &rst);
		path_world_step(w);
	}
	cr_expect(!passes(w, WORLD_UPLINK, &knock, WORLD_LAN, NULL));
	path_world_destroy(w);
}

/* RFC 7857 section 8, RFC 6056: a port that must be another one is no guess from the last. */
Test(path_rfc5382, rfc7857_s8_replaced_ports_do_not_follow_each_other)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.proto = PROTO_TCP, .tcp_flags = TCP_SYN};
	int last = 0;
	uint32_t n_near = 0;

	for (uint16_t i = 0; i < 100; i++) {
		int port;

		s.src_port = (uint16_t)(5000 + i);
		s.src_be = HOST_A_BE;
		say(w, &s);
		s.src_be = HOST_B_BE;
		port = say(w, &s);
		n_near += abs(port - last) < 64;
		last = port;
	}
	cr_expect_leq(n_near, 5, "%u of 100 ports lie beside the one before", n_near);
	path_world_destroy(w);
}

/* RFC 4459 3.2, RFC 6691: the MSS of a SYN is brought down wherever its option stands, and nothing else changes. */
Test(path_rfc5382, the_mss_is_clamped_wherever_its_option_stands)
{
	const struct {
		const char *what;
		uint8_t options[20];
		uint8_t len, at; /* at: of the value; 0: must not change */
	} cases[] = {
		{"alone", {2, 4, 5, 180}, 4, 2},
		{"after a NOP, at an odd offset", {1, 2, 4, 5, 180, 1, 1, 1}, 8, 3},
		{"after SACK-permitted and timestamps",
			{4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 2, 4, 5, 180}, 16, 14},
		{"last, after a window scale of 3", {3, 3, 7, 2, 4, 5, 180, 0}, 8, 5},
		{"after an unknown option", {254, 6, 1, 2, 3, 4, 2, 4, 5, 180, 1, 1}, 12, 8},
		{"behind the end of options", {0, 2, 4, 5, 180, 0, 0, 0}, 8, 0},
		{"inside another option", {254, 6, 2, 4, 5, 180, 1, 1}, 8, 0},
		{"of a wrong length", {2, 3, 5, 180}, 4, 0},
		{"cut off by the header's end", {1, 2, 4, 5}, 4, 0},
		{"small enough", {2, 4, 2, 24}, 4, 0},
		{"none", {1, 1, 1, 1}, 4, 0},
	};

	for (uint32_t i = 0; i < 2 * N_OF(cases); i++) {
		bool is_up = i % 2 == 0;
		struct path_world *w = path_world_create(NULL);
		struct path_config *config = path_world_config(w);
		struct packet_spec s = conversation;
		uint8_t expected[20];
		struct packet p;

		config->ports[WORLD_UPLINK].mtu = 1400;
		doors_publish(w->path, config);
		path_world_pass(w, 2 * WORLD_MS, WORLD_MS);
		s.tcp_flags = TCP_SYN;
		if (!is_up) {
			say(w, &s);
			s = reply_to(&s, PACKET_SRC_PORT);
		}
		s.tcp_options = cases[i / 2].options;
		s.tcp_options_bytes = cases[i / 2].len;
		memcpy(expected, cases[i / 2].options, sizeof(expected));
		if (cases[i / 2].at != 0)
			store_be16(expected + cases[i / 2].at, 1360);
		cr_assert(passes(w, is_up ? WORLD_LAN : WORLD_UPLINK, &s,
				  is_up ? WORLD_UPLINK : WORLD_LAN, &p),
			"%s", cases[i / 2].what);
		cr_expect_arr_eq(packet_l4(&p) + 20, expected, cases[i / 2].len, "%s, up %d",
			cases[i / 2].what, is_up);
		packet_clean(&p);
		path_world_destroy(w);
	}
}
