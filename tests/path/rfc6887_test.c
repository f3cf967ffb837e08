/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 6887, the Port Control Protocol, and RFC 6886, NAT-PMP: what hosts ask the gateway for, and what strangers may then do.
 * One test a requirement, named after its section. docs/nat.md has the table. */
#include "dialogue.h"

#include <weir/packet/pcp.h>

#include <string.h>

#define N_ALLOWED  4
#define LIFETIME_S 3600

enum {
	AT_LIFETIME = 4,
	AT_EPOCH = 8,
	AT_NONCE = 24,
	AT_PROTO = 36,
	AT_INTERNAL_PORT = 40,
	AT_EXTERNAL_PORT = 42,
	AT_EXTERNAL = 44,
	AT_REMOTE_PORT = 60,
	AT_REMOTE = 64,
};

/* A message on its way, and what came back. */
struct message {
	uint8_t bytes[1472];
	uint32_t len;
};

static uint32_t be32(const struct message *m, uint32_t at)
{
	return ntohl(load32(m->bytes + at));
}

static void put32(struct message *m, uint32_t at, uint32_t value)
{
	store32(m->bytes + at, htonl(value));
}

static void put_addr(struct message *m, uint32_t at, uint32_t v4_be)
{
	struct ip_addr addr = ip_addr_v4(v4_be);

	memcpy(m->bytes + at, &addr, sizeof(addr));
}

/* A request of host A. */
static struct message request(uint8_t opcode, uint32_t len, uint32_t lifetime_s)
{
	struct message m = {.len = len};

	m.bytes[0] = 2;
	m.bytes[1] = opcode;
	put32(&m, AT_LIFETIME, lifetime_s);
	put_addr(&m, 8, HOST_A_BE);
	return m;
}

static struct message map(uint8_t proto, uint16_t port, uint16_t wanted, uint32_t lifetime_s)
{
	struct message m = request(PCP_MAP, 60, lifetime_s);

	memset(m.bytes + AT_NONCE, 0x5a, PCP_NONCE_BYTES);
	m.bytes[AT_PROTO] = proto;
	store_be16(m.bytes + AT_INTERNAL_PORT, port);
	store_be16(m.bytes + AT_EXTERNAL_PORT, wanted);
	put_addr(&m, AT_EXTERNAL, 0);
	return m;
}

static struct message peer(
	uint16_t port, uint32_t remote_be, uint16_t remote_port, uint32_t lifetime_s)
{
	struct message m = map(PROTO_UDP, port, 0, lifetime_s);

	m.len = 80;
	m.bytes[1] = PCP_PEER;
	store_be16(m.bytes + AT_REMOTE_PORT, remote_port);
	put_addr(&m, AT_REMOTE, remote_be);
	return m;
}

static void add_option(struct message *m, uint8_t code, const uint8_t *data, uint16_t len)
{
	m->bytes[m->len] = code;
	store_be16(m->bytes + m->len + 2, len);
	if (len > 0)
		memcpy(m->bytes + m->len + 4, data, len);
	m->len += 4u + ((len + 3u) & ~3u);
}

/* Only this prefix of the outside may use the mapping, from this port or (0) any. */
static void add_filter(struct message *m, uint32_t v4_be, uint8_t len_bits, uint16_t port)
{
	struct message data = {0};

	data.bytes[1] = len_bits;
	store_be16(data.bytes + 2, port);
	put_addr(&data, 4, v4_be);
	add_option(m, 3, data.bytes, 20);
}

static void enable(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_LAN].pcp = true;
	config->pcp = (struct lease_limits){.per_device = N_ALLOWED, .lifetime_max_s = 7200};
}

static struct path_world *world_with(void (*tune)(struct path_setup *, struct path_config *))
{
	struct path_world_params params = {.tune = tune};
	struct path_world *w = path_world_create(&params);

	path_world_step(w);
	path_world_discard(w, WORLD_LAN); /* the first announcement */
	path_world_discard(w, WORLD_LAN2);
	return w;
}

static struct path_world *world(void)
{
	return world_with(enable);
}

/* Sends a message from a host; true when the gateway answers it, in a datagram back to where it came from. */
static bool is_told(
	struct path_world *w, uint32_t host_be, const struct message *said, struct message *ret)
{
	struct packet_spec spec = {.src_be = host_be,
		.src_port = 5350,
		.dst_be = WORLD_LAN_BE,
		.dst_port = PCP_SERVER_PORT,
		.payload = said->bytes,
		.payload_bytes = said->len};
	struct packet p;

	path_world_discard(w, WORLD_LAN); /* announcements */
	path_world_put(w, WORLD_LAN, &spec);
	path_world_step(w);
	if (!path_world_take(w, WORLD_LAN, &p))
		return false;
	cr_expect(packet_is_checksum_good(&p));
	expect_ends(&p, WORLD_LAN_BE, PCP_SERVER_PORT, host_be, 5350);
	ret->len = load_be16(packet_l4(&p) + 4) - 8u;
	memcpy(ret->bytes, packet_l4(&p) + 8, ret->len);
	packet_clean(&p);
	return true;
}

static struct message ask(struct path_world *w, const struct message *said)
{
	struct message answer = {0};

	cr_assert(is_told(w, HOST_A_BE, said, &answer));
	return answer;
}

/* The result of what host A asks. */
static uint8_t result_of(struct path_world *w, const struct message *said)
{
	struct message answer = ask(w, said);

	cr_expect_eq(answer.bytes[0], 2);
	cr_expect_eq(answer.bytes[1], said->bytes[1] | 0x80);
	return answer.bytes[3];
}

/* Opens a port to host A's; the external one. */
static uint16_t open_port(struct path_world *w, uint8_t proto, uint16_t port, uint16_t wanted)
{
	struct message m = map(proto, port, wanted, LIFETIME_S);
	struct message answer = ask(w, &m);

	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	return load_be16(answer.bytes + AT_EXTERNAL_PORT);
}

/* True when a stranger's first packet to an external port reaches host A's port. */
static bool reaches(struct path_world *w, uint8_t proto, uint32_t stranger_be,
	uint16_t stranger_port, uint16_t external_port, uint16_t port)
{
	struct packet_spec call = {.proto = proto,
		.src_be = stranger_be,
		.src_port = stranger_port,
		.dst_be = WORLD_UPLINK_BE,
		.dst_port = external_port,
		.tcp_flags = TCP_SYN};
	struct packet p;

	path_world_discard(w, WORLD_LAN);
	if (!passes(w, WORLD_UPLINK, &call, WORLD_LAN, &p))
		return false;
	expect_ends(&p, stranger_be, stranger_port, HOST_A_BE, port);
	packet_clean(&p);
	return true;
}

static uint32_t n_leases(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s.n_leases;
}

static void publish(struct path_world *w, void (*change)(struct path_config *))
{
	struct path_config *config = path_world_config(w);

	change(config);
	doors_publish(w->path, config);
	path_world_step(w);
}

/* Section 11.3: an inbound mapping, for whoever calls, also under address-and-port-dependent filtering. */
Test(path_rfc6887, s11_3_a_mapped_port_is_open_to_strangers)
{
	const uint8_t protos[] = {PROTO_UDP, PROTO_TCP};
	struct path_world *w = world();

	set_filter(w, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT);
	for (uint32_t i = 0; i < N_OF(protos); i++) {
		struct message m = map(protos[i], 8080, 9090, LIFETIME_S);
		struct message answer;
		struct ip_addr external = ip_addr_v4(WORLD_UPLINK_BE);

		cr_expect(!reaches(w, protos[i], STRANGER_BE, 1234, 9090, 8080));
		answer = ask(w, &m);
		cr_expect_eq(answer.len, 60);
		cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
		cr_expect_eq(be32(&answer, AT_LIFETIME), LIFETIME_S);
		cr_expect_arr_eq(answer.bytes + AT_NONCE, m.bytes + AT_NONCE, PCP_NONCE_BYTES);
		cr_expect_eq(load_be16(answer.bytes + AT_EXTERNAL_PORT), 9090);
		cr_expect_arr_eq(answer.bytes + AT_EXTERNAL, &external, sizeof(external));
		cr_expect(reaches(w, protos[i], STRANGER_BE, 1234, 9090, 8080));
		cr_expect(reaches(w, protos[i], SERVER_BE, 4321, 9090, 8080));
	}
	cr_expect(path_world_saw(w, EVENT_LEASE_OPENED));
	path_world_destroy(w);
}

/* Section 11.3: what the host sends from that port leaves from the same external one, and is answered. */
Test(path_rfc6887, s11_3_the_host_speaks_from_its_mapped_port)
{
	struct path_world *w = world();
	struct packet_spec said = {.src_port = 8080};

	cr_expect_eq(open_port(w, PROTO_UDP, 8080, 9090), 9090);
	cr_expect_eq(say(w, &said), 9090);
	cr_expect(is_answered(w, &said, 9090));
	path_world_destroy(w);
}

/* Section 11.3: a mapping that a flow has made already is the one that is given. */
Test(path_rfc6887, s11_3_a_mapping_there_is_is_given_again)
{
	struct path_world *w = world();
	struct packet_spec said = {.src_port = 8080};

	cr_expect_eq(say(w, &said), 8080);
	cr_expect_eq(open_port(w, PROTO_UDP, 8080, 9090), 8080);
	wait_for(w, 700 * WORLD_S);
	cr_expect_eq(n_flows(w), 0);
	cr_expect(reaches(w, PROTO_UDP, STRANGER_BE, 1, 8080, 8080), "it outlives the flow");
	path_world_destroy(w);
}

/* Sections 11.3 and 15: asked again it lives on, not asked it ends; lifetimes are between two minutes and the maximum. */
Test(path_rfc6887, s15_a_mapping_ends_in_time_unless_it_is_renewed)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 9090, 300);
	struct message answer;

	ask(w, &m);
	wait_for(w, 200 * WORLD_S);
	ask(w, &m);
	wait_for(w, 200 * WORLD_S);
	cr_expect_eq(n_leases(w), 1);
	cr_expect(reaches(w, PROTO_UDP, STRANGER_BE, 1, 9090, 8080), "it was renewed");
	wait_for(w, 102 * WORLD_S);
	cr_expect_eq(n_leases(w), 0);
	cr_expect(path_world_saw(w, EVENT_LEASE_ENDED));
	cr_expect(!reaches(w, PROTO_UDP, SERVER_BE, 1, 9090, 8080), "it has ended");
	put32(&m, AT_LIFETIME, 1);
	answer = ask(w, &m);
	cr_expect_eq(be32(&answer, AT_LIFETIME), 120);
	put32(&m, AT_LIFETIME, UINT32_MAX);
	answer = ask(w, &m);
	cr_expect_eq(be32(&answer, AT_LIFETIME), 7200);
	path_world_destroy(w);
}

/* Section 15: lifetime 0 deletes; what is not there is deleted too. */
Test(path_rfc6887, s15_a_mapping_is_deleted_by_its_host)
{
	struct path_world *w = world();
	struct message m = map(PROTO_TCP, 8080, 0, 0);
	struct message answer;
	uint16_t external_port;

	cr_expect_eq(result_of(w, &m), PCP_SUCCESS, "there was none");
	external_port = open_port(w, PROTO_TCP, 8080, 0);
	answer = ask(w, &m);
	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	cr_expect_eq(be32(&answer, AT_LIFETIME), 0);
	cr_expect(!reaches(w, PROTO_TCP, STRANGER_BE, 1, external_port, 8080));
	cr_expect_eq(n_leases(w), 0);
	path_world_destroy(w);
}

/* Section 15: all ports of a protocol, or of both, at once. */
Test(path_rfc6887, s15_all_mappings_of_a_host_are_deleted_at_once)
{
	struct path_world *w = world();
	struct message udp = map(PROTO_UDP, 0, 0, 0);
	struct message all = map(0, 0, 0, 0);

	open_port(w, PROTO_UDP, 1001, 0);
	open_port(w, PROTO_UDP, 1002, 0);
	open_port(w, PROTO_TCP, 1003, 0);
	cr_expect_eq(result_of(w, &udp), PCP_SUCCESS);
	cr_expect_eq(n_leases(w), 1);
	cr_expect_eq(result_of(w, &all), PCP_SUCCESS);
	cr_expect_eq(n_leases(w), 0);
	path_world_destroy(w);
}

/* Section 11.3: whoever does not know the nonce can neither change nor delete a mapping. */
Test(path_rfc6887, s11_3_a_mapping_is_changed_by_its_nonce_alone)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 9090, LIFETIME_S);
	struct message all = map(0, 0, 0, 0);

	ask(w, &m);
	m.bytes[AT_NONCE] ^= 1;
	all.bytes[AT_NONCE] ^= 1;
	cr_expect_eq(result_of(w, &m), PCP_NOT_AUTHORIZED);
	put32(&m, AT_LIFETIME, 0);
	cr_expect_eq(result_of(w, &m), PCP_NOT_AUTHORIZED);
	result_of(w, &all);
	cr_expect_eq(n_leases(w), 1);
	path_world_destroy(w);
}

/* Section 11.3: another host's port is not given; another one is, unless the host prefers failure (13.2). */
Test(path_rfc6887, s13_2_a_port_of_another_host_is_not_given)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 9090, LIFETIME_S);
	struct message answer;
	uint16_t port;

	put_addr(&m, 8, HOST_B_BE);
	cr_assert(is_told(w, HOST_B_BE, &m, &answer));
	cr_expect_eq(load_be16(answer.bytes + AT_EXTERNAL_PORT), 9090);
	port = open_port(w, PROTO_UDP, 8080, 9090);
	cr_expect_neq(port, 9090);
	cr_expect_geq(port, 1024);
	m = map(PROTO_UDP, 8081, 9090, LIFETIME_S);
	add_option(&m, 2, NULL, 0);
	cr_expect_eq(result_of(w, &m), PCP_CANNOT_PROVIDE_EXTERNAL);
	m = map(PROTO_UDP, 8081, 9091, LIFETIME_S);
	add_option(&m, 2, NULL, 0);
	put_addr(&m, AT_EXTERNAL, STRANGER_BE);
	cr_expect_eq(result_of(w, &m), PCP_CANNOT_PROVIDE_EXTERNAL, "nor another address");
	put_addr(&m, AT_EXTERNAL, WORLD_UPLINK_BE);
	answer = ask(w, &m);
	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	cr_expect_eq(answer.len, 64, "with the option that was honoured");
	cr_expect_eq(load_be16(answer.bytes + AT_EXTERNAL_PORT), 9091);
	path_world_destroy(w);
}

/* No well-known port is opened by a host, though its own be one. */
Test(path_rfc6887, s11_3_no_port_below_1024_is_given)
{
	struct path_world *w = world();
	struct packet_spec ntp = {.src_port = 123};
	struct message m;

	cr_expect_geq(open_port(w, PROTO_TCP, 80, 80), 1024);
	cr_expect_geq(open_port(w, PROTO_TCP, 443, 0), 1024);
	m = map(PROTO_TCP, 22, 22, LIFETIME_S);
	add_option(&m, 2, NULL, 0);
	cr_expect_eq(result_of(w, &m), PCP_CANNOT_PROVIDE_EXTERNAL);
	cr_expect_eq(say(w, &ntp), 123);
	m = map(PROTO_UDP, 123, 0, LIFETIME_S);
	cr_expect_eq(
		result_of(w, &m), PCP_NOT_AUTHORIZED, "nor the one that a flow of its own has");
	path_world_destroy(w);
}

/* Section 13.3: only whom the filters name may use it; they add up, and prefix 0 takes them all away. */
Test(path_rfc6887, s13_3_filters_narrow_who_may_call)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 9090, LIFETIME_S);
	struct message more = m;
	struct message many = m;

	add_filter(&m, V4(198, 51, 100, 0), 120, 0);
	cr_expect_eq(ask(w, &m).len, 84);
	cr_expect(!reaches(w, PROTO_UDP, STRANGER_BE, 7, 9090, 8080));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_FILTERED), 1);
	cr_expect(reaches(w, PROTO_UDP, SERVER_BE, 7, 9090, 8080));
	add_filter(&more, STRANGER_BE, 128, 7);
	cr_expect_eq(result_of(w, &more), PCP_SUCCESS);
	cr_expect(!reaches(w, PROTO_UDP, STRANGER_BE, 8, 9090, 8080));
	cr_expect(reaches(w, PROTO_UDP, STRANGER_BE, 7, 9090, 8080));
	cr_expect(reaches(w, PROTO_UDP, SERVER_B_BE, 9, 9090, 8080), "the first stands");
	for (uint8_t i = 0; i < 9; i++)
		add_filter(&many, V4(10, 0, 0, i), 128, 0);
	cr_expect_eq(result_of(w, &many), PCP_EXCESSIVE_REMOTE_PEERS);
	m = map(PROTO_UDP, 8080, 9090, LIFETIME_S);
	add_filter(&m, 0, 0, 0);
	cr_expect_eq(result_of(w, &m), PCP_SUCCESS);
	cr_expect(reaches(w, PROTO_UDP, STRANGER_BE, 9, 9090, 8080));
	path_world_destroy(w);
}

/* Section 12.3: PEER keeps a mapping towards one remote endpoint, beyond its flow's time-out, and lets nobody else in. */
Test(path_rfc6887, s12_3_peer_keeps_a_mapping_open_towards_one_endpoint)
{
	struct path_world *w = world();
	struct packet_spec said = {.src_port = 5555};
	uint16_t external_port = say(w, &said);
	struct message m = peer(5555, SERVER_BE, PACKET_DST_PORT, LIFETIME_S);
	struct message answer = ask(w, &m);

	cr_expect_eq(answer.len, 80);
	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	cr_expect_eq(load_be16(answer.bytes + AT_EXTERNAL_PORT), external_port);
	wait_for(w, 1000 * WORLD_S);
	cr_expect_eq(n_flows(w), 0);
	cr_expect(!reaches(w, PROTO_UDP, STRANGER_BE, PACKET_DST_PORT, external_port, 5555));
	cr_expect(!reaches(w, PROTO_UDP, SERVER_BE, 99, external_port, 5555));
	cr_expect(reaches(w, PROTO_UDP, SERVER_BE, PACKET_DST_PORT, external_port, 5555));
	put32(&m, AT_LIFETIME, 0);
	cr_expect_eq(result_of(w, &m), PCP_SUCCESS);
	wait_for(w, 700 * WORLD_S);
	cr_expect(!reaches(w, PROTO_UDP, SERVER_BE, PACKET_DST_PORT, external_port, 5555));
	m = peer(5555, SERVER_BE, 0, LIFETIME_S);
	cr_expect_eq(result_of(w, &m), PCP_MALFORMED_REQUEST, "no port of the peer");
	path_world_destroy(w);
}

/* Section 7.4: what one host may have is limited; others have theirs. */
Test(path_rfc6887, s7_4_a_host_has_a_quota)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 2000, 0, LIFETIME_S);
	struct message answer;

	for (uint16_t i = 0; i < N_ALLOWED; i++)
		open_port(w, i % 2 == 0 ? PROTO_UDP : PROTO_TCP, (uint16_t)(1500 + i), 0);
	cr_expect_eq(result_of(w, &m), PCP_USER_EX_QUOTA);
	open_port(w, PROTO_UDP, 1500, 0); /* renewing costs nothing */
	put_addr(&m, 8, HOST_B_BE);
	cr_assert(is_told(w, HOST_B_BE, &m, &answer));
	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	path_world_destroy(w);
}

/* Section 8.2: one request for each mistake, and its result. */
Test(path_rfc6887, s8_2_mistakes_are_answered_with_their_result)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 1, 0, 0);
	struct message answer;

	put_addr(&m, 8, HOST_B_BE);
	cr_expect_eq(result_of(w, &m), PCP_ADDRESS_MISMATCH);
	m = request(99, 24, 0);
	cr_expect_eq(result_of(w, &m), PCP_UNSUPP_OPCODE);
	m = request(PCP_MAP, 40, 0);
	cr_expect_eq(result_of(w, &m), PCP_MALFORMED_REQUEST);
	m = map(PROTO_UDP, 1, 0, 0);
	m.len = 62;
	answer = ask(w, &m);
	cr_expect_eq(answer.bytes[3], PCP_MALFORMED_REQUEST);
	cr_expect_eq(answer.len, 64, "whole words");
	m.len = 1104;
	answer = ask(w, &m);
	cr_expect_eq(answer.bytes[3], PCP_MALFORMED_REQUEST);
	cr_expect_eq(answer.len, 1100);
	m = map(PROTO_ICMP, 1, 0, LIFETIME_S);
	cr_expect_eq(result_of(w, &m), PCP_UNSUPP_PROTOCOL);
	m = map(0, 0, 0, LIFETIME_S);
	cr_expect_eq(result_of(w, &m), PCP_UNSUPP_PROTOCOL, "all protocols");
	m = map(PROTO_UDP, 0, 0, LIFETIME_S);
	cr_expect_eq(result_of(w, &m), PCP_UNSUPP_PROTOCOL, "all ports");
	cr_expect_eq(n_leases(w), 0);
	path_world_destroy(w);
}

/* Section 13.1: nobody asks for another; section 7.3: options that must be known are refused, others left out. */
Test(path_rfc6887, s13_1_third_party_is_refused)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	struct ip_addr other = ip_addr_v4(HOST_B_BE);

	add_option(&m, 1, (const uint8_t *)&other, sizeof(other));
	cr_expect_eq(result_of(w, &m), PCP_UNSUPP_OPTION);
	cr_expect_eq(n_leases(w), 0);
	m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	add_option(&m, 200, (const uint8_t *)&other, 5);
	cr_expect_eq(ask(w, &m).len, 60);
	cr_expect_eq(n_leases(w), 1);
	path_world_destroy(w);
}

/* Section 8.2: what is no request is not answered, nor is one that came damaged. */
Test(path_rfc6887, s8_2_what_is_no_request_is_not_answered)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	struct message answer;
	struct packet p;

	m.bytes[1] |= 0x80;
	cr_expect(!is_told(w, HOST_A_BE, &m, &answer), "a response");
	m.len = 1;
	cr_expect(!is_told(w, HOST_A_BE, &m, &answer), "one octet");
	m.len = 0;
	cr_expect(!is_told(w, HOST_A_BE, &m, &answer));
	cr_expect_eq(path_world_drops(w, DROP_LOCAL_PCP_UNANSWERED), 3);
	m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	p = packet_build(&(struct packet_spec){.dst_be = WORLD_LAN_BE,
		.dst_port = PCP_SERVER_PORT,
		.payload = m.bytes,
		.payload_bytes = m.len});
	packet_l4(&p)[20] ^= 1;
	cr_expect(!frame_passes(w, WORLD_LAN, p, WORLD_LAN, NULL));
	cr_expect_eq(path_world_drops(w, DROP_LOCAL_PCP_UNANSWERED), 4);
	cr_expect_eq(n_leases(w), 0);
	path_world_destroy(w);
}

/* Section 9: who speaks another version is told which one is spoken here. */
Test(path_rfc6887, s9_other_versions_are_told_the_one_spoken)
{
	const uint8_t versions[] = {1, 3, 255};
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 0, LIFETIME_S);

	for (uint32_t i = 0; i < N_OF(versions); i++) {
		m.bytes[0] = versions[i];
		cr_expect_eq(result_of(w, &m), PCP_UNSUPP_VERSION);
	}
	cr_expect_eq(n_leases(w), 0);
	path_world_destroy(w);
}

/* Section 8.5: the epoch counts seconds since the state was lost, and a host may ask for it alone (14.1). */
Test(path_rfc6887, s8_5_the_epoch_counts_seconds)
{
	struct path_world *w = world();
	struct message m = request(PCP_ANNOUNCE, 24, 0);
	struct message answer = ask(w, &m);

	cr_expect_eq(answer.len, 24);
	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	cr_expect_eq(be32(&answer, AT_EPOCH), 0);
	wait_for(w, 1234 * WORLD_S);
	answer = ask(w, &m);
	cr_expect_eq(be32(&answer, AT_EPOCH), 1234);
	path_world_destroy(w);
}

/* What the LAN was sent to 224.0.0.1 port 5350; others are thrown away. */
static uint32_t n_announcements(struct path_world *w, enum world_port lan)
{
	uint32_t n = 0;
	struct packet p;

	while (path_world_take(w, lan, &p)) {
		if (packet_dst_be(&p) == V4(224, 0, 0, 1) && packet_dst_port(&p) == 5350
			&& packet_src_be(&p) == WORLD_LAN_BE && packet_is_checksum_good(&p))
			n++;
		packet_clean(&p);
	}
	return n;
}

/* Section 14.1: after a loss of state the LAN's hosts are told, ten times at most, in both dialects. */
Test(path_rfc6887, s14_1_hosts_are_told_of_a_loss_of_state)
{
	struct path_world_params params = {.tune = enable};
	struct path_world *w = path_world_create(&params);

	path_world_step(w);
	cr_expect_eq(n_announcements(w, WORLD_LAN), 2);
	path_world_pass(w, WORLD_S, 10 * WORLD_MS);
	cr_expect_eq(n_announcements(w, WORLD_LAN), 4, "after 250 and 750 ms");
	wait_for(w, 600 * WORLD_S);
	cr_expect_eq(n_announcements(w, WORLD_LAN), 14);
	cr_expect_eq(n_announcements(w, WORLD_LAN2), 0, "only where it is enabled");
	expect_silence(w);
	path_world_destroy(w);
}

/* Section 8.2: only hosts of a LAN that has it are answered, at their gateway's address there, and never the uplink. */
Test(path_rfc6887, s8_2_only_hosts_of_an_enabled_lan_are_answered)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	struct packet_spec spec = {
		.dst_port = PCP_SERVER_PORT, .payload = m.bytes, .payload_bytes = m.len};

	spec.src_be = STRANGER_BE;
	spec.dst_be = WORLD_UPLINK_BE;
	cr_expect(!passes(w, WORLD_UPLINK, &spec, WORLD_UPLINK, NULL));
	spec.dst_be = WORLD_LAN_BE;
	cr_expect(!passes(w, WORLD_UPLINK, &spec, WORLD_UPLINK, NULL));
	spec.src_be = WORLD_HOST2_BE;
	spec.dst_be = WORLD_LAN2_BE;
	cr_expect(!passes(w, WORLD_LAN2, &spec, WORLD_LAN2, NULL), "it is off there");
	spec.dst_be = WORLD_LAN_BE;
	cr_expect(!passes(w, WORLD_LAN2, &spec, WORLD_LAN2, NULL));
	spec.src_be = HOST_A_BE;
	spec.dst_be = WORLD_LAN2_BE;
	cr_expect(!passes(w, WORLD_LAN, &spec, WORLD_LAN, NULL));
	spec.dst_be = V4(224, 0, 0, 1);
	cr_expect(!passes(w, WORLD_LAN, &spec, WORLD_LAN, NULL));
	spec.src_be = V4(192, 168, 50, 0);
	spec.dst_be = WORLD_LAN_BE;
	cr_expect(!passes(w, WORLD_LAN, &spec, WORLD_LAN, NULL), "no host");
	cr_expect_eq(n_leases(w), 0);
	path_world_discard(w, WORLD_TAP);
	path_world_destroy(w);
}

/* Off by default: the request goes to the kernel, as all that is for the gateway. */
Test(path_rfc6887, s8_2_without_it_requests_reach_the_kernel)
{
	struct path_world *w = path_world_create(NULL);
	struct message m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	struct packet_spec spec = {.dst_be = WORLD_LAN_BE,
		.dst_port = PCP_SERVER_PORT,
		.payload = m.bytes,
		.payload_bytes = m.len};

	cr_expect(passes(w, WORLD_LAN, &spec, WORLD_TAP, NULL));
	expect_silence(w);
	path_world_destroy(w);
}

/* Answers are limited: no host can keep the gateway busy. */
Test(path_rfc6887, s17_answers_are_limited)
{
	struct path_world *w = world();
	struct message m = request(PCP_ANNOUNCE, 24, 0);
	struct message answer;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 200; i++)
		n += is_told(w, HOST_A_BE, &m, &answer);
	cr_expect_geq(n, 20);
	cr_expect_leq(n, 22, "a tenth of a second's worth at once");
	cr_expect_eq(path_world_drops(w, DROP_LOCAL_PCP_LIMIT), 200 - n);
	path_world_destroy(w);
}

static void forward_8000(struct path_config *config)
{
	config->forwards.n = 1;
	config->forwards.rows[0] = (struct nat_forward){.proto = PROTO_TCP,
		.lan_port = WORLD_LAN,
		.port_min = 8000,
		.port_max = 8000,
		.internal_port = 80,
		.internal = ip_addr_v4(HOST_B_BE)};
}

/* Section 11.3: what the configuration forwards is another's; its own host is told where it leads in, and cannot close it. */
Test(path_rfc6887, s11_3_forwarded_ports_are_not_given)
{
	struct path_world *w = world();
	struct message m = map(PROTO_TCP, 80, 0, LIFETIME_S);
	struct message answer;

	cr_expect_eq(open_port(w, PROTO_TCP, 8080, 8000), 8000);
	publish(w, forward_8000);
	cr_expect_eq(n_leases(w), 0, "the configuration has the last word");
	cr_expect_neq(open_port(w, PROTO_TCP, 8080, 8000), 8000);
	put_addr(&m, 8, HOST_B_BE);
	cr_assert(is_told(w, HOST_B_BE, &m, &answer));
	cr_expect_eq(answer.bytes[3], PCP_SUCCESS);
	cr_expect_eq(load_be16(answer.bytes + AT_EXTERNAL_PORT), 8000);
	put32(&m, AT_LIFETIME, 0);
	cr_assert(is_told(w, HOST_B_BE, &m, &answer));
	cr_expect_eq(answer.bytes[3], PCP_NOT_AUTHORIZED);
	cr_expect_eq(n_leases(w), 1);
	path_world_destroy(w);
}

static void disable(struct path_config *config)
{
	config->ports[WORLD_LAN].pcp = false;
}

static void admit_none(struct path_config *config)
{
	config->listed_only = true;
	config->quarantine_reaches_gateway = true;
}

/* A configuration that does not allow it any more ends what there is. */
Test(path_rfc6887, s15_mappings_end_when_they_are_no_longer_allowed)
{
	void (*const changes[])(struct path_config *) = {disable, admit_none};

	for (uint32_t i = 0; i < N_OF(changes); i++) {
		struct path_world *w = world();
		uint16_t port = open_port(w, PROTO_UDP, 8080, 9090);

		publish(w, changes[i]);
		cr_expect_eq(n_leases(w), 0);
		cr_expect(!reaches(w, PROTO_UDP, STRANGER_BE, 1, port, 8080));
		path_world_discard(w, WORLD_TAP);
		path_world_destroy(w);
	}
}

/* Devices that are not admitted open nothing, though they reach the gateway's services. */
Test(path_rfc6887, s17_quarantined_devices_get_nothing)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 0, LIFETIME_S);
	struct message answer;

	publish(w, admit_none);
	cr_expect(!is_told(w, HOST_A_BE, &m, &answer));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_QUARANTINED), 1);
	path_world_destroy(w);
}

/* A rule can still deny what comes in by it. */
Test(path_rfc6887, s17_rules_hold_for_what_comes_in)
{
	const struct policy_rule deny = {.ways = 1 << POLICY_UPLINK_TO_LAN,
		.port_min = 8080,
		.port_max = 8080,
		.action = POLICY_DROP};
	struct path_world *w = world();
	struct path_config *config;
	uint16_t port = open_port(w, PROTO_UDP, 8080, 9090);

	config = path_world_config(w);
	ruleset_destroy(config->rules);
	cr_assert_eq(ruleset_create(&deny, 1, &config->rules), 0);
	doors_publish(w->path, config);
	cr_expect_eq(n_leases(w), 1);
	cr_expect(!reaches(w, PROTO_UDP, STRANGER_BE, 1, port, 8080));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1);
	path_world_destroy(w);
}

static void set_uplink(struct path_world *w, enum port_state state)
{
	atomic_store(&w->ports[WORLD_UPLINK]->state, state);
}

/* Section 7.4: without an uplink there is nothing to give. */
Test(path_rfc6887, s7_4_a_failed_uplink_is_told)
{
	struct path_world *w = world();
	struct message m = map(PROTO_UDP, 8080, 9090, LIFETIME_S);

	set_uplink(w, PORT_CLOSED);
	cr_expect_eq(result_of(w, &m), PCP_NETWORK_FAILURE);
	set_uplink(w, PORT_UP);
	cr_expect_eq(result_of(w, &m), PCP_SUCCESS);
	set_uplink(w, PORT_CLOSED);
	wait_for(w, WORLD_S);
	set_uplink(w, PORT_UP);
	wait_for(w, WORLD_S);
	cr_expect_eq(n_leases(w), 1, "it waits for its uplink");
	cr_expect(reaches(w, PROTO_UDP, STRANGER_BE, 1, 9090, 8080));
	path_world_destroy(w);
}

/* Hairpinning holds for it as for all mappings: a LAN's host reaches the other by its external endpoint. */
Test(path_rfc6887, s11_3_hosts_of_a_lan_reach_each_other_by_it)
{
	struct path_world *w = world();
	struct packet_spec call = {
		.src_be = HOST_B_BE, .dst_be = WORLD_UPLINK_BE, .dst_port = 9090};
	struct packet p;

	open_port(w, PROTO_UDP, 8080, 9090);
	path_world_discard(w, WORLD_LAN);
	cr_assert(passes(w, WORLD_LAN, &call, WORLD_LAN, &p));
	expect_ends(&p, WORLD_UPLINK_BE, PACKET_SRC_PORT, HOST_A_BE, 8080);
	packet_clean(&p);
	path_world_destroy(w);
}

static struct message nat_pmp(uint8_t opcode, uint16_t port, uint16_t wanted, uint32_t lifetime_s)
{
	struct message m = {.len = opcode == 0 ? 2 : 12};

	m.bytes[1] = opcode;
	store_be16(m.bytes + 4, port);
	store_be16(m.bytes + 6, wanted);
	put32(&m, 8, lifetime_s);
	return m;
}

/* RFC 6886 section 3.2. */
Test(path_rfc6887, nat_pmp_s3_2_tells_the_external_address)
{
	struct path_world *w = world();
	struct message m = nat_pmp(0, 0, 0, 0);
	struct message answer;

	wait_for(w, 77 * WORLD_S);
	answer = ask(w, &m);
	cr_expect_eq(answer.len, 12);
	cr_expect_eq(load_be16(answer.bytes), 128);
	cr_expect_eq(load_be16(answer.bytes + 2), 0);
	cr_expect_eq(be32(&answer, 4), 77);
	cr_expect_eq(load32(answer.bytes + 8), WORLD_UPLINK_BE);
	set_uplink(w, PORT_CLOSED);
	answer = ask(w, &m);
	cr_expect_eq(load_be16(answer.bytes + 2), 3, "network failure");
	set_uplink(w, PORT_UP);
	path_world_destroy(w);
}

/* RFC 6886 sections 3.3 and 3.4. */
Test(path_rfc6887, nat_pmp_s3_3_opens_renews_and_deletes)
{
	const uint8_t protos[] = {PROTO_UDP, PROTO_TCP};
	struct path_world *w = world();

	for (uint8_t i = 0; i < N_OF(protos); i++) {
		struct message m = nat_pmp((uint8_t)(i + 1), 8080, 9090, 600);
		struct message answer = ask(w, &m);

		cr_expect_eq(answer.len, 16);
		cr_expect_eq(load_be16(answer.bytes), 129 + i);
		cr_expect_eq(load_be16(answer.bytes + 2), 0);
		cr_expect_eq(load_be16(answer.bytes + 8), 8080);
		cr_expect_eq(load_be16(answer.bytes + 10), 9090);
		cr_expect_eq(be32(&answer, 12), 600);
		cr_expect(reaches(w, protos[i], STRANGER_BE, 1, 9090, 8080));
		m = nat_pmp((uint8_t)(i + 1), i == 0 ? 8080 : 0, 0, 0); /* this one; all */
		answer = ask(w, &m);
		cr_expect_eq(load_be16(answer.bytes + 2), 0);
		cr_expect_eq(load_be16(answer.bytes + 10), 0);
		cr_expect_eq(be32(&answer, 12), 0);
		cr_expect_eq(n_leases(w), 0);
		cr_expect(!reaches(w, protos[i], SERVER_BE, 1, 9090, 8080));
	}
	path_world_destroy(w);
}

/* RFC 6886 section 3.5; what PCP has made is not NAT-PMP's to change. */
Test(path_rfc6887, nat_pmp_s3_5_errors_have_their_codes)
{
	struct path_world *w = world();
	struct message m = nat_pmp(3, 0, 0, 0);
	struct message answer = ask(w, &m);

	cr_expect_eq(load_be16(answer.bytes), 131);
	cr_expect_eq(load_be16(answer.bytes + 2), 5);
	open_port(w, PROTO_UDP, 8080, 9090);
	m = nat_pmp(1, 8080, 9090, 600);
	cr_expect_eq(load_be16(ask(w, &m).bytes + 2), 2);
	m = nat_pmp(1, 8080, 9090, 0);
	cr_expect_eq(load_be16(ask(w, &m).bytes + 2), 2);
	cr_expect_eq(n_leases(w), 1);
	for (uint16_t i = 1; i < N_ALLOWED; i++)
		open_port(w, PROTO_UDP, (uint16_t)(8080 + i), 0);
	m = nat_pmp(1, 7000, 7000, 600);
	cr_expect_eq(load_be16(ask(w, &m).bytes + 2), 4, "out of resources");
	m.len = 11;
	cr_expect(!is_told(w, HOST_A_BE, &m, &answer));
	path_world_destroy(w);
}
