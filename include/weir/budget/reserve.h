/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a plan's quota holds what its classes' reserves promise.
 *
 * Shapes:   a reserve is a class's, or each device's of a class. Devices not yet known count as those that are expected.
 * Units:    octets.
 * Errors:   -EOVERFLOW when the reserves are more than the quota; the text then says the sum in words, and what to change.
 * Threads:  pure functions.
 */
#ifndef WEIR_BUDGET_RESERVE_H
#define WEIR_BUDGET_RESERVE_H

#include <stddef.h>
#include <stdint.h>

#define RESERVE_TEXT_MAX 320

struct reserve {
	const char *name; /* the class's; borrowed */
	uint64_t octets;
	uint32_t n_devices; /* each of which has `octets`; 0: the class as a whole has */
};

/* The sum; UINT64_MAX where it does not fit. */
uint64_t reserve_sum(const struct reserve *reserves, uint32_t n_reserves);

/* 0, or -EOVERFLOW and why: "servicing 64MB x 10 devices + voice 20MB = 660MB, 160MB more than ...". A quota of 0 holds
 * anything. The text is written in either case, cut where it is longer. */
int reserve_check(uint64_t quota_octets, const struct reserve *reserves, uint32_t n_reserves,
	char text[RESERVE_TEXT_MAX]);

#endif
