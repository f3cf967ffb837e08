/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/shape/codel.h>

/* RFC 8289 section 5.4: a state that is entered again this soon goes on nearly where it was. */
#define AGAIN_INTERVALS 16

#define TARGET_MAX_US                                                                              \
	(60 * US_PER_S) /* a full packet at 200 bit/s: keeps intervals within 32 bits */

struct codel_params codel_params_of(uint64_t bps)
{
	uint64_t packet_us = bps == 0 ? 0 : CODEL_PACKET_OCTETS * 8 * US_PER_S / bps;
	uint64_t target_us = packet_us + packet_us / 2;

	if (target_us < CODEL_TARGET_US)
		target_us = CODEL_TARGET_US;
	if (target_us > TARGET_MAX_US)
		target_us = TARGET_MAX_US;
	return (struct codel_params){
		.target_us = (uint32_t)target_us,
		.interval_us = (uint32_t)(target_us - CODEL_TARGET_US + CODEL_INTERVAL_US),
	};
}

uint32_t codel_spacing_us(uint32_t interval_us, uint32_t count)
{
	uint64_t square = (uint64_t)interval_us * interval_us / count;
	/* Not below the root, from where Newton's steps only fall: the root of count is at least 2^(its bits / 2). */
	uint64_t root = (uint64_t)interval_us >> ((31 - __builtin_clz(count)) / 2);

	if (square == 0)
		return 0;
	for (;;) {
		uint64_t next = (root + square / root) / 2;

		if (next >= root)
			return (uint32_t)root;
		root = next;
	}
}

/* True when the sojourn has been above the target for an interval: there is a standing queue. */
static bool is_standing(struct codel *c, const struct codel_params *params, uint64_t sojourn_us,
	uint64_t rest_octets, uint64_t now_us)
{
	if (sojourn_us < params->target_us || rest_octets <= CODEL_PACKET_OCTETS) {
		c->first_above_us = 0;
		return false;
	}
	if (c->first_above_us == 0) {
		c->first_above_us = now_us + params->interval_us;
		return false;
	}
	return now_us >= c->first_above_us;
}

static void enter(struct codel *c, const struct codel_params *params, uint64_t now_us)
{
	uint32_t delta = c->count - c->last_count;
	bool is_again = now_us - c->drop_next_us < (uint64_t)AGAIN_INTERVALS * params->interval_us;

	c->count = delta > 1 && is_again ? delta : 1;
	c->last_count = c->count;
	c->drop_next_us = now_us + codel_spacing_us(params->interval_us, c->count);
	c->is_dropping = true;
}

bool codel_judge(struct codel *c, const struct codel_params *params, uint64_t sojourn_us,
	uint64_t rest_octets, uint64_t now_us)
{
	if (!is_standing(c, params, sojourn_us, rest_octets, now_us)) {
		c->is_dropping = false;
		c->owes_next = false;
		return false;
	}
	if (!c->is_dropping) {
		enter(c, params, now_us);
		return true;
	}
	if (c->owes_next)
		c->drop_next_us += codel_spacing_us(params->interval_us, c->count);
	c->owes_next = now_us >= c->drop_next_us;
	c->count += c->owes_next;
	return c->owes_next;
}
