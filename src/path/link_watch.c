/* SPDX-License-Identifier: BSD-3-Clause */
#include "link_watch.h"

#include "link_probe.h"

#include <weir/base/clock.h>
#include <weir/flow/rtt.h>
#include <weir/packet/bytes.h>
#include <weir/packet/parse.h>
#include <weir/packet/tcp_options.h>
#include <weir/shape/link_rate.h>

#define WATCHED_FLOWS    32
#define SILENT_US        (1 * US_PER_S)
#define DEAF_US          (300 * US_PER_MS) /* without evidence for so long, a loaded direction is probed */
#define LOADED_PART      8 /* of what is carried: so much passes where there may be a queue */
#define LOAD_TICKS       8 /* that the load is averaged over */
#define TICK_US          (10 * US_PER_MS)
#define PORT_DNS         53
#define PORT_QUIC        443
#define UDP_HEADER_BYTES 8
#define PATH_OF_HOST     (UINT64_C(1) << 63) /* its other bits: an address */
#define PATH_OF_PROBE    (UINT64_C(1) << 62) /* of such a one: asked by weir itself */
#define BULK_OCTETS      2800 /* two full segments: what acknowledges them is answered by more at once */
/* Where nothing is known yet: what a poor cell carries, found to be more within seconds. */
#define START_UPLINK_BPS   2000000
#define START_DOWNLINK_BPS 5000000

enum tcp_layout {
	TCP_SEQ = 4,
	TCP_ACKED = 8,
	TCP_DATA_OFFSET = 12
};

/* First octet of a QUIC packet with a short header (RFC 9000 section 17.3.1). */
enum quic_bit {
	QUIC_LONG = 0x80,
	QUIC_FIXED = 0x40,
	QUIC_SPIN = 0x20
};

struct watched {
	uint32_t flow_id;
	uint64_t path; /* as link_rate knows it: ids of flows are used again, for other remotes */
	uint64_t used_us;     /* 0: free */
	uint32_t acked;       /* last */
	uint32_t down_octets; /* since the last question by a bare acknowledgement */
	bool is_random;       /* its spin bit says nothing */
	struct rtt_probe probe;
};

/* A hint in one word, so that it is handed over whole: the last from above, each cut to its bits. */
enum hint_word {
	HINT_CELL_BITS =
		36, /* an NR Cell Identity has as many, and no identity more (3GPP TS 38.413) */
	HINT_TECHNOLOGY_AT = HINT_CELL_BITS,
	HINT_TECHNOLOGY_BITS = 4,
	HINT_RSRP_AT = HINT_TECHNOLOGY_AT + HINT_TECHNOLOGY_BITS,
	HINT_GIVEN_AT = 63
};

static_assert(LINK_RATE_TECHNOLOGIES <= 1 << HINT_TECHNOLOGY_BITS, "each fits");
static_assert(LINK_RATE_CELL_MAX == (UINT64_C(1) << HINT_CELL_BITS) - 1, "each fits");

struct link_watch {
	bool follows;
	uint64_t hint_word;       /* [control] 0: none was given */
	uint64_t hint_us;         /* [control] */
	uint64_t hint_taken_word; /* that the rate knows of */
	uint64_t ticked_us;
	uint64_t n_watched; /* ever */
	struct link_rate rate;
	struct link_probe probe;
	uint64_t heard_us[N_DIRECTIONS];    /* when something else than a probe told last */
	uint64_t load_octets[N_DIRECTIONS]; /* at the last tick */
	uint64_t load_bps[N_DIRECTIONS];
	struct watched flows[WATCHED_FLOWS];
};

/* What is not a probe tells. */
static void hear(struct link_watch *w, const struct link_rate_sample *s)
{
	link_rate_sample(&w->rate, s);
	for (uint32_t d = 0; d < N_DIRECTIONS; d++)
		if (w->rate.way[d].seen_us == s->now_us)
			w->heard_us[d] = s->now_us;
}

/* What a TCP header says that matters here. */
struct segment {
	uint32_t seq_end;
	uint32_t acked, newest; /* the newest that has come, as far as told */
	uint32_t tsval, tsecr;
	bool has_data; /* or SYN: something that is acknowledged */
	bool has_times;
	bool has_sack;
};

struct link_watch *link_watch_create(void)
{
	return calloc(1, sizeof(struct link_watch));
}

void link_watch_destroy(struct link_watch *w)
{
	free(w);
}

static struct link_rate_params params_of(const struct path_port *p)
{
	struct link_rate_params params = {
		.min_bps = {p->least_bps, p->least_bps},
		.max_bps = {p->uplink_bps, p->downlink_bps},
		.start_bps = {START_UPLINK_BPS, START_DOWNLINK_BPS},
	};

	for (int d = 0; d < N_DIRECTIONS; d++) {
		if (params.max_bps[d] == 0)
			params.max_bps[d] = LINK_RATE_MAX_BPS;
		params.min_bps[d] = RTE_MIN(params.min_bps[d], params.max_bps[d]);
		params.start_bps[d] = RTE_MIN(params.start_bps[d], params.max_bps[d]);
	}
	return params;
}

void link_watch_adopt(struct stage_ctx *ctx, uint8_t port, const struct path_config *next)
{
	struct link_watch *w = ctx->links[port];
	const struct path_port *p = &next->ports[port];
	struct link_rate_params params = params_of(p);

	if (p->follows_link && !w->follows) {
		link_rate_init(&w->rate, &params);
		w->hint_taken_word = 0;
	} else if (p->follows_link)
		link_rate_set_params(&w->rate, &params);
	w->follows = p->follows_link;
	ctx->followed[port] = p->follows_link;
}

static void read_option(const uint8_t *option, uint32_t length, struct segment *s)
{
	if (option[0] == TCP_OPTION_TIMESTAMPS && length == TCP_OPTION_TIMESTAMPS_BYTES) {
		s->has_times = true;
		s->tsval = load_be32(option + 2);
		s->tsecr = load_be32(option + 6);
	}
	/* RFC 2018 section 4: the first block holds the segment that has just come. */
	if (option[0] == TCP_OPTION_SACK && length >= TCP_OPTION_SACK_BYTES) {
		uint32_t end = load_be32(option + 6);

		s->has_sack = true;
		if ((int32_t)(end - s->newest) > 0)
			s->newest = end;
	}
}

static void read_options(const uint8_t *tcp, uint32_t header_bytes, struct segment *s)
{
	uint32_t n;

	for (uint32_t at = TCP_HEADER_BYTES; (n = tcp_option_length(tcp, at, header_bytes)) != 0;
		at += n)
		read_option(tcp + at, n, s);
}

/* False for a header that says of itself that it is shorter than one, or longer than the packet. */
static bool read_segment(const struct pkt_meta *m, const uint8_t *tcp, struct segment *ret)
{
	uint32_t octets = m->ip_octets - (uint32_t)(m->l4_off - m->l3_off);
	uint32_t header_bytes = (uint32_t)(tcp[TCP_DATA_OFFSET] >> 4) * 4;
	uint32_t length = octets - header_bytes;

	if (header_bytes < TCP_HEADER_BYTES || header_bytes > octets)
		return false;
	length += (m->tcp_flags & TCP_SYN) != 0;
	length += (m->tcp_flags & TCP_FIN) != 0;
	*ret = (struct segment){.seq_end = load_be32(tcp + TCP_SEQ) + length,
		.acked = load_be32(tcp + TCP_ACKED),
		.newest = load_be32(tcp + TCP_ACKED),
		.has_data = length > 0};
	read_options(tcp, header_bytes, ret);
	return true;
}

/* False for what has no flow, or no whole L4 header of its own. */
static bool can_be_read(const struct pkt_meta *m)
{
	return m->flow_id != FLOW_NONE && m->l4_off != 0
	       && (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER | PKT_ICMP_ERROR)) == 0
	       && (m->proto == PROTO_TCP || m->proto == PROTO_UDP);
}

/* The place that watches a flow; NULL when none does. */
static struct watched *find(struct link_watch *w, uint32_t flow_id)
{
	struct watched *f = &w->flows[flow_id % WATCHED_FLOWS];

	return f->used_us != 0 && f->flow_id == flow_id ? f : NULL;
}

static struct watched *find_or_take(struct link_watch *w, uint32_t flow_id, uint64_t now_us)
{
	struct watched *f = &w->flows[flow_id % WATCHED_FLOWS];

	if (f->used_us != 0 && f->flow_id == flow_id)
		return f;
	if (f->used_us != 0 && now_us - f->used_us < SILENT_US)
		return NULL;
	*f = (struct watched){.flow_id = flow_id, .path = ++w->n_watched};
	rtt_probe_init(&f->probe);
	return f;
}

/* A bare acknowledgement asks a question only while the remote has more to send: else nobody owes an answer. */
static void ask_by_segment(struct watched *f, const struct segment *s, uint64_t now_us)
{
	if (s->has_data) {
		rtt_sent_sequence(&f->probe, s->seq_end, now_us);
	} else if (s->has_times && f->down_octets >= BULK_OCTETS) {
		rtt_sent_timestamp(&f->probe, s->tsval, now_us);
		f->down_octets = 0;
	}
}

static void ask_by_datagram(struct watched *f, const struct flow *flow, const struct pkt_meta *m,
	const uint8_t *udp, uint64_t now_us)
{
	if (flow->remote_port == PORT_DNS) {
		rtt_sent_sequence(&f->probe, f->probe.sequence.last_key + 1, now_us);
		return;
	}
	if (m->ip_octets <= (uint32_t)(m->l4_off - m->l3_off) + UDP_HEADER_BYTES || f->is_random)
		return;
	if ((udp[UDP_HEADER_BYTES] & (QUIC_LONG | QUIC_FIXED)) == QUIC_FIXED)
		f->is_random =
			!rtt_sent_spin(&f->probe, (udp[UDP_HEADER_BYTES] & QUIC_SPIN) != 0, now_us);
}

static bool is_of_interest(const struct flow *flow)
{
	return flow->proto == PROTO_TCP || flow->remote_port == PORT_DNS
	       || flow->remote_port == PORT_QUIC;
}

void link_watch_up(
	struct stage_ctx *ctx, struct link_watch *w, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	const struct flow *flow;
	struct watched *f;

	if (!can_be_read(m))
		return;
	flow = stage_flow(ctx, m);
	if (!is_of_interest(flow) || (m->tcp_flags & TCP_RST) != 0)
		return;
	f = find_or_take(w, m->flow_id, ctx->now_us);
	if (f == NULL)
		return;
	f->used_us = ctx->now_us;
	if (m->proto == PROTO_TCP) {
		struct segment s;

		if (read_segment(m, stage_l4(pkt, m), &s))
			ask_by_segment(f, &s, ctx->now_us);
	} else
		ask_by_datagram(f, flow, m, stage_l4(pkt, m), ctx->now_us);
}

/* The remote's clock as a segment tells it; what it told before its pace was known is made up for. */
static void read_clock(struct link_watch *w, struct watched *f, const struct segment *s,
	struct link_rate_sample *sample)
{
	struct rtt_reading reading = {.now_us = sample->now_us, .sent_us = sample->sent_us};
	struct rtt_reading first;

	sample->has_remote = rtt_remote_clock(&f->probe, s->tsval, &reading);
	sample->remote_us = reading.remote_us;
	if (rtt_first_reading(&f->probe, &first)) {
		struct link_rate_sample recalled = {.now_us = first.now_us,
			.sent_us = first.sent_us,
			.path = f->path,
			.remote_us = first.remote_us,
			.has_remote = true};

		link_rate_recall(&w->rate, &recalled);
	}
}

static void answer_by_segment(
	struct link_watch *w, struct watched *f, const struct segment *s, uint64_t now_us)
{
	struct link_rate_sample sample = {
		.now_us = now_us, .path = f->path, .source = LINK_RATE_TCP_SEQUENCE};

	if (s->acked == f->acked && !s->has_data && !s->has_sack)
		rtt_lost_sequence(&f->probe);
	f->acked = s->acked;
	sample.sent_us = rtt_echo_sequence(&f->probe, s->newest);
	if (s->has_times) {
		uint64_t sent_us = rtt_echo_timestamp(&f->probe, s->tsecr);

		if (sample.sent_us == 0 && sent_us != 0) {
			sample.sent_us = sent_us;
			sample.source = LINK_RATE_TCP_TIMESTAMP;
		}
		read_clock(w, f, s, &sample);
	}
	if (sample.sent_us != 0 || sample.has_remote)
		hear(w, &sample);
}

static void answer_by_datagram(struct link_watch *w, struct watched *f, const struct flow *flow,
	const struct pkt_meta *m, const uint8_t *udp, uint64_t now_us)
{
	struct link_rate_sample sample = {.now_us = now_us};

	if (flow->remote_port == PORT_DNS) {
		/* One resolver, one base delay: its flows are too short to have one each. */
		sample.path = PATH_OF_HOST | flow->remote_be;
		sample.source = LINK_RATE_DNS;
		sample.sent_us = rtt_echo_sequence(&f->probe, f->probe.sequence.last_key);
	} else if (m->ip_octets > (uint32_t)(m->l4_off - m->l3_off) + UDP_HEADER_BYTES
		   && (udp[UDP_HEADER_BYTES] & (QUIC_LONG | QUIC_FIXED)) == QUIC_FIXED
		   && !f->is_random) {
		sample.path = f->path;
		sample.source = LINK_RATE_QUIC_SPIN;
		sample.sent_us = rtt_echo_spin(&f->probe, (udp[UDP_HEADER_BYTES] & QUIC_SPIN) != 0);
	}
	if (sample.sent_us != 0)
		hear(w, &sample);
}

void link_watch_down(
	struct stage_ctx *ctx, struct link_watch *w, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	struct watched *f;

	if (!can_be_read(m) || (m->tcp_flags & TCP_RST) != 0)
		return;
	f = find(w, m->flow_id);
	if (f == NULL)
		return;
	f->used_us = ctx->now_us;
	f->down_octets += m->ip_octets;
	if (m->proto == PROTO_TCP) {
		struct segment s;

		if (read_segment(m, stage_l4(pkt, m), &s))
			answer_by_segment(w, f, &s, ctx->now_us);
	} else
		answer_by_datagram(w, f, stage_flow(ctx, m), m, stage_l4(pkt, m), ctx->now_us);
}

/* When the oldest question about data left, of those that left after the last one that was answered: what is older was lost, or
 * its remote is gone. */
static uint64_t waiting_us(const struct link_watch *w)
{
	uint64_t oldest_us = 0;

	for (uint32_t i = 0; i < WATCHED_FLOWS; i++) {
		const struct watched *f = &w->flows[i];
		uint64_t us =
			f->used_us == 0 ? 0 : rtt_waiting_us(&f->probe, w->rate.crossed_sent_us);

		if (us != 0 && (oldest_us == 0 || us < oldest_us))
			oldest_us = us;
	}
	return oldest_us;
}

static uint64_t hint_pack(const struct link_rate_hint *h)
{
	return UINT64_C(1) << HINT_GIVEN_AT | (uint64_t)(uint16_t)h->rsrp_dbm << HINT_RSRP_AT
	       | (uint64_t)h->technology << HINT_TECHNOLOGY_AT | (h->cell & LINK_RATE_CELL_MAX);
}

static struct link_rate_hint hint_unpack(uint64_t word)
{
	return (struct link_rate_hint){
		.technology = word >> HINT_TECHNOLOGY_AT & ((1u << HINT_TECHNOLOGY_BITS) - 1),
		.cell = word & LINK_RATE_CELL_MAX,
		.rsrp_dbm = (int16_t)(word >> HINT_RSRP_AT),
	};
}

void link_watch_tell(struct link_watch *w, const struct link_rate_hint *hint, uint64_t now_us)
{
	w->hint_us = now_us;
	__atomic_store_n(&w->hint_word, hint_pack(hint), __ATOMIC_RELAXED);
}

static void take_hint(struct link_watch *w)
{
	uint64_t word = __atomic_load_n(&w->hint_word, __ATOMIC_RELAXED);
	struct link_rate_hint hint = hint_unpack(word);

	if (word == w->hint_taken_word)
		return;
	w->hint_taken_word = word;
	link_rate_hint(&w->rate, &hint);
}

bool link_watch_answer(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	struct link_watch *w = ctx->links[m->in_port];
	struct link_rate_sample sample = {.now_us = ctx->now_us,
		.path = PATH_OF_HOST | PATH_OF_PROBE | m->src.words[3],
		.source = LINK_RATE_PROBE};

	if (!ctx->followed[m->in_port] || !link_probe_take(ctx, pkt, m, &w->probe, &sample.sent_us))
		return false;
	link_rate_sample(&w->rate, &sample);
	return true;
}

void link_watch_set_probe_limit(struct link_watch *w, uint64_t octets)
{
	__atomic_store_n(&w->probe.limit_octets, octets, __ATOMIC_RELAXED);
}

static void find_load(struct link_watch *w, const struct link_rate_tick *t, uint64_t span_us)
{
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		uint64_t bps = (t->octets[d] - w->load_octets[d]) * 8 * US_PER_S
			       / RTE_MAX(span_us, (uint64_t)1);

		w->load_octets[d] = t->octets[d];
		w->load_bps[d] = (w->load_bps[d] * (LOAD_TICKS - 1) + bps) / LOAD_TICKS;
	}
}

/* True where there may be a queue that nothing has told of for a while, and no answer is awaited that will. */
static bool must_probe(const struct link_watch *w, const struct link_rate_tick *t)
{
	if (t->waiting_us != 0 && t->now_us - t->waiting_us < SILENT_US)
		return false;
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		bool is_loaded = t->is_backlogged[d]
				 || w->load_bps[d] > w->rate.way[d].carried_bps / LOADED_PART;

		if (is_loaded && t->now_us - w->heard_us[d] > DEAF_US)
			return true;
	}
	return false;
}

/* A probe that left is a question like those of flows, and its answer may be overdue. */
static void probe(struct stage_ctx *ctx, uint8_t port, struct link_rate_tick *t)
{
	struct link_watch *w = ctx->links[port];
	uint64_t since_us;

	if (ip_addr_is_unset(&ctx->config->ports[port].probe_to))
		return;
	if (t->is_up && must_probe(w, t))
		link_probe_send(ctx, port, &w->probe);
	since_us = link_probe_waiting_us(&w->probe, w->rate.crossed_sent_us, t->now_us);
	if (since_us != 0 && (t->waiting_us == 0 || since_us < t->waiting_us))
		t->waiting_us = since_us;
}

static void tick(struct stage_ctx *ctx, uint8_t port)
{
	struct link_watch *w = ctx->links[port];
	struct link_rate_tick t = {.now_us = ctx->now_us,
		.is_up = port_is_up(ctx->ports[port]),
		.waiting_us = waiting_us(w)};
	uint64_t span_us = ctx->now_us - w->ticked_us;

	w->ticked_us = ctx->now_us;
	take_hint(w);
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		t.octets[d] = ctx->edge[port][d].octets;
		t.is_backlogged[d] = shaper_load(ctx->shapers[port][d]).busy_since_us != UINT64_MAX;
	}
	find_load(w, &t, span_us);
	probe(ctx, port, &t);
	link_rate_tick(&w->rate, &t);
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		struct link_rate_advice advice = link_rate_advice(&w->rate, (enum direction)d);
		struct shaper_link link = {.bps = advice.rate_bps,
			.waited_us = advice.waited_us,
			.target_us = advice.target_us,
			.interval_us = advice.interval_us};

		shaper_set_link(ctx->shapers[port][d], &link, ctx->now_us);
	}
}

void link_watch_run(struct stage_ctx *ctx)
{
	for (uint8_t port = 0; port < ctx->config->n_ports; port++)
		if (ctx->followed[port] && ctx->now_us - ctx->links[port]->ticked_us >= TICK_US)
			tick(ctx, port);
}

void link_watch_read(const struct link_watch *w, struct link_stats *ret_stats)
{
	const struct link_rate *l = &w->rate;

	*ret_stats = (struct link_stats){.base_rtt_us = l->base_rtt_us,
		.n_one_way = l->n_one_way,
		.n_tcp = l->n_samples[LINK_RATE_TCP_TIMESTAMP]
			 + l->n_samples[LINK_RATE_TCP_SEQUENCE],
		.n_dns = l->n_samples[LINK_RATE_DNS],
		.n_quic = l->n_samples[LINK_RATE_QUIC_SPIN],
		.n_probes = l->n_samples[LINK_RATE_PROBE],
		.hint = hint_unpack(w->hint_word),
		.hint_us = w->hint_us};
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		ret_stats->carried_bps[d] = l->way[d].carried_bps;
		ret_stats->radio_queue_us[d] =
			l->way[d].queue_us < 0 ? 0 : (uint64_t)l->way[d].queue_us;
		ret_stats->seen_us[d] = l->way[d].seen_us;
		ret_stats->probe_packets[d] = w->probe.sums[d].packets;
		ret_stats->probe_octets[d] = w->probe.sums[d].octets;
	}
}
