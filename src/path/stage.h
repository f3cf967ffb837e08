/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the stages of one worker share.
 *
 * Shapes:   a stage gets a burst, returns the survivors in order at the front of the same array; every other
 *           packet was dropped (stage_drop), held (stage_hold) or set aside (stage_aside).
 * Threads:  one worker owns a context. Fields marked [control] are written by control.
 */
#ifndef WEIR_PATH_STAGE_H
#define WEIR_PATH_STAGE_H

#include "host_names.h"
#include "limit.h"
#include "pcp.h"
#include "place.h"
#include "syn_hold.h"

#include <weir/account/record_ring.h>
#include <weir/account/top.h>
#include <weir/budget/meter.h>
#include <weir/flow/device.h>
#include <weir/flow/expiry.h>
#include <weir/flow/fragment.h>
#include <weir/flow/station.h>
#include <weir/flow/table.h>
#include <weir/nat/mapping.h>
#include <weir/packet/drops.h>
#include <weir/packet/meta.h>
#include <weir/path/doors.h>
#include <weir/port/neighbor.h>
#include <weir/port/port.h>
#include <weir/shape/shaper.h>

#include <rte_mbuf.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum stage_id {
#define STAGE(name) STAGE_##name,
#include "stages.def"
#undef STAGE
	N_STAGES
};

#define BURST_MAX PORT_BURST_MAX
/* Places in the array of a burst: queues may release more than came in. */
#define BURST_ROOM  (4 * BURST_MAX)
#define ASIDE_MAX   BURST_ROOM /* answers by the gateway that wait for tx */
#define REQUEUE_MAX (BURST_MAX * (FRAGMENT_HELD_MAX + 1))

struct link_watch;
struct senders;

struct stage_counters {
	uint64_t in;
	uint64_t out;
	uint64_t dropped;
	uint64_t aside;
	uint64_t held;  /* ever put into a queue of the stage */
	uint64_t taken; /* ever taken out of it */
	uint64_t made;  /* packets the stage made: fragments, errors, answers */
	uint64_t ticks;
};

/* A packet that leaves by a port without walking the rest of the path. */
struct aside {
	struct rte_mbuf *pkt;
	uint8_t port;
	bool is_frame; /* complete, link-layer header included; else tx finds next hop and header */
};

/* What was counted of a rule, and how often it was told. */
struct rule_watch {
	uint64_t n_hits;
	struct stage_limit limit;
	uint32_t n_silent;
};

struct edge {
	uint64_t packets;
	uint64_t octets;
};

/* What came by an uplink for no flow. */
struct unsolicited {
	struct edge sum;
	uint64_t since_us; /* the lists begin */
	struct top senders;
	struct top networks;
	struct top targets;
	bool must_restart; /* [control] sets it, the worker takes it back */
};

/* The link-layer header of the last packet of a burst, and where the port's next hops are. */
struct tx_header {
	uint32_t network_be; /* destinations within are next hops, under the mask */
	uint32_t mask_be;
	uint32_t gateway_be; /* of all others */
	uint32_t next_hop_be;
	bool has_next_hop;
	bool asks; /* next hops are neighbours, which are asked for */
	struct mac_addr dst;
	uint16_t n_bytes; /* 0: not begun */
	uint8_t rest[12]; /* behind dst, with a VLAN tag */
};

/* Frames that wait for the port's next tx burst. */
struct tx_batch {
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n;
	uint16_t n_unbilled; /* of n: ARP */
	uint64_t octets;
	struct tx_header header;
};

struct stage_ctx {
	uint64_t now_us;
	uint32_t now_ms;
	uint8_t rx_port; /* whose burst this is */
	uint8_t stage;   /* enum stage_id, of the one that runs */
	const struct path_config *config;
	struct flow_table *flows;
	struct device_table *devices;
	struct meter plans[PLANS_MAX];
	uint16_t mtu[PORTS_MAX]; /* of the bearer, refreshed by housekeeping */
	bool is_uplink[PORTS_MAX];
	struct networks networks; /* of the ports of `config` */
	bool profile;             /* read the counter between stages */
	bool shaped[PORTS_MAX]
		   [N_DIRECTIONS]; /* a rate or ceiling is set, or packets of a former one wait */
	bool any_shaped;
	bool plan_spent[PLANS_MAX]; /* the event was raised */
	bool table_full;            /* the event was raised */
	struct edge edge[PORTS_MAX][N_DIRECTIONS];
	/* of the edge's sums, what flows account for */
	struct edge attributed[PORTS_MAX][N_DIRECTIONS];
	struct stage_counters stages[N_STAGES];
	uint64_t drops[N_DROP_REASONS];
	uint64_t drop_octets[N_DROP_REASONS];

	struct station_table *stations;
	struct share *shares; /* by station, then plan */
	uint32_t n_share_plans;
	uint32_t quota_stations[QUOTAS_MAX]; /* of those whom a quota holds together */
	bool counts_shares;                  /* there are quotas or reserves */
	bool quota_shapes;                   /* a quota has a step that slows */
	uint64_t quota_us;                   /* when rates were handed out last */

	struct flow_wheel *wheel;
	struct fragment_table *fragments;
	struct neighbor_table *neighbors;
	struct learner *learner;     /* NULL: nothing is learned */
	uint64_t learn_until_us;     /* bursts are looked through for names until then */
	struct nat *nats[PORTS_MAX]; /* of uplinks */
	struct shaper *shapers[PORTS_MAX][N_DIRECTIONS];  /* of uplinks */
	uint64_t general_bps[PORTS_MAX][N_DIRECTIONS];    /* that they were told */
	struct link_watch *links[PORTS_MAX];              /* of uplinks */
	bool followed[PORTS_MAX];                         /* their rates are moved */
	uint16_t shape_overhead[PORTS_MAX][N_DIRECTIONS]; /* octets a packet */
	uint16_t ceilings_cursor;                         /* of the walk over devices */
	struct port *const *ports;
	const struct path_setup *setup;
	struct rng *rng;

	struct aside asides[ASIDE_MAX];
	uint32_t n_asides;
	/* fragments whose first has come: they enter the flow stage again */
	struct rte_mbuf *requeue[REQUEUE_MAX];
	uint32_t n_requeued;
	/* waited for a neighbour that has answered: tx sends them */
	struct rte_mbuf *resolved[BURST_ROOM];
	uint32_t n_resolved;
	bool must_ask; /* a packet waits for a next hop that was not asked for yet */

	struct tx_batch batches[PORTS_MAX];
	struct senders *senders; /* NULL: the worker sends all by itself */

	struct syn_hold syn_hold;
	struct host_names host_names;

	struct unsolicited unsolicited[PORTS_MAX]; /* of uplinks */

	struct stage_limit error_limit;
	struct stage_limit echo_limit;
	struct rule_watch rule_watches[POLICY_RULE_DEFAULT + 1];
	struct rule_watch device_watch; /* devices refused */
	bool policy_watches;            /* policy looks at packets of established flows too */
	uint32_t n_new_flows;           /* taken for packets of this burst */
	bool expiry_is_late;            /* more flows have timed out than were ended */
	uint64_t flows_created;
	uint64_t flows_ended;
	uint64_t conservation_errors;
	struct record_ring records; /* for control */
	struct pcp_server pcp;
	struct path *path; /* for events and records */
};

/* The metadata in the mbuf's private area. */
static inline struct pkt_meta *stage_meta(struct rte_mbuf *pkt)
{
	return rte_mbuf_to_priv(pkt);
}

/* The IP header. */
static inline uint8_t *stage_ip(struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	return rte_pktmbuf_mtod_offset(pkt, uint8_t *, m->l3_off);
}

/* The L4 header; NULL when there is none. */
static inline uint8_t *stage_l4(struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	return m->l4_off == 0 ? NULL : rte_pktmbuf_mtod_offset(pkt, uint8_t *, m->l4_off);
}

/* The pair of ports that a packet goes between. */
static inline uint16_t stage_way(const struct pkt_meta *m)
{
	return (uint16_t)(m->in_port << 8 | m->out_port);
}

static inline struct flow *stage_flow(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	return &ctx->flows->flows[m->flow_id];
}

static inline struct flow_more *stage_flow_more(
	const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	return &ctx->flows->more[m->flow_id];
}

/* The packet's 5-tuple as received. */
static inline struct flow_key_v4 stage_key(const struct pkt_meta *m)
{
	return (struct flow_key_v4){
		.src_be = m->src.words[3],
		.dst_be = m->dst.words[3],
		.src_port = m->src_port,
		.dst_port = m->dst_port,
		.proto = m->proto,
	};
}

static inline uint32_t stage_hash(const struct flow_hash_key *k, const struct pkt_meta *m)
{
	struct flow_key_v4 key = stage_key(m);

	return flow_hash_v4(k, &key);
}

/* The flow reference of a packet whose hash is set. */
static inline uint32_t stage_find(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	struct flow_key_v4 key = stage_key(m);

	return flow_table_find_v4(ctx->flows, m->hash, &key);
}

static inline struct share *stage_share(
	const struct stage_ctx *ctx, uint32_t station, uint8_t plan_id)
{
	return &ctx->shares[(size_t)station * ctx->n_share_plans + plan_id];
}

/* What a UDP datagram carries; NULL when that is nothing, or only a part of it in a fragment. */
const uint8_t *stage_datagram(struct rte_mbuf *pkt, const struct pkt_meta *m, uint32_t *ret_len);

/* Ends a packet with a reason: counts, takes back what was billed and was not sent, frees. */
void stage_drop(struct stage_ctx *ctx, struct rte_mbuf *pkt, enum drop_reason why);

/* The packet now lies in a queue of this stage. */
static inline void stage_hold(struct stage_ctx *ctx)
{
	ctx->stages[ctx->stage].held++;
}

/* Sets a packet aside for a port; drops it when too many wait. */
void stage_aside(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port, bool is_frame);

/* Raises an event; lost when the ring is full. */
void stage_event(struct stage_ctx *ctx, const struct path_event *event);

/* Hands a name on that was heard; lost when the ring is full. */
void stage_name(struct stage_ctx *ctx, const struct path_name *name);

/* quota.c: for as many devices and plans as there may be. Returns 0 or a negative errno. */
int quota_create(
	struct stage_ctx *ctx, const struct path_config *config, const struct flow_hash_key *key);
void quota_destroy(struct stage_ctx *ctx);

/* quota.c: the quotas of ctx->config hold from now on. */
void quota_adopt(struct stage_ctx *ctx);

/* quota.c: finds out which quota the device of a flow is under. */
void quota_flow(struct stage_ctx *ctx, struct flow *f);

/* quota.c: the share of a plan that pays for a device's octets, or that of its own; in the plan's present cycle. */
struct share *quota_payer(struct stage_ctx *ctx, const struct device *d, uint8_t plan_id);
struct share *quota_own(struct stage_ctx *ctx, const struct device *d, uint8_t plan_id);

/* quota.c: may a packet go on for which its device's quota is so much less? It is, if so, and for what came in in any case. */
enum drop_reason quota_take(struct stage_ctx *ctx, struct pkt_meta *m, uint8_t plan_id,
	uint64_t cost, bool is_reserved);

/* quota.c: the same for one that came in and does not go on. */
void quota_count(struct stage_ctx *ctx, struct pkt_meta *m, uint8_t plan_id, uint64_t cost);

/* quota.c: what was counted of an uplink packet was more, or less; modulo 2^64. */
void quota_correct(
	struct stage_ctx *ctx, const struct pkt_meta *m, uint8_t plan_id, uint64_t octets);

/* quota.c: housekeeping: hands out the rates that steps leave to devices. */
void quota_age(struct stage_ctx *ctx);

/* Tells control, once, that a plan's quota is used up. */
void meter_tell_spent(struct stage_ctx *ctx, uint8_t plan_id);

/* The stages; see stages.def. */
#define STAGE(name)                                                                                \
	uint16_t name##_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts);
#include "stages.def"
#undef STAGE

/* pipeline.c: the whole path over one burst from port `ctx->rx_port`; returns packets received. */
uint16_t pipeline_run(struct stage_ctx *ctx);

/* pipeline.c: from a stage on, over packets that were taken out of one of its queues (or none, to let queues move). */
void pipeline_resume(
	struct stage_ctx *ctx, enum stage_id first, struct rte_mbuf **pkts, uint16_t n_pkts);

/* flow_new.c: decides what a packet without a flow is, whose destination is at `to`; DROP_NONE: m->flow_id is a taken, not yet
 * inserted flow and PKT_NEW_FLOW is set. */
enum drop_reason flow_new(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, const struct place *to);

/* flow_new.c: what RFC 1812 5.3 and RFC 2827 ask of the addresses of a packet that no flow vouches for. */
enum drop_reason flow_check_addresses(
	const struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

/* track.c: what a TCP segment with its header means to its flow. PKT_PROVES_NOTHING is set where it keeps nothing alive. */
void flow_track(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m);

/* track.c: the same for the segment that makes a flow; its state is set. */
void flow_track_new(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

/* fragments.c: a first fragment was let in by its flow: later ones join it, those that waited come again. */
void fragments_first(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

/* fragments.c: a first fragment is dropped: so is what waited for it. */
void fragments_refuse(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	enum drop_reason why);

/* fragments.c: true when a later fragment goes on with the ports of its first one; else it was held or dropped. */
bool fragments_later(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m);

/* flow_new.c: the same for a packet that arrives at the external address of `uplink`, from outside or hairpinned. */
enum drop_reason flow_new_inbound(struct stage_ctx *ctx, struct pkt_meta *m, uint8_t uplink);

/* flow_new.c: tells control of a device that was not known before. */
void flow_tell_device(struct stage_ctx *ctx, uint16_t id);

/* flow_new.c: the first packet of the internal endpoint on a flow that was begun outside. */
void flow_answered(struct stage_ctx *ctx, uint32_t flow_id);

/* flow_new.c: tells the sender of a LAN packet that there was no room for it, when that is why (RFC 5508 REQ-8,
 * RFC 6888 REQ-11 B). */
void flow_refuse(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	enum drop_reason why);

/* Gives back the flow of a packet that was not let in after all. */
void flow_abandon(struct stage_ctx *ctx, struct pkt_meta *m);

/* Ends a flow: record, NAT mapping, device, keys. False when the record must wait for room; nothing was done then. */
bool flow_end(struct stage_ctx *ctx, uint32_t flow_id, enum flow_end_reason why);

/* flow_new.c: a flow will end soon: what that touches is fetched. */
void flow_expect_end(const struct stage_ctx *ctx, uint32_t flow_id);

/* 30_flow.c: the flow that an ICMP error speaks about, by its quoted packet. */
enum drop_reason flow_of_icmp_error(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m);

/* local.c: what is for the gateway itself; the destination is at `to`. True when the packet was taken care of. */
bool local_deliver(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m,
	const struct place *to, enum drop_reason *ret_why);

/* local.c: an ARP message; always taken care of. */
void local_arp(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m);

/* local.c: tells the sender of `pkt` about an error, within limits; `pkt` stays the caller's. `rest` is ICMP_REST_…, or 0. */
void local_icmp_error(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	uint8_t type, uint8_t code, uint32_t rest);

/* 50_nat.c: translates an ICMP error of the flow and direction in `m`: its outer address and the packet it quotes. */
enum drop_reason nat_translate_error(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

/* 50_nat.c: gives a new flow its mapping and enters it; when another packet has made it meanwhile, joins that one. On
 * failure the flow was given back. */
enum drop_reason nat_new(struct stage_ctx *ctx, struct pkt_meta *m);

/* 40_policy.c: asks about a new flow. `ret_reject`: its sender is to be told. */
enum drop_reason policy_ask_new(
	struct stage_ctx *ctx, uint32_t flow_id, enum policy_way way, bool *ret_reject);

/* 40_policy.c: asks again about an established flow; false when it is denied now, and marked so. */
bool policy_ask_again(struct stage_ctx *ctx, uint32_t flow_id);

/* 40_policy.c: finds the groups that a device is in, by its MAC and its address. There are groups. */
uint64_t policy_find_groups(const struct stage_ctx *ctx, struct device *d);

/* The groups that a device is in. */
static inline uint64_t stage_groups(const struct stage_ctx *ctx, struct device *d)
{
	if (ctx->config->groups == NULL)
		return 0;
	return (d->known & DEVICE_KNOWN_GROUPS) != 0 ? d->groups : policy_find_groups(ctx, d);
}

/* 40_policy.c: may the device that sent this be heard at all? `m` has its id where it is known. */
enum drop_reason policy_admit(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, bool is_for_gateway);

/* 40_policy.c: true for a device that is not admitted, whatever it may reach. */
bool policy_quarantines(
	const struct stage_ctx *ctx, const struct mac_addr *mac, const struct ip_addr *addr);

/* 40_policy.c: may this MAC claim the address? */
enum drop_reason policy_check_owner(struct stage_ctx *ctx, uint8_t port, const struct ip_addr *addr,
	const struct mac_addr *mac);

/* 40_policy.c: whether established flows must be looked at, by the configuration or for denied ones among them. */
void policy_find_watched(struct stage_ctx *ctx, bool has_denied);

/* 35_classify.c: the class of a flow, by what is proved of it. */
void classify_flow(struct stage_ctx *ctx, uint32_t flow_id);

/* learn.c: what is kept of names, for as many devices as there may be. */
int learn_create(
	const struct stage_ctx *ctx, const struct flow_hash_key *key, struct learner **ret_learner);

/* learn.c: before `next` takes the place of ctx->config: bindings and flows keep what both configurations have names for. */
void learn_adopt(struct stage_ctx *ctx, const struct path_config *next);

/* learn.c: what the device knows of the remote of its new flow. */
void learn_begin(struct stage_ctx *ctx, uint32_t flow_id);

/* learn.c: a packet of flow `flow_id` when its packets say names: of the DNS, or its first ones. True when the flow may be
 * of another class now. */
bool learn_packet(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, uint32_t flow_id);

/* learn.c: the first packet of a flow to port 53 while bursts are not looked through: from now on they are, for as long as answers
 * may come. */
void learn_dns_begins(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

/* learn.c: bursts are looked through on for as long as the flows of a DNS packet that was just seen may live. */
void learn_on(struct stage_ctx *ctx);

/* learn.c: a packet between a LAN's device and the gateway itself, where most ask their DNS. */
void learn_local(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, uint8_t lan_port);

/* hairpin.c: a packet that is for the gateway's own external address, its source translated already, goes on to the
 * internal endpoint behind the destination. */
enum drop_reason hairpin_turn(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m);

/* 70_account.c: true while the packet's flow is the one that it was counted on: it may have ended while the packet was
 * queued, and its id may be another's by now. For packets younger than 71 minutes. */
bool account_flow_lives(const struct stage_ctx *ctx, const struct pkt_meta *m);

/* 70_account.c: an uplink packet that was counted is not sent after all. */
void account_take_back(struct stage_ctx *ctx, const struct pkt_meta *m);

/* 70_account.c: fragmenting made `octets` and `packets` more (or less, where it failed half-way) of an uplink packet. */
void account_add(struct stage_ctx *ctx, const struct pkt_meta *m, int64_t octets, int64_t packets);

/* unsolicited.c: a packet that came by an uplink, was billed, and is dropped without a flow. `m` is NULL where its header is not
 * to be believed. */
void unsolicited_count(
	struct stage_ctx *ctx, uint8_t uplink, const struct pkt_meta *m, uint32_t octets);

/* local.c: a fresh packet of the gateway's own; NULL when there is no buffer. */
struct rte_mbuf *local_make_packet(struct stage_ctx *ctx);

/* local.c: sends a frame with its Ethernet header as it is, under the tag of its port. */
void local_send_frame(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, uint8_t port);

/* local.c: asks who has an address. */
void local_arp_request(struct stage_ctx *ctx, const struct neighbor_request *request);

/* 80_shape.c: what a shaper gives up; `arg` is its stage_ctx. */
void shape_give_up(void *arg, void *pkt, enum shaper_drop why);

/* 80_shape.c: tells the shapers of ceilings that control has set, of plans and of some of the devices. */
void shape_follow_ceilings(struct stage_ctx *ctx);

/* housekeeping.c: expiry, fragments, neighbours, interim records; bounded work. */
void housekeeping_run(struct stage_ctx *ctx);

/* housekeeping.c: its part that ends flows, for the steps in between. */
void housekeeping_expire(struct stage_ctx *ctx);

#endif
