/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names on the path: what devices ask the DNS and are answered, through the gateway or by it, and what their hellos name.
 * classify/learner.h does the thinking; here packets, flows and devices become what it takes.
 */
#include "stage.h"

#include <weir/base/clock.h>
#include <weir/classify/dns.h>
#include <weir/classify/learner.h>
#include <weir/packet/bytes.h>
#include <weir/packet/parse.h>

#include <string.h>

#define BINDINGS_OWN        16   /* of each device, whatever the others do */
#define BINDINGS_COMMON     4096 /* for those that need more */
#define BINDINGS_PER_DEVICE 128

#define TOLD_ADDRESSES 8 /* of one answer; clients try the first */

/* RFC 1035 section 4.1.1: answers, if only that there is no such name. */
#define DNS_NO_ERROR     0
#define DNS_NO_SUCH_NAME 3

/* A number of its own for conversations without a flow: no flow's number has this bit. */
#define LOCAL_FLOW (1ull << 62)

int learn_create(
	const struct stage_ctx *ctx, const struct flow_hash_key *key, struct learner **ret_learner)
{
	struct names_setup setup = {
		.capacity = (uint32_t)ctx->devices->capacity * BINDINGS_OWN + BINDINGS_COMMON,
		.per_device = BINDINGS_PER_DEVICE,
		.n_own = BINDINGS_OWN,
		.n_devices = ctx->devices->capacity,
		.hash_key = *key,
	};

	return learner_create(&setup, ret_learner);
}

static struct names_device device_of(const struct stage_ctx *ctx, uint16_t id)
{
	return (struct names_device){id, ctx->devices->devices[id].generation};
}

/* What the rules of one configuration are in the next: by bit, the rules that are proved with it. */
struct carried {
	uint64_t rules[CLASS_NAME_RULES_MAX];
	uint64_t sni; /* rules of the next one */
	bool is_same;
};

static void carry_rules(
	const struct path_config *now, const struct path_config *next, struct carried *ret)
{
	uint64_t sni = classes_with_sni(now->classes);

	*ret = (struct carried){.sni = classes_with_sni(next->classes), .is_same = true};
	for (uint8_t i = 0; i < CLASS_NAME_RULES_MAX; i++) {
		uint64_t own = name_set_carry_rule(now->names, now->names, i);

		ret->rules[i] = name_set_carry_rule(now->names, next->names, i);
		ret->is_same &= own == ret->rules[i];
		/* A name from the DNS alone does not say what the hello names. */
		if ((sni >> i & 1) == 0)
			ret->rules[i] &= ~ret->sni;
	}
	ret->is_same &= sni == ret->sni;
}

/* What the device's answers prove now counts too, except where a hello has been read that may name another. */
static void carry_flow(struct stage_ctx *ctx, const struct path_config *next,
	const struct carried *carried, uint32_t flow_id)
{
	const struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	uint64_t named = 0;

	for (uint64_t left = more->named; left != 0; left &= left - 1)
		named |= carried->rules[__builtin_ctzll(left)];
	if (next->names != NULL && f->device_id != DEVICE_NONE) {
		struct names_device device = device_of(ctx, f->device_id);

		named |= names_find(learner_names(ctx->learner), next->names, &device,
				 &more->remote, ctx->now_us)
			 & ~carried->sni;
	}
	more->named = named;
}

/* The proofs of live flows follow their names to other rules. */
static void carry_flows(struct stage_ctx *ctx, const struct path_config *next)
{
	struct carried carried;

	carry_rules(ctx->config, next, &carried);
	for (uint32_t id = 0; id < ctx->flows->capacity && !carried.is_same; id++)
		if (ctx->flows->more[id].in_use && ctx->flows->more[id].named != 0)
			carry_flow(ctx, next, &carried, id);
}

static bool may_stand_anywhere(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0'
	       && text[0] != '.';
}

/* A name for people: what is no host name is left out, whoever made it up. The gateway's own resolver asks for all devices;
 * what these ask it for is theirs. */
static bool begin_name(const struct stage_ctx *ctx, uint16_t device_id, const struct dns_name *name,
	struct path_name *ret)
{
	const struct device *d = &ctx->devices->devices[device_id];
	char text[DNS_NAME_TEXT_MAX];

	if (ctx->config->ports[d->port].role == PORT_TAP
		|| !may_stand_anywhere(dns_name_format(name, text)))
		return false;
	*ret = (struct path_name){.kind = PATH_NAME_REMOTE,
		.port = d->port,
		.mac = d->mac,
		.addr = d->addr,
		.device_id = device_id,
		.at_us = ctx->now_us};
	memcpy(ret->name, text, strlen(text) + 1);
	return true;
}

/* learner_hear. */
static void hear(void *arg, const struct names_device *device, const struct dns_name *name,
	const struct dns_answer *answer)
{
	struct stage_ctx *ctx = arg;
	struct path_name told;

	if (!begin_name(ctx, device->id, name, &told))
		return;
	for (uint32_t i = 0; i < answer->n_addresses && i < TOLD_ADDRESSES; i++) {
		told.remote = answer->addresses[i].addr;
		told.ttl_s = answer->addresses[i].ttl_s;
		stage_name(ctx, &told);
	}
}

/* The name in a flow's hello. */
static void tell_hello(struct stage_ctx *ctx, uint32_t flow_id, const struct dns_name *name)
{
	const struct flow_more *more = &ctx->flows->more[flow_id];
	struct path_name told;

	if (!ctx->config->remote_names
		|| !begin_name(ctx, ctx->flows->flows[flow_id].device_id, name, &told))
		return;
	told.remote = more->remote;
	told.at_us = more->start_us;
	stage_name(ctx, &told);
}

void learn_adopt(struct stage_ctx *ctx, const struct path_config *next)
{
	const struct path_config *config = ctx->config;

	if (ctx->learner == NULL)
		return;
	learner_set_listener(ctx->learner, next->remote_names ? hear : NULL, ctx);
	ctx->learn_until_us = next->names != NULL ? UINT64_MAX : 0;
	names_set_times(learner_names(ctx->learner), &next->names_times);
	if (config == NULL || config->names == NULL)
		return;
	names_carry(learner_names(ctx->learner), config->names, next->names);
	carry_flows(ctx, next);
}

static bool segment_payload_of(
	struct rte_mbuf *pkt, const struct pkt_meta *m, struct learner_packet *ret)
{
	const uint8_t *l4 = stage_l4(pkt, m);
	uint32_t l4_bytes = m->ip_octets - (uint32_t)(m->l4_off - m->l3_off);
	uint32_t header_bytes;

	if (l4 == NULL || (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER)) != 0)
		return false;
	header_bytes = (l4[12] >> 4) * 4u;
	if (l4_bytes <= header_bytes)
		return false;
	ret->seq = load_be32(l4 + 4) + ((m->tcp_flags & TCP_SYN) != 0);
	ret->octets = l4 + header_bytes;
	ret->len = l4_bytes - header_bytes;
	return true;
}

/* The payload, as the learner takes it. False when there is none, or only a part of it in a fragment: answers that came in
 * fragments are not learned, and devices that trust them are few (RFC 8900). */
static bool payload_of(struct rte_mbuf *pkt, const struct pkt_meta *m, struct learner_packet *ret)
{
	ret->is_tcp = m->proto == PROTO_TCP;
	if (ret->is_tcp)
		return segment_payload_of(pkt, m, ret);
	ret->octets = m->proto == PROTO_UDP ? stage_datagram(pkt, m, &ret->len) : NULL;
	return ret->octets != NULL;
}

/* A server that cannot say has not answered: a resolver without its own says so. Over TCP whatever comes is taken for an answer: it has no
 * place in a stream here. */
static bool is_dns_answer(const struct learner_packet *packet)
{
	uint8_t code;

	if (packet->is_tcp)
		return true;
	if (packet->len < DNS_HEADER_BYTES)
		return false;
	code = packet->octets[3] & 0xf;
	return code == DNS_NO_ERROR || code == DNS_NO_SUCH_NAME;
}

/* Whether the DNS answers this device is a clock of its own (control/clocks.h). */
static void note_dns(struct stage_ctx *ctx, const struct learner_packet *packet)
{
	struct device *d = &ctx->devices->devices[packet->device.id];
	uint32_t now_s = (uint32_t)(ctx->now_us / US_PER_S);

	if (!packet->is_downlink)
		d->dns_asked_s = now_s;
	else if (is_dns_answer(packet))
		d->dns_answered_s = now_s;
}

static void take_dns(struct stage_ctx *ctx, const struct learner_packet *packet)
{
	if (ctx->config->names != NULL)
		note_dns(ctx, packet);
	learner_take_dns(ctx->learner, ctx->config->names, packet, ctx->now_us);
}

void learn_on(struct stage_ctx *ctx)
{
	if (ctx->config->names == NULL)
		ctx->learn_until_us = ctx->now_us + ctx->config->timeouts.udp_ms * US_PER_MS;
}

void learn_dns_begins(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	if (!ctx->config->remote_names || ctx->config->ports[m->in_port].role != PORT_LAN)
		return;
	learn_packet(ctx, pkt, m, m->flow_id);
	learn_on(ctx);
}

void learn_begin(struct stage_ctx *ctx, uint32_t flow_id)
{
	const struct path_config *config = ctx->config;
	const struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	struct names_device device;

	if (ctx->learner == NULL || config->names == NULL || more->is_inbound
		|| f->device_id == DEVICE_NONE)
		return;
	device = device_of(ctx, f->device_id);
	more->named = names_find(
		learner_names(ctx->learner), config->names, &device, &more->remote, ctx->now_us);
	if ((more->named & classes_with_sni(config->classes)) != 0)
		more->hello = FLOW_HELLO_WANTED;
}

/* The hello is read, or will not come: a class that asks for its name keeps the flow only when it is there. */
static bool settle_hello(struct stage_ctx *ctx, uint32_t flow_id, const struct dns_name *name)
{
	const struct path_config *config = ctx->config;
	struct flow_more *more = &ctx->flows->more[flow_id];
	uint64_t sni = classes_with_sni(config->classes);
	uint64_t rules = 0;
	uint64_t named = more->named;

	if (name != NULL) {
		rules = name_set_rules(config->names, name_set_find(config->names, name));
		tell_hello(ctx, flow_id, name);
	}
	more->named = named & (~sni | rules);
	more->hello = FLOW_HELLO_READ;
	return more->named != named;
}

bool learn_packet(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, uint32_t flow_id)
{
	const struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	struct learner_packet packet = {
		.flow = (uint64_t)flow_id << 32 | (uint32_t)more->start_us,
		.is_downlink = m->direction == DOWNLINK,
	};
	struct dns_name name;
	enum tls_hello hello;

	if (ctx->learner == NULL || ctx->flows->more[flow_id].is_inbound
		|| (f->flags & FLOW_HAIRPIN) != 0 || f->device_id == DEVICE_NONE
		|| !payload_of(pkt, m, &packet))
		return false;
	packet.device = device_of(ctx, f->device_id);
	if (f->remote_port == DNS_PORT)
		take_dns(ctx, &packet);
	if (more->hello != FLOW_HELLO_WANTED || packet.is_downlink)
		return false;
	hello = learner_take_hello(ctx->learner, &packet, ctx->now_us, &name);
	if (hello == TLS_HELLO_MORE && f->packets[UPLINK] + 1 < LEARN_PACKETS_MAX)
		return false;
	return settle_hello(ctx, flow_id, hello == TLS_HELLO_NAME ? &name : NULL);
}

/* The device on the LAN, when this is DNS between it and the gateway. One that is not known yet begins with its question. */
static uint16_t local_device(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, uint8_t lan_port)
{
	static const struct mac_addr none = {{0}};
	const struct mac_addr *mac = &none;
	uint16_t id;

	if (m->in_port != lan_port)
		return m->src_port == DNS_PORT ? device_find(ctx->devices, lan_port, &m->dst)
					       : DEVICE_NONE;
	if (m->dst_port != DNS_PORT)
		return DEVICE_NONE;
	id = device_find(ctx->devices, lan_port, &m->src);
	if (id != DEVICE_NONE)
		return id;
	if (ctx->ports[lan_port]->framing == FRAMING_ETHERNET)
		mac = rte_pktmbuf_mtod_offset(pkt, const struct mac_addr *, sizeof(*mac));
	id = device_take(ctx->devices, lan_port, &m->src, mac, ctx->now_us);
	if (id != DEVICE_NONE)
		flow_tell_device(ctx, id);
	return id;
}

/* The same in both directions, and another for every conversation of these seconds. */
static uint64_t local_flow(const struct pkt_meta *m, bool is_downlink)
{
	uint16_t device_port = is_downlink ? m->dst_port : m->src_port;
	const struct ip_addr *gateway = is_downlink ? &m->src : &m->dst;

	return LOCAL_FLOW | (uint64_t)gateway->words[3] << 24 | (uint64_t)device_port << 8
	       | m->proto;
}

void learn_local(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, uint8_t lan_port)
{
	struct learner_packet packet = {.is_downlink = m->in_port != lan_port};
	uint16_t id;

	if (m->src_port != DNS_PORT && m->dst_port != DNS_PORT)
		return;
	if (ctx->learner == NULL || (ctx->config->names == NULL && !ctx->config->remote_names)
		|| !payload_of(pkt, m, &packet))
		return;
	id = local_device(ctx, pkt, m, lan_port);
	if (id == DEVICE_NONE)
		return;
	packet.device = device_of(ctx, id);
	packet.flow = local_flow(m, packet.is_downlink);
	take_dns(ctx, &packet);
}
