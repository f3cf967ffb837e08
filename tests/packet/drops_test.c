/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/drops.h>

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

Test(packet_drops, every_reason_has_a_name_of_its_own_and_a_sentence)
{
	for (uint32_t i = 0; i < N_DROP_REASONS; i++) {
		const char *name = drop_name((enum drop_reason)i);

		cr_assert_not_null(name);
		cr_assert_gt(strlen(drop_help((enum drop_reason)i)), 5, "%s", name);
		for (const char *c = name; *c != '\0'; c++)
			cr_assert(islower((unsigned char)*c) || isdigit((unsigned char)*c)
					  || *c == '_' || *c == '.',
				"%s", name);
		for (uint32_t j = 0; j < i; j++)
			cr_assert_str_neq(name, drop_name((enum drop_reason)j));
	}
}

Test(packet_drops, names_follow_their_identifiers)
{
	cr_assert_str_eq(drop_name(DROP_NONE), "none");
	cr_assert_str_eq(drop_name(DROP_PARSE_BAD_VERSION), "parse.bad_version");
	cr_assert_str_eq(drop_name(DROP_TX_NO_NEIGHBOR), "tx.no_neighbor");
}

Test(packet_drops, a_number_that_is_no_reason_still_has_text)
{
	cr_assert_str_eq(drop_name(N_DROP_REASONS), "unknown");
	cr_assert_not_null(drop_help((enum drop_reason)1000));
}
