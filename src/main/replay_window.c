/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads ahead: on a captures' clock nearly each packet is a burst of its own, in which the path can prefetch nothing. So a window
 * of packets is read, routed and copied first, which depends on nothing that the path does, and their flows are on their
 * way into the cache when they are played one by one.
 */
#include "replay_run.h"

#include <rte_mbuf.h>

static_assert(REPLAY_WINDOW <= DOORS_EXPECT_MAX, "a window is expected at once");

struct flow_key_v4 replay_uplink_key(const struct sides_conversation *c)
{
	return (struct flow_key_v4){
		.src_be = c->internal.words[3],
		.dst_be = c->remote.words[3],
		.src_port = c->internal_port,
		.dst_port = c->remote_port,
		.proto = c->proto,
	};
}

/* Routes the packet and copies it into `frame`; true when it stays there. */
static bool take(struct replay_run *r, struct replay_entry *e, struct rte_mbuf *frame)
{
	uint32_t len;

	e->verdict = sides_route(r->sides, &e->packet, &e->route);
	e->kind = ENTRY_REFUSED;
	if (e->verdict != SIDES_ENTERS)
		return false;
	e->kind = ENTRY_LARGE;
	if (e->packet.wire_bytes > r->ports[e->route.port]->mtu)
		return false;
	e->kind = ENTRY_NO_BUFFER;
	if (frame == NULL)
		return false;
	e->verdict = sides_copy(r->sides, &e->packet, &e->route, rte_pktmbuf_mtod(frame, uint8_t *),
		REPLAY_ROOM_BYTES, &len);
	e->kind = e->verdict == SIDES_ENTERS ? ENTRY_FRAME : ENTRY_REFUSED;
	if (e->kind != ENTRY_FRAME)
		return false;
	rte_pktmbuf_data_len(frame) = (uint16_t)len;
	rte_pktmbuf_pkt_len(frame) = len;
	e->frame = frame;
	return true;
}

static bool expected_key(const struct replay_entry *e, struct flow_key_v4 *ret_up)
{
	struct sides_conversation c;

	if (e->kind != ENTRY_FRAME || !sides_conversation_of(&e->packet, &e->route, &c))
		return false;
	*ret_up = replay_uplink_key(&c);
	return true;
}

uint32_t replay_window_fill(struct replay_run *r)
{
	struct flow_key_v4 ups[REPLAY_WINDOW];
	struct rte_mbuf *frame = NULL;
	uint32_t n_ups = 0;
	uint32_t n = 0;

	while (n < REPLAY_WINDOW) {
		struct replay_entry *e = &r->window[n];

		if (!r->has_next)
			r->has_next = capture_set_next(r->captures, &r->next);
		if (!r->has_next)
			break;
		if (frame == NULL)
			frame = rte_pktmbuf_alloc(r->pool);
		/* Those in front may give buffers back when they are played. */
		if (frame == NULL && n > 0)
			break;
		e->packet = r->next;
		r->has_next = false;
		n++;
		if (take(r, e, frame))
			frame = NULL;
		if (expected_key(e, &ups[n_ups]))
			n_ups++;
		if (e->kind == ENTRY_LARGE)
			break; /* its bytes are valid until the next is read */
	}
	rte_pktmbuf_free(frame);
	doors_expect(r->path, ups, n_ups);
	return n;
}
