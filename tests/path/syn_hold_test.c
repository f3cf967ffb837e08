/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../src/path/syn_hold.h"

#include <weir/base/clock.h>

#include <criterion/criterion.h>
#include <string.h>

static struct flow_key_v4 key_of(uint16_t src_port)
{
	return (struct flow_key_v4){
		.src_be = 1, .dst_be = 2, .src_port = src_port, .dst_port = 22, .proto = PROTO_TCP};
}

static void keep(struct syn_hold *h, uint16_t src_port, uint64_t now_us)
{
	struct flow_key_v4 key = key_of(src_port);
	uint8_t packet[40];

	memset(packet, (uint8_t)src_port, sizeof(packet));
	syn_hold_keep(h, &key, 3, packet, sizeof(packet), now_us);
}

Test(path_syn_hold, gives_each_syn_six_seconds_after_it_came)
{
	struct syn_hold h = {0};
	const struct held_syn *syn;

	cr_assert_null(syn_hold_take_due(&h, UINT64_MAX));
	keep(&h, 7, 100);
	keep(&h, 8, 200);
	cr_assert_null(syn_hold_take_due(&h, 6 * US_PER_S + 99));
	syn = syn_hold_take_due(&h, 6 * US_PER_S + 100);
	cr_assert_not_null(syn);
	cr_expect_eq(syn->key.src_port, 7);
	cr_expect_eq(syn->in_port, 3);
	cr_expect_eq(syn->n_octets, 40);
	cr_expect_eq(syn->packet[39], 7);
	cr_assert_null(syn_hold_take_due(&h, 6 * US_PER_S + 100));
	cr_assert_not_null(syn_hold_take_due(&h, 6 * US_PER_S + 200));
	cr_assert_null(syn_hold_take_due(&h, UINT64_MAX));
}

Test(path_syn_hold, keeps_one_that_is_repeated_once)
{
	struct syn_hold h = {0};

	keep(&h, 7, 0);
	keep(&h, 7, US_PER_S);
	cr_assert_not_null(syn_hold_take_due(&h, 6 * US_PER_S));
	cr_assert_null(syn_hold_take_due(&h, UINT64_MAX));
}

Test(path_syn_hold, keeps_what_it_has_room_for_and_goes_round)
{
	struct syn_hold h = {0};

	for (uint16_t round = 0; round < 5; round++) {
		uint32_t n = 0;

		for (uint16_t i = 0; i < SYN_HOLD_MAX + 9; i++)
			keep(&h, (uint16_t)(round * 100 + i), 0);
		while (syn_hold_take_due(&h, UINT64_MAX) != NULL)
			n++;
		cr_assert_eq(n, SYN_HOLD_MAX);
		keep(&h, 9999, 0);
		cr_assert_not_null(syn_hold_take_due(&h, UINT64_MAX));
	}
}

Test(path_syn_hold, keeps_no_more_of_a_packet_than_its_headers)
{
	struct syn_hold h = {0};
	struct flow_key_v4 key = key_of(1);
	uint8_t packet[1400] = {0};

	syn_hold_keep(&h, &key, 0, packet, sizeof(packet), 0);
	cr_assert_eq(syn_hold_take_due(&h, UINT64_MAX)->n_octets, SYN_HOLD_OCTETS);
}
