/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/addr.h>

#include <criterion/criterion.h>
#include <errno.h>

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

Test(base_addr, addresses_of_both_families_survive_the_round_trip)
{
	static const char *const texts[] = {
		"0.0.0.0",
		"192.0.2.1",
		"255.255.255.255",
		"::",
		"::1",
		"2001:db8::1",
		"fe80::ff:fe00:1",
	};

	for (size_t i = 0; i < N_OF(texts); i++) {
		struct ip_addr a;
		char buf[IP_ADDR_TEXT_MAX];

		cr_assert_eq(ip_addr_parse(texts[i], &a), 0, "%s", texts[i]);
		cr_expect_str_eq(ip_addr_format(&a, buf), texts[i]);
		cr_expect_eq(ip_addr_is_v4(&a), strchr(texts[i], ':') == NULL);
	}
}

Test(base_addr, what_is_no_address_is_refused_and_changes_nothing)
{
	static const char *const texts[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.4 ",
		"1.2.3.4/24",
		":::",
		"2001:db8::g",
		"host",
		"0x7f.1",
	};

	for (size_t i = 0; i < N_OF(texts); i++) {
		struct ip_addr a = ip_addr_quad(9, 9, 9, 9);
		struct ip_addr before = a;

		cr_expect_eq(ip_addr_parse(texts[i], &a), -EINVAL, "%s", texts[i]);
		cr_expect(ip_addr_equal(&a, &before), "%s", texts[i]);
	}
}

Test(base_addr, prefixes_keep_host_bits_and_default_to_one_host)
{
	static const struct {
		const char *text;
		int error;
		const char *again;
	} rows[] = {
		{"192.168.50.1/24", 0, "192.168.50.1/24"},
		{"10.0.0.1", 0, "10.0.0.1/32"},
		{"0.0.0.0/0", 0, "0.0.0.0/0"},
		{"2001:db8::1/64", 0, "2001:db8::1/64"},
		{"::/0", 0, "::/0"},
		{"::1", 0, "::1/128"},
		{"10.0.0.1/33", -EINVAL, NULL},
		{"10.0.0.1/", -EINVAL, NULL},
		{"10.0.0.1/-1", -EINVAL, NULL},
		{"10.0.0.1/ 8", -EINVAL, NULL},
		{"10.0.0.1/0008", -EINVAL, NULL},
		{"2001:db8::/129", -EINVAL, NULL},
		{"/24", -EINVAL, NULL},
		{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8", -EINVAL, NULL},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct ip_prefix p;
		char buf[IP_PREFIX_TEXT_MAX];

		cr_assert_eq(ip_prefix_parse(rows[i].text, &p), rows[i].error, "%s", rows[i].text);
		if (rows[i].error == 0)
			cr_expect_str_eq(ip_prefix_format(&p, buf), rows[i].again);
	}
}

Test(base_addr, a_prefix_contains_its_addresses_and_families_never_mix)
{
	static const struct {
		const char *prefix;
		const char *addr;
		bool inside;
	} rows[] = {
		{"192.168.50.1/24", "192.168.50.255", true},
		{"192.168.50.1/24", "192.168.51.0", false},
		{"192.168.48.0/22", "192.168.51.255", true},
		{"192.168.48.0/22", "192.168.52.0", false},
		{"10.0.0.1/32", "10.0.0.1", true},
		{"10.0.0.1/32", "10.0.0.0", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "192.0.2.1", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct ip_prefix p;
		struct ip_addr a;

		cr_assert_eq(ip_prefix_parse(rows[i].prefix, &p), 0);
		cr_assert_eq(ip_addr_parse(rows[i].addr, &a), 0);
		cr_expect_eq(ip_prefix_contains(&p, &a), rows[i].inside, "%s in %s", rows[i].addr,
			rows[i].prefix);
	}
}

Test(base_addr, overlap_means_one_address_in_common_whichever_is_larger)
{
	static const struct {
		const char *a;
		const char *b;
		bool overlaps;
	} rows[] = {
		{"192.168.0.0/16", "192.168.50.0/24", true},
		{"192.168.50.1/24", "192.168.50.129/25", true},
		{"192.168.50.0/25", "192.168.50.128/25", false},
		{"10.0.0.0/8", "11.0.0.0/8", false},
		{"0.0.0.0/0", "10.1.2.3/32", true},
		{"::/0", "0.0.0.0/0", false},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct ip_prefix a;
		struct ip_prefix b;

		cr_assert_eq(ip_prefix_parse(rows[i].a, &a), 0);
		cr_assert_eq(ip_prefix_parse(rows[i].b, &b), 0);
		cr_expect_eq(ip_prefix_overlaps(&a, &b), rows[i].overlaps, "%s, %s", rows[i].a,
			rows[i].b);
		cr_expect_eq(ip_prefix_overlaps(&b, &a), rows[i].overlaps, "%s, %s", rows[i].b,
			rows[i].a);
	}
}

Test(base_addr, masks_of_every_length)
{
	cr_expect_eq(ip_v4_mask(0), htonl(0));
	cr_expect_eq(ip_v4_mask(1), htonl(0x80000000));
	cr_expect_eq(ip_v4_mask(24), htonl(0xffffff00));
	cr_expect_eq(ip_v4_mask(32), htonl(0xffffffff));
}

Test(base_addr, mac_addresses_are_six_pairs_of_hex_digits)
{
	static const char *const bad[] = {
		"",
		"02:00:5e:10:00",
		"02:00:5e:10:00:1",
		"02:00:5e:10:00:0g",
		"02-00-5e-10-00-01",
		"02:00:5e:10:00:01:",
		"02:00:5e:10:00: 1",
		"02:00:5e:10:00:+1",
	};
	struct mac_addr m;
	char buf[MAC_ADDR_TEXT_MAX];

	cr_assert_eq(mac_addr_parse("02:00:5E:10:00:fF", &m), 0);
	cr_expect_str_eq(mac_addr_format(&m, buf), "02:00:5e:10:00:ff");
	for (size_t i = 0; i < N_OF(bad); i++)
		cr_expect_eq(mac_addr_parse(bad[i], &m), -EINVAL, "%s", bad[i]);
}
