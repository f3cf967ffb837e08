/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir beside a model of it that shares no code with it: random conversations, legal ones and nonsense mixed, and after each
 * step the model says of every frame that came out whether it may be there, and which others had to be.
 *
 *   - an internal endpoint has one external port as long as it surely lives, and no two that live share one (RFC 4787 REQ-1, 3)
 *   - nothing reaches a LAN that its host did not ask for, by the filter of the run; errors count by what they quote
 *   - what belongs to a flow that surely lives gets through, to its host and port, with its payload and good checksums
 *   - no address of a LAN leaves by the uplink
 *   - octets are conserved at each step, and at the end no flow and no mapping is left
 *
 * WEIR_MODEL_SEEDS=10000 runs longer than the few seeds of every day; a failure names its seed, which WEIR_MODEL_SEED=N runs
 * alone, and its step.
 */
#include "dialogue.h"

#include <weir/base/rng.h>

#include <stdlib.h>
#include <string.h>

#define SEEDS_DEFAULT 60
#define STEPS         1500
#define N_HOSTS       8 /* half of them on the second LAN */
#define N_PORTS       4
#define N_REMOTES     3
#define N_PROTOS      3
#define FIRST_PORT    1022 /* two of the well-known ports and two others */
#define MAGIC         0x77656972u
#define TAG_BYTES     8
#define BURST         4
#define N_OTHERS      64

/* As long as this is surely kept, by the timeouts of the run; and beyond the other it is surely forgotten: what the filter let
 * in at the last moment goes on for its own time. */
static const uint64_t kept_us[N_PROTOS] = {119 * WORLD_S, 230 * WORLD_S, 59 * WORLD_S};
static const uint64_t gone_us[N_PROTOS] = {620 * WORLD_S, 15000 * WORLD_S, 130 * WORLD_S};
static const uint8_t protos[N_PROTOS] = {PROTO_UDP, PROTO_TCP, PROTO_ICMP};

/* What the model knows of one pair of internal and remote endpoint. */
struct talk {
	uint64_t asked_us; /* when its host spoke last, and weir let it pass; 0: never */
	bool is_sure;      /* nothing was said that may have ended it */
	uint8_t phase;     /* TCP: how far it has come */
};

struct endpoint {
	uint16_t external;               /* last seen; 0: none yet */
	uint64_t spoke_us;               /* to whomever */
	uint64_t spoke_to_us[N_REMOTES]; /* at whatever port */
	struct talk talks[N_REMOTES][N_PORTS];
};

/* One frame that went in. */
struct sent {
	uint32_t src_be, dst_be;
	uint16_t src_port, dst_port;
	uint8_t proto;
	uint8_t tcp_flags;
	bool must_pass;
	bool has_passed;
};

struct model {
	struct path_world *w;
	struct rng rng;
	enum nat_filtering filtering;
	struct endpoint endpoints[N_PROTOS][N_HOSTS][N_PORTS];
	struct sent others[N_OTHERS]; /* endpoints that broken frames seemed to come from */
	uint32_t n_others;
	struct sent burst[BURST];
	uint32_t n_burst;
	bool is_spoiled; /* the only frame of the burst is broken: its tag may be, too */
	uint64_t seed;
	int step;
};

/* Where a frame belongs in the model. */
struct place {
	uint32_t proto, host, port, remote, remote_port;
};

static uint32_t below(struct model *m, uint32_t n)
{
	return rng_below(&m->rng, n);
}

static bool one_in(struct model *m, uint32_t n)
{
	return below(m, n) == 0;
}

static uint32_t host_be(uint32_t host)
{
	return host % 2 == 0 ? V4(192, 168, 50, 10 + host) : V4(192, 168, 60, 10 + host);
}

static uint32_t remote_be(uint32_t remote)
{
	return V4(198, 51, 100, 10 + remote);
}

static enum world_port lan_of(uint32_t host)
{
	return host % 2 == 0 ? WORLD_LAN : WORLD_LAN2;
}

/* False where an internal endpoint is none of the model's. */
static bool find_internal(uint8_t proto, uint32_t addr_be, uint16_t port, struct place *at)
{
	for (at->proto = 0; at->proto < N_PROTOS && protos[at->proto] != proto;)
		at->proto++;
	for (at->host = 0; at->host < N_HOSTS && host_be(at->host) != addr_be;)
		at->host++;
	at->port = (uint32_t)port - FIRST_PORT;
	return at->proto < N_PROTOS && at->host < N_HOSTS && at->port < N_PORTS;
}

static bool find_remote(uint32_t addr_be, uint16_t port, struct place *at)
{
	for (at->remote = 0; at->remote < N_REMOTES && remote_be(at->remote) != addr_be;)
		at->remote++;
	at->remote_port = protos[at->proto] == PROTO_ICMP ? 0 : (uint32_t)port - FIRST_PORT;
	return at->remote < N_REMOTES && at->remote_port < N_PORTS;
}

static struct endpoint *endpoint_at(struct model *m, const struct place *at)
{
	return &m->endpoints[at->proto][at->host][at->port];
}

static struct talk *talk_at(struct model *m, const struct place *at)
{
	return &endpoint_at(m, at)->talks[at->remote][at->remote_port];
}

static bool is_alive(const struct model *m, const struct talk *t, uint32_t proto)
{
	return t->asked_us != 0 && t->is_sure && m->w->now_us - t->asked_us < kept_us[proto];
}

static bool has_live_talk(const struct model *m, const struct endpoint *e, uint32_t proto)
{
	for (uint32_t r = 0; r < N_REMOTES; r++)
		for (uint32_t p = 0; p < N_PORTS; p++)
			if (is_alive(m, &e->talks[r][p], proto))
				return true;
	return false;
}

/* Whether an endpoint has spoken to whom the filter asks about, not longer ago than anything may be kept. */
static bool has_asked(struct model *m, const struct place *at, enum nat_filtering filtering)
{
	const struct endpoint *e = endpoint_at(m, at);
	uint64_t asked_us = e->spoke_us;

	if (filtering != NAT_FILTER_ENDPOINT_INDEPENDENT && at->remote == N_REMOTES)
		return false;
	if (filtering == NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT && at->remote_port >= N_PORTS)
		return false;
	if (filtering == NAT_FILTER_ADDRESS_DEPENDENT)
		asked_us = e->spoke_to_us[at->remote];
	else if (filtering == NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT)
		asked_us = e->talks[at->remote][at->remote_port].asked_us;
	return asked_us != 0 && m->w->now_us - asked_us < gone_us[at->proto];
}

#define MODEL_ASSERT(m, condition, ...)                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			cr_log_error("seed %lu, step %d", (m)->seed, (m)->step);                   \
			cr_assert(condition, __VA_ARGS__);                                         \
		}                                                                                  \
	} while (0)

static void put(struct model *m, enum world_port in, struct packet_spec s, bool must_pass)
{
	uint8_t payload[64];
	struct sent *sent = &m->burst[m->n_burst];
	struct packet frame;

	for (uint32_t i = TAG_BYTES; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	store_be32(payload, MAGIC);
	store_be32(payload + 4, m->n_burst);
	s.framing = m->w->ports[in]->framing;
	s.dst_mac = world_macs[in];
	s.payload = s.quoted == NULL ? payload : NULL;
	s.payload_bytes = sizeof(payload);
	frame = packet_build(&s);
	*sent = (struct sent){
		.src_be = packet_src_be(&frame),
		.dst_be = packet_dst_be(&frame),
		.src_port = packet_src_port(&frame),
		.dst_port = packet_dst_port(&frame),
		.proto = s.proto,
		.tcp_flags = s.tcp_flags,
		.must_pass = must_pass,
	};
	if (m->is_spoiled) {
		uint16_t total_be = load16(packet_ip(&frame) + 2);

		for (uint32_t n = 1 + below(m, 3); n > 0; n--)
			frame.bytes[below(m, frame.len_bytes < 64 ? frame.len_bytes : 64)] =
				(uint8_t)below(m, 256);
		store16(packet_ip(&frame) + 2,
			total_be); /* what lies behind a packet is nobody's octets */
		if (one_in(m, 2))
			packet_fix_ip_checksum(&frame);
		sent->src_be = packet_src_be(&frame);
		sent->src_port = packet_src_port(&frame);
		sent->dst_be = packet_dst_be(&frame);
		sent->dst_port = packet_dst_port(&frame);
		sent->proto = packet_ip(&frame)[9];
	}
	m->n_burst++;
	path_world_put_frame(m->w, in, frame);
}

static struct place some_place(struct model *m)
{
	struct place at = {
		.proto = below(m, N_PROTOS),
		.host = below(m, N_HOSTS),
		.port = below(m, N_PORTS),
		.remote = below(m, N_REMOTES),
		.remote_port = below(m, N_PORTS),
	};

	if (protos[at.proto] == PROTO_ICMP)
		at.remote_port = 0;
	return at;
}

static struct packet_spec spec_of(const struct place *at)
{
	return (struct packet_spec){
		.proto = protos[at->proto],
		.src_be = host_be(at->host),
		.src_port = (uint16_t)(FIRST_PORT + at->port),
		.dst_be = remote_be(at->remote),
		.dst_port = (uint16_t)(FIRST_PORT + at->remote_port),
		.icmp_type = ICMP_ECHO_REQUEST,
		.icmp_id = (uint16_t)(FIRST_PORT + at->port),
	};
}

/* The next thing a host says: of TCP a legal segment mostly. */
static void host_speaks(struct model *m, const struct place *at)
{
	struct talk *t = talk_at(m, at);
	struct packet_spec s = spec_of(at);
	bool is_open = is_alive(m, t, at->proto);

	if (protos[at->proto] == PROTO_TCP) {
		static const uint8_t nonsense[] = {TCP_RST, TCP_FIN | TCP_ACK, TCP_SYN | TCP_ACK,
			TCP_RST | TCP_ACK, TCP_SYN | TCP_FIN, 0x3f};

		s.tcp_flags = is_open && t->phase > 0 ? TCP_ACK : TCP_SYN;
		if (one_in(m, 12))
			s.tcp_flags = nonsense[below(m, sizeof(nonsense))];
	}
	put(m, lan_of(at->host), s,
		protos[at->proto] != PROTO_TCP || s.tcp_flags == TCP_SYN
			|| (is_open && s.tcp_flags == TCP_ACK));
}

/* The other end answers, or tries to. */
static void remote_speaks(struct model *m, const struct place *at)
{
	static const uint8_t flags[] = {
		TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK, TCP_RST};
	const struct talk *t = talk_at(m, at);
	struct packet_spec said = spec_of(at);
	struct packet_spec s = reply_to(&said, endpoint_at(m, at)->external);
	bool is_tcp = protos[at->proto] == PROTO_TCP;

	if (endpoint_at(m, at)->external == 0)
		s.dst_port = s.icmp_id = (uint16_t)(FIRST_PORT + at->port);
	if (is_tcp)
		s.tcp_flags = t->phase == 0 ? TCP_SYN | TCP_ACK : flags[below(m, sizeof(flags))];
	put(m, WORLD_UPLINK, s, is_alive(m, t, at->proto));
}

/* A router says that something did not arrive; whether it ever was under way is another matter. */
static void router_complains(struct model *m, const struct place *at)
{
	struct packet_spec about = spec_of(at);
	struct packet_spec s = {
		.proto = PROTO_ICMP,
		.icmp_type = one_in(m, 2) ? ICMP_UNREACHABLE : ICMP_TIME_EXCEEDED,
		.src_be = ROUTER_BE,
		.dst_be = WORLD_UPLINK_BE,
	};
	struct packet quoted;

	about.framing = FRAMING_RAW_IP;
	about.src_be = WORLD_UPLINK_BE;
	about.src_port = about.icmp_id = endpoint_at(m, at)->external;
	about.payload_bytes = 40;
	quoted = packet_build(&about);
	s.quoted = &quoted;
	put(m, WORLD_UPLINK, s, false);
	packet_clean(&quoted);
}

/* What nobody should send. */
static void put_nonsense(struct model *m, const struct place *at)
{
	bool from_lan = one_in(m, 2);
	/* last, one that hosts speak to, and another that speaks to them */
	const uint32_t odd[] = {V4(127, 0, 0, 1), V4(169, 254, 1, 1), V4(224, 0, 0, 5),
		WORLD_UPLINK_BE, WORLD_LAN_BE, V4(192, 168, 50, 255), host_be(below(m, N_HOSTS)),
		from_lan ? V4(8, 8, 8, 8) : V4(9, 9, 9, 9)};
	struct packet_spec s = spec_of(at);
	struct place from;

	if (!from_lan)
		s = reply_to(&s, (uint16_t)(FIRST_PORT + below(m, 6)));
	if (one_in(m, 2))
		s.src_be = odd[below(m, N_OF(odd))];
	if (one_in(m, 2))
		s.dst_be = odd[below(m, N_OF(odd))];
	s.ttl = one_in(m, 8) ? 1 : 64;
	/* A host that tries the gateway's external address gets an external port for it, which strangers may use by a
	 * filter that asks for no more. */
	if (from_lan && s.dst_be == WORLD_UPLINK_BE
		&& find_internal(s.proto, s.src_be, (uint16_t)(FIRST_PORT + at->port), &from))
		endpoint_at(m, &from)->spoke_us = m->w->now_us;
	put(m, from_lan ? lan_of(at->host) : WORLD_UPLINK, s, false);
}

/* Something has come out on the uplink: under which port, and whose. */
static void check_uplink(struct model *m, const struct packet *p, struct sent *sent)
{
	uint16_t external = packet_src_port(p);
	struct place at;
	struct endpoint *e;
	struct talk *t;
	bool is_known;

	MODEL_ASSERT(m, packet_src_be(p) == WORLD_UPLINK_BE, "%x leaves by the uplink",
		ntohl(packet_src_be(p)));
	if (packet_ip(p)[9] == PROTO_ICMP && !icmp_is_request(packet_l4(p)[0]))
		return;
	if (!find_internal(sent->proto, sent->src_be, sent->src_port, &at)) {
		MODEL_ASSERT(m, m->is_spoiled && m->n_others < N_OTHERS, "%x has no business there",
			ntohl(sent->src_be));
		m->others[m->n_others++] = *sent;
		return;
	}
	e = endpoint_at(m, &at);
	if (e->external != 0 && has_live_talk(m, e, at.proto))
		MODEL_ASSERT(
			m, e->external == external, "port %u became %u", e->external, external);
	for (uint32_t i = 0; i < N_HOSTS * N_PORTS; i++) {
		const struct endpoint *other = &m->endpoints[at.proto][i / N_PORTS][i % N_PORTS];

		MODEL_ASSERT(m,
			other == e || other->external != external
				|| !has_live_talk(m, other, at.proto),
			"port %u has two owners", external);
	}
	e->external = external;
	e->spoke_us = m->w->now_us;
	is_known = find_remote(sent->dst_be, sent->dst_port, &at);
	if (at.remote < N_REMOTES)
		e->spoke_to_us[at.remote] = m->w->now_us;
	if (!is_known)
		return;
	t = talk_at(m, &at);
	if (t->asked_us == 0 || m->w->now_us - t->asked_us > gone_us[at.proto]
		|| sent->proto != PROTO_TCP)
		t->is_sure = true;
	if ((sent->tcp_flags & (TCP_RST | TCP_FIN)) != 0
		|| (sent->proto == PROTO_TCP && m->is_spoiled))
		t->is_sure = false;
	if (sent->tcp_flags == TCP_SYN && t->asked_us == 0)
		t->phase = 0;
	t->asked_us = m->w->now_us;
}

/* The endpoints of what an error quotes, seen from the host that gets the error. */
static void quoted_ends(const struct packet *p, struct sent *ret_ends)
{
	struct packet quote = quote_of(p);

	*ret_ends = (struct sent){
		.proto = packet_ip(&quote)[9],
		.dst_be = packet_src_be(&quote),
		.dst_port = packet_src_port(&quote),
		.src_be = packet_dst_be(&quote),
		.src_port = packet_dst_port(&quote),
	};
	packet_clean(&quote);
}

/* Whether a broken frame has made the model's world larger by this endpoint. */
static bool is_another(const struct model *m, const struct sent *ends)
{
	for (uint32_t i = 0; i < m->n_others; i++)
		if (m->others[i].src_be == ends->dst_be && m->others[i].src_port == ends->dst_port
			&& m->others[i].proto == ends->proto)
			return true;
	return false;
}

/* Something from outside has come out on a LAN: was it asked for? */
static void check_lan(struct model *m, const struct packet *p, enum world_port lan)
{
	struct sent ends = {
		.proto = packet_ip(p)[9],
		.src_be = packet_src_be(p),
		.src_port = packet_src_port(p),
		.dst_be = packet_dst_be(p),
		.dst_port = packet_dst_port(p),
	};
	bool is_error = ends.proto == PROTO_ICMP && icmp_is_error(packet_l4(p)[0]);
	enum nat_filtering filtering = is_error ? NAT_FILTER_ENDPOINT_INDEPENDENT : m->filtering;
	bool is_known;
	struct place at;
	struct talk *t;

	if ((load_be16(packet_ip(p) + 6) & IPV4_FRAGMENT_OFFSET) != 0)
		return; /* it shows no port; only broken frames are fragments here */
	if (is_error)
		quoted_ends(p, &ends);
	if (!find_internal(ends.proto, ends.dst_be, ends.dst_port, &at)) {
		MODEL_ASSERT(m, is_another(m, &ends), "%x:%u gets it", ntohl(ends.dst_be),
			ends.dst_port);
		return;
	}
	MODEL_ASSERT(m, lan_of(at.host) == lan, "it is on the wrong LAN");
	MODEL_ASSERT(m, is_error || ntohl(ends.dst_be) == ntohl(packet_dst_be(p)),
		"another host gets it");
	is_known = find_remote(ends.src_be, ends.src_port, &at);
	MODEL_ASSERT(m, has_asked(m, &at, filtering), "%x:%u was not asked for", ntohl(ends.src_be),
		ends.src_port);
	if (!is_known)
		return;
	t = talk_at(m, &at);
	if (is_error)
		return;
	if (ends.proto == PROTO_TCP && (packet_l4(p)[13] & (TCP_RST | TCP_FIN)) != 0)
		t->is_sure = false;
	t->phase = 1;
}

/* The frame that a frame was: by its tag, or as the only one there was. */
static struct sent *find_sent(struct model *m, const struct packet *p)
{
	uint32_t tag_off = (uint32_t)(packet_ip_octets(p)) - 64;
	const uint8_t *tag = packet_ip(p) + tag_off;

	if (m->is_spoiled || m->n_burst == 1)
		return &m->burst[0];
	if (packet_ip_octets(p) < 64 + 28 || load_be32(tag) != MAGIC)
		return NULL;
	return &m->burst[load_be32(tag + 4)];
}

static void check_frames(struct model *m, enum world_port in)
{
	static const enum world_port lans[] = {WORLD_LAN, WORLD_LAN2};
	struct packet p;

	while (path_world_take(m->w, WORLD_UPLINK, &p)) {
		struct sent *sent = find_sent(m, &p);

		MODEL_ASSERT(m, m->is_spoiled || packet_is_checksum_good(&p), "a bad checksum");
		if (in != WORLD_UPLINK && sent != NULL) {
			sent->has_passed = true;
			check_uplink(m, &p, sent);
		}
		packet_clean(&p);
	}
	for (uint32_t i = 0; i < N_OF(lans); i++)
		while (path_world_take(m->w, lans[i], &p)) {
			struct sent *sent = find_sent(m, &p);

			MODEL_ASSERT(
				m, m->is_spoiled || packet_is_checksum_good(&p), "a bad checksum");
			if (in == WORLD_UPLINK) {
				if (sent != NULL)
					sent->has_passed = true;
				check_lan(m, &p, lans[i]);
			} else {
				/* hairpinned, or the gateway's own word */
				MODEL_ASSERT(m,
					packet_src_be(&p) == WORLD_UPLINK_BE
						|| packet_src_be(&p) == WORLD_LAN_BE
						|| packet_src_be(&p) == WORLD_LAN2_BE,
					"%x came from one LAN to another",
					ntohl(packet_src_be(&p)));
			}
			packet_clean(&p);
		}
}

static void fill_burst(struct model *m, bool from_host)
{
	uint32_t n = m->is_spoiled ? 1 : 1 + below(m, BURST);
	struct place at = some_place(m);
	uint32_t host = at.host;

	while (n-- > 0) {
		at = some_place(m);
		at.host = at.host - at.host % 2 + host % 2; /* one LAN a step */
		if (from_host)
			host_speaks(m, &at);
		else if (one_in(m, 8))
			router_complains(m, &at);
		else
			remote_speaks(m, &at);
	}
}

static void run_step(struct model *m)
{
	bool from_host = one_in(m, 2);
	struct place at = some_place(m);
	enum world_port in;

	m->n_burst = 0;
	m->is_spoiled = false;
	if (one_in(m, 10)) {
		put_nonsense(m, &at);
	} else {
		m->is_spoiled = one_in(m, 10);
		fill_burst(m, from_host);
	}
	in = m->w->n_pending[WORLD_UPLINK] > 0 ? WORLD_UPLINK : WORLD_LAN;
	path_world_step(m->w);
	check_frames(m, in);
	for (uint32_t i = 0; i < m->n_burst; i++)
		MODEL_ASSERT(m, !m->burst[i].must_pass || m->burst[i].has_passed || m->is_spoiled,
			"%x:%u to %x:%u (%u, flags %x) did not get through",
			ntohl(m->burst[i].src_be), m->burst[i].src_port, ntohl(m->burst[i].dst_be),
			m->burst[i].dst_port, m->burst[i].proto, m->burst[i].tcp_flags);
	path_world_discard(m->w, WORLD_TAP);
	path_world_pass(
		m->w, one_in(m, 60) ? below(m, 100) * WORLD_S : below(m, 20) * WORLD_MS, WORLD_S);
}

static void tune(struct path_setup *setup, struct path_config *config)
{
	setup->flow_capacity = 8192;
	config->flows_per_device = 8192;
	config->lan_to_lan = false;
}

static void run_seed(uint64_t seed)
{
	struct path_world_params params = {.tune = tune};
	struct model *m = calloc(1, sizeof(*m));
	struct path_stats s;

	cr_assert_not_null(m);
	rng_init(&m->rng, seed);
	m->seed = seed;
	m->w = path_world_create(&params);
	m->filtering = (enum nat_filtering)(seed % 3);
	set_filter(m->w, m->filtering);
	for (m->step = 0; m->step < STEPS; m->step++)
		run_step(m);
	wait_for(m->w, 3 * 3600 * WORLD_S);
	doors_stats_read(m->w->path, &s);
	MODEL_ASSERT(m, s.n_flows == 0 && s.n_mappings == 0, "%u flows and %u mappings are left",
		s.n_flows, s.n_mappings);
	path_world_destroy(m->w);
	free(m);
}

Test(path_model, random_conversations_go_as_the_model_says, .timeout = 0)
{
	const char *n_wanted = getenv("WEIR_MODEL_SEEDS");
	const char *one = getenv("WEIR_MODEL_SEED");
	uint64_t n = n_wanted != NULL ? strtoull(n_wanted, NULL, 10) : SEEDS_DEFAULT;

	if (one != NULL)
		run_seed(strtoull(one, NULL, 10));
	for (uint64_t seed = 1; one == NULL && seed <= n; seed++)
		run_seed(seed);
}
