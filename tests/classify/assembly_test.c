/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/classify/assembly.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define ROOM 200

Test(classify_assembly, keeps_what_came_first_whatever_the_order)
{
	struct assembly a;
	uint8_t room[16];

	assembly_init(&a, room, sizeof(room));
	cr_assert_eq(assembly_n_ready(&a), 0);
	cr_assert_eq(assembly_add(&a, 4, (const uint8_t *)"EFGH", 4), 0);
	cr_assert_eq(assembly_n_ready(&a), 0, "a gap at the begin");
	cr_assert_eq(assembly_add(&a, 10, (const uint8_t *)"KL", 2), 0);
	cr_assert_eq(assembly_add(&a, 0, (const uint8_t *)"abcdefghijklmnop", 16), 0);
	cr_assert_eq(assembly_n_ready(&a), 16);
	cr_assert_arr_eq(room, "abcdEFGHijKLmnop", 16);
	cr_assert_eq(a.n_ranges, 1);
	cr_assert_eq(assembly_add(&a, 16, (const uint8_t *)"q", 1), -ENOSPC);
	cr_assert_eq(assembly_add(&a, UINT32_MAX, (const uint8_t *)"q", 1), -ENOSPC,
		"no wrapping round");
	cr_assert_eq(assembly_add(&a, 1, (const uint8_t *)"q", UINT32_MAX), -ENOSPC);
	assembly_consume(&a, 6);
	cr_assert_eq(assembly_n_ready(&a), 10);
	cr_assert_arr_eq(room, "GHijKLmnop", 10);
	assembly_consume(&a, 10);
	cr_assert_eq(a.n_ranges, 0);
}

Test(classify_assembly, refuses_more_ranges_than_it_has)
{
	struct assembly a;
	uint8_t room[ROOM];

	assembly_init(&a, room, sizeof(room));
	for (uint32_t i = 0; i < ASSEMBLY_RANGES_MAX; i++)
		cr_assert_eq(assembly_add(&a, 1 + 2 * i, (const uint8_t *)"x", 1), 0);
	cr_assert_eq(assembly_add(&a, 100, (const uint8_t *)"x", 1), -ENOSPC);
	cr_assert_eq(
		assembly_add(&a, 0, (const uint8_t *)"x", 1), 0, "what joins others is welcome");
	cr_assert_eq(assembly_add(&a, 100, (const uint8_t *)"x", 1), -ENOSPC);
	cr_assert_eq(assembly_add(&a, 2, (const uint8_t *)"x", 1), 0);
	cr_assert_eq(assembly_add(&a, 100, (const uint8_t *)"x", 1), 0, "now there is one less");
	cr_assert_eq(assembly_n_ready(&a), 4);
}

/* Against an array of octets that are there or not. */
Test(classify_assembly, agrees_with_a_plain_array_over_random_pieces)
{
	struct rng rng;

	rng_init(&rng, 3);
	for (uint32_t round = 0; round < 5000; round++) {
		struct assembly a;
		uint8_t room[ROOM];
		uint8_t expected[ROOM];
		bool is_there[ROOM] = {false};
		uint32_t n_ready = 0;

		assembly_init(&a, room, sizeof(room));
		for (uint32_t step = 0; step < 30; step++) {
			uint8_t piece[40];
			uint32_t offset = rng_below(&rng, ROOM - 40);
			uint32_t len = rng_below(&rng, 40);

			for (uint32_t i = 0; i < len; i++)
				piece[i] = (uint8_t)rng_next(&rng);
			if (assembly_add(&a, offset, piece, len) < 0)
				continue;
			for (uint32_t i = 0; i < len; i++)
				if (!is_there[offset + i]) {
					is_there[offset + i] = true;
					expected[offset + i] = piece[i];
				}
			if (rng_below(&rng, 8) == 0) {
				uint32_t n = rng_below(&rng, assembly_n_ready(&a) + 1);

				assembly_consume(&a, n);
				memmove(expected, expected + n, ROOM - n);
				memmove(is_there, is_there + n, (ROOM - n) * sizeof(is_there[0]));
				memset(is_there + ROOM - n, 0, n * sizeof(is_there[0]));
			}
		}
		while (n_ready < ROOM && is_there[n_ready])
			n_ready++;
		cr_assert_eq(assembly_n_ready(&a), n_ready, "round %u", round);
		for (uint32_t i = 0; i < ROOM; i++)
			if (is_there[i])
				cr_assert_eq(room[i], expected[i], "round %u, octet %u", round, i);
	}
}
