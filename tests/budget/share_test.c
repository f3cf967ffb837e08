/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/share.h>

#include <criterion/criterion.h>

#define QUOTA 1000

static struct share_rule rule_of(
	enum ladder_action at_80, enum ladder_action at_100, uint64_t rate_bps)
{
	struct share_rule rule = {
		.quota_octets = QUOTA,
		.ladder = {.n_steps = 2,
			.steps = {{800000, at_80, rate_bps}, {1000000, at_100, 0}}},
	};

	share_rule_prepare(&rule);
	return rule;
}

Test(budget_share, ends_what_its_steps_say_and_where)
{
	static const struct {
		const char *claim;
		enum ladder_action at_80;
		enum ladder_action at_100;
		uint64_t general;
		uint64_t all;
	} rows[] = {
		{"a notice ends nothing", LADDER_NOTIFY, LADDER_NOTIFY, METER_UNLIMITED,
			METER_UNLIMITED},
		{"nor does a rate", LADDER_NOTIFY, LADDER_SHAPE, METER_UNLIMITED, METER_UNLIMITED},
		{"reserves go on", LADDER_NOTIFY, LADDER_RESERVE_ONLY, QUOTA, METER_UNLIMITED},
		{"reserves end later", LADDER_RESERVE_ONLY, LADDER_BLOCK, 800, QUOTA},
		{"all ends at once", LADDER_NOTIFY, LADDER_BLOCK, QUOTA, QUOTA},
		{"a weaker step behind a stronger one changes nothing", LADDER_BLOCK, LADDER_NOTIFY,
			800, 800},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct share_rule rule = rule_of(rows[i].at_80, rows[i].at_100, 64000);

		cr_expect_eq(rule.general_octets, rows[i].general, "%s", rows[i].claim);
		cr_expect_eq(rule.all_octets, rows[i].all, "%s", rows[i].claim);
	}
}

Test(budget_share, has_room_up_to_its_quota_and_not_an_octet_more)
{
	struct share_rule rule = rule_of(LADDER_NOTIFY, LADDER_RESERVE_ONLY, 0);
	struct share s = {.used_octets = 900};

	share_set_rule(&s, &rule);
	cr_expect(share_has_room(&s, 100, false));
	cr_expect(!share_has_room(&s, 101, false));
	cr_expect(share_has_room(&s, 101, true));
	share_set_rule(&s, NULL);
	cr_expect(share_has_room(&s, UINT32_MAX, false), "without a rule there is no end");
}

Test(budget_share, tells_the_step_and_where_the_next_one_is)
{
	struct share_rule rule = rule_of(LADDER_SHAPE, LADDER_BLOCK, 64000);
	struct share s = {0};

	share_set_rule(&s, &rule);
	cr_expect_eq(s.action, LADDER_NOTHING);
	cr_expect_eq(s.next_octets, 800);
	s.used_octets = 800;
	share_step(&s, &rule, 0);
	cr_expect_eq(s.action, LADDER_SHAPE);
	cr_expect_eq(s.rate_bps, 64000);
	cr_expect_eq(s.next_octets, QUOTA);
	share_step(&s, &rule, 200);
	cr_expect_eq(s.action, LADDER_BLOCK, "a packet of 200 is one too many");
	s.reserved_octets[3] = 7;
	share_begin(&s, &rule, 5);
	cr_expect_eq(s.action, LADDER_NOTHING);
	cr_expect_eq(s.used_octets + s.reserved_octets[3] + s.rate_bps, 0);
	cr_expect_eq(s.cycle, 5);
}

Test(budget_share, takes_back_no_more_than_there_is)
{
	uint64_t sum = 100;

	share_correct(&sum, (uint64_t)-40);
	cr_expect_eq(sum, 60);
	share_correct(&sum, 15);
	cr_expect_eq(sum, 75);
	share_correct(&sum, (uint64_t)-76);
	cr_expect_eq(sum, 0, "of a cycle that has ended");
}

Test(budget_share, is_worth_keeping_from_a_part_of_its_quota_on)
{
	struct share s = {.quota_octets = 3200, .used_octets = 99};

	cr_expect(!share_is_worth_keeping(&s));
	s.used_octets = 100;
	cr_expect(share_is_worth_keeping(&s));
	s = (struct share){.used_octets = SHARE_WORTH_OCTETS - 1};
	cr_expect(!share_is_worth_keeping(&s));
	s.reserved_octets[1] = SHARE_WORTH_OCTETS;
	cr_expect(share_is_worth_keeping(&s));
}
