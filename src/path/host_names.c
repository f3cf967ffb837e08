/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage.h"

#include <weir/base/clock.h>
#include <weir/packet/bytes.h>

#define HOST_NAMES_PER_S    20
#define HOST_NAME_AGAIN_US  (10 * 60 * US_PER_S)
#define HOST_NAME_CHANGE_US (5 * US_PER_S)

static struct host_told *place_of(struct stage_ctx *ctx, const struct mac_addr *mac)
{
	uint64_t word = 0;

	memcpy(&word, mac, sizeof(*mac));
	word = flow_hash_fold(word ^ ctx->flows->hash_key.words[0], ctx->flows->hash_key.words[1]);
	return &ctx->host_names.told[word % HOST_PLACES];
}

/* True when control has this already, or must not hear of it yet. */
static bool is_to_wait(const struct host_told *told, const struct dhcp_host *host, uint64_t now_us)
{
	uint64_t wait_us = HOST_NAME_CHANGE_US;

	if (told->at_us == 0 || !mac_addr_equal(&told->host.mac, &host->mac))
		return false;
	if (strcmp(told->host.name, host->name) == 0)
		wait_us = HOST_NAME_AGAIN_US;
	return now_us - told->at_us < wait_us;
}

void host_name_learn(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	struct host_names *names = &ctx->host_names;
	struct path_name name = {.kind = PATH_NAME_HOST, .port = m->in_port, .at_us = ctx->now_us};
	struct dhcp_host host;
	struct host_told *told;
	const uint8_t *message;
	uint32_t len;

	if (ctx->ports[m->in_port]->framing != FRAMING_ETHERNET)
		return;
	message = stage_datagram(pkt, m, &len);
	if (message == NULL || dhcp_read_host(message, len, &host) != 0)
		return;
	/* Nobody names another. */
	if (memcmp(rte_pktmbuf_mtod(pkt, const uint8_t *) + sizeof(host.mac), &host.mac,
		    sizeof(host.mac))
		!= 0)
		return;
	told = place_of(ctx, &host.mac);
	if (is_to_wait(told, &host, ctx->now_us)
		|| !stage_limit_take(&names->limit, ctx->now_us, HOST_NAMES_PER_S))
		return;
	told->host = host;
	told->at_us = ctx->now_us;
	name.mac = host.mac;
	name.device_id = device_find(ctx->devices, m->in_port, &m->src);
	if (m->src.words[3] != 0)
		name.addr = m->src;
	memcpy(name.name, host.name, sizeof(host.name));
	stage_name(ctx, &name);
}
