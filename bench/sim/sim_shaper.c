/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_shaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sim_packet *place_take(struct sim_shaper *s)
{
	uint32_t i = s->n_free > 0 ? s->free[--s->n_free] : s->n_begun++;

	return &s->places[i];
}

static void place_give(struct sim_shaper *s, const struct sim_packet *place)
{
	s->free[s->n_free++] = (uint32_t)(place - s->places);
}

static void drop(void *arg, void *packet, enum shaper_drop why)
{
	struct sim_shaper *s = arg;

	(void)why;
	s->n_dropped++;
	place_give(s, packet);
}

int sim_shaper_init(struct sim_shaper *s, uint64_t limit_octets)
{
	struct shaper_params params = {
		.n_places = SIM_SHAPER_PLACES, .n_devices = 1, .drop = drop, .drop_arg = s};
	struct shaper_config config = {.limit_octets = limit_octets};
	int err;

	memset(s, 0, sizeof(*s));
	s->places = calloc(SIM_SHAPER_PLACES + 1, sizeof(*s->places));
	s->free = calloc(SIM_SHAPER_PLACES + 1, sizeof(*s->free));
	err = -ENOMEM;
	if (s->places != NULL && s->free != NULL)
		err = shaper_create(&params, &s->shaper);
	if (err < 0) {
		sim_shaper_clean(s);
		return err;
	}
	shaper_set_config(s->shaper, &config, 0);
	return 0;
}

bool sim_shaper_put(struct sim_shaper *s, const struct sim_packet *p, uint64_t now_us)
{
	if (shaper_pass(s->shaper, p->octets, now_us))
		return false;
	sim_shaper_hold(s, p, now_us);
	return true;
}

void sim_shaper_hold(struct sim_shaper *s, const struct sim_packet *p, uint64_t now_us)
{
	struct sim_packet *place = place_take(s);
	struct shaper_packet packet = {.packet = place, .octets = p->octets, .flow_id = p->flow};

	*place = *p;
	place->queued_us = now_us;
	shaper_put(s->shaper, &packet, now_us);
}

bool sim_shaper_take(struct sim_shaper *s, uint64_t now_us, struct sim_packet *ret_packet)
{
	bool mark;
	const struct sim_packet *place = shaper_take(s->shaper, now_us, &mark);

	if (place == NULL)
		return false;
	*ret_packet = *place;
	ret_packet->waited_us += now_us - place->queued_us;
	place_give(s, place);
	return true;
}

uint64_t sim_shaper_octets(const struct sim_shaper *s)
{
	return shaper_load(s->shaper).backlog_octets;
}

void sim_shaper_clean(struct sim_shaper *s)
{
	while (s->shaper != NULL && shaper_take_any(s->shaper) != NULL)
		;
	shaper_destroy(s->shaper);
	free(s->places);
	free(s->free);
	memset(s, 0, sizeof(*s));
}
