/* SPDX-License-Identifier: BSD-3-Clause */
/* A limit to what strangers can make the gateway send or say: one token a 1/rate of a second, a tenth of a second's worth at once. */
#ifndef WEIR_PATH_LIMIT_H
#define WEIR_PATH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Starts as { 0 }. */
struct stage_limit {
	uint64_t next_us;
};

/* True when the limiter of `per_s` a second lets one more through. */
bool stage_limit_take(struct stage_limit *l, uint64_t now_us, uint32_t per_s);

#endif
