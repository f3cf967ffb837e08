/* SPDX-License-Identifier: BSD-3-Clause */
#include "syn_hold.h"

#include <weir/base/clock.h>

#include <string.h>

static bool is_same(const struct flow_key_v4 *a, const struct flow_key_v4 *b)
{
	return a->src_be == b->src_be && a->dst_be == b->dst_be && a->src_port == b->src_port
	       && a->dst_port == b->dst_port;
}

static struct held_syn *syn_at(struct syn_hold *h, uint32_t i)
{
	return &h->syns[(h->oldest + i) % SYN_HOLD_MAX];
}

void syn_hold_keep(struct syn_hold *h, const struct flow_key_v4 *key, uint8_t in_port,
	const uint8_t *ip, uint16_t ip_octets, uint64_t now_us)
{
	struct held_syn *syn;

	if (h->n == SYN_HOLD_MAX)
		return;
	for (uint32_t i = 0; i < h->n; i++)
		if (is_same(&syn_at(h, i)->key, key))
			return;
	syn = syn_at(h, h->n++);
	syn->due_us = now_us + SYN_HOLD_US;
	syn->key = *key;
	syn->in_port = in_port;
	syn->n_octets = (uint8_t)(ip_octets < SYN_HOLD_OCTETS ? ip_octets : SYN_HOLD_OCTETS);
	memcpy(syn->packet, ip, syn->n_octets);
}

const struct held_syn *syn_hold_take_due(struct syn_hold *h, uint64_t now_us)
{
	const struct held_syn *syn = syn_at(h, 0);

	if (h->n == 0 || syn->due_us > now_us)
		return NULL;
	h->oldest = (h->oldest + 1) % SYN_HOLD_MAX;
	h->n--;
	return syn;
}
