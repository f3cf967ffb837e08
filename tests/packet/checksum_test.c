/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <weir/base/rng.h>
#include <weir/packet/checksum.h>

#include <criterion/criterion.h>
#include <stdlib.h>

Test(packet_checksum, sums_the_example_of_rfc_1071)
{
	/* Section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2. */
	const uint8_t words[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	cr_assert_eq(ntohs(checksum_fold(checksum_sum(words, sizeof(words)))), 0xddf2);
	cr_assert_eq(ntohs(checksum_of(words, sizeof(words))), 0x220d);
}

Test(packet_checksum, updates_the_example_of_rfc_1624)
{
	/* Section 4: HC dd2f, a word goes from 5555 to 3285, the new HC is 0000 and not ffff. */
	uint16_t delta = checksum_delta16(htons(0x5555), htons(0x3285));

	cr_assert_eq(checksum_update(htons(0xdd2f), delta), 0x0000);
}

Test(packet_checksum, takes_an_odd_last_byte_as_padded_with_zero)
{
	const uint8_t odd[] = {0x12, 0x34, 0x56};
	const uint8_t even[] = {0x12, 0x34, 0x56, 0x00};

	cr_assert_eq(checksum_of(odd, sizeof(odd)), checksum_of(even, sizeof(even)));
}

Test(packet_checksum, agrees_with_the_plain_sum_for_every_length_and_alignment)
{
	struct rng rng;

	rng_init(&rng, 1);
	for (uint32_t len = 0; len < 200; len++) {
		for (uint32_t shift = 0; shift < 8; shift++) {
			uint8_t *block = malloc(len + shift + 1);

			cr_assert_not_null(block);
			for (uint32_t i = 0; i < len + shift; i++)
				block[i] = rng_below(&rng, 4) == 0 ? 0xff : (uint8_t)rng_next(&rng);
			cr_assert_eq(ntohs(checksum_of(block + shift, len)),
				packet_plain_checksum(block + shift, len, 0), "length %u", len);
			free(block);
		}
	}
}

Test(packet_checksum, folds_the_largest_sums)
{
	cr_assert_eq(checksum_fold(UINT64_MAX), 0xffff);
	cr_assert_eq(checksum_fold(0), 0);
	cr_assert_eq(checksum_fold(0x10000), 1);
	cr_assert_eq(checksum_fold(0xffffffff00000001), 1);
}

Test(packet_checksum, delta_of_a_32_bit_word_is_that_of_its_halves)
{
	struct rng rng;

	rng_init(&rng, 2);
	for (int i = 0; i < 1000; i++) {
		uint32_t old_word = (uint32_t)rng_next(&rng);
		uint32_t new_word = (uint32_t)rng_next(&rng);
		uint32_t halves =
			checksum_delta16((uint16_t)old_word, (uint16_t)new_word)
			+ checksum_delta16((uint16_t)(old_word >> 16), (uint16_t)(new_word >> 16));

		cr_assert_eq(checksum_delta32(old_word, new_word) % 0xffff, halves % 0xffff);
	}
}

Test(packet_checksum, an_inverse_delta_restores_the_checksum)
{
	struct rng rng;

	rng_init(&rng, 3);
	for (int i = 0; i < 1000; i++) {
		uint16_t checksum = (uint16_t)rng_below(&rng, 0xffff);
		uint16_t delta = checksum_fold(
			checksum_delta32((uint32_t)rng_next(&rng), (uint32_t)rng_next(&rng)));
		uint16_t there = checksum_update(checksum, delta);
		uint16_t back = checksum_update(there, (uint16_t)~delta);

		cr_assert_eq(back % 0xffff, checksum % 0xffff);
	}
}

Test(packet_checksum, verifies_the_transport_checksum_of_each_protocol)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};

	for (uint32_t i = 0; i < 3; i++) {
		for (uint32_t len = 0; len < 20; len++) {
			struct packet p = packet_build(&(struct packet_spec){.proto = protos[i],
				.icmp_type = 8,
				.framing = FRAMING_RAW_IP,
				.payload_bytes = len});

			cr_assert_eq(checksum_l4_v4(p.bytes, p.len_bytes), 0);
			packet_l4(&p)[0] ^= 1;
			cr_assert_neq(checksum_l4_v4(p.bytes, p.len_bytes), 0);
			packet_clean(&p);
		}
	}
}

Test(packet_checksum, udp_covers_its_own_length_and_not_what_ip_carries_beyond)
{
	struct packet p =
		packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP, .payload_bytes = 40});

	store_be16(packet_l4(&p) + 4, 28);
	packet_fix_l4_checksum(&p);
	cr_assert_eq(checksum_l4_v4(p.bytes, p.len_bytes), 0);
	p.bytes[p.len_bytes - 1] ^= 0xff;
	cr_assert_eq(checksum_l4_v4(p.bytes, p.len_bytes), 0);
	packet_clean(&p);
}

Test(packet_checksum, is_0_for_a_protocol_it_does_not_know)
{
	struct packet p = packet_build(
		&(struct packet_spec){.framing = FRAMING_RAW_IP, .proto = 47, .payload_bytes = 40});

	cr_assert_eq(checksum_l4_v4(p.bytes, p.len_bytes), 0);
	packet_clean(&p);
}
