/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/dns_name.h>

#include <criterion/criterion.h>
#include <errno.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define LABEL_63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"

Test(classify_dns_name, reads_host_names_and_refuses_what_is_none)
{
	static const char four_labels[] = LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63;
	static const struct {
		const char *claim;
		const char *text;
		const char *canonical; /* NULL: refused */
	} rows[] = {
		{"a name", "www.example.com", "www.example.com"},
		{"RFC 4343: case does not matter", "WwW.eXample.COM", "www.example.com"},
		{"a dot at the end", "example.com.", "example.com"},
		{"one label", "localhost", "localhost"},
		{"hyphens and underscores", "_dmarc.ex-ample.com", "_dmarc.ex-ample.com"},
		{"digits in front", "3com.1", NULL},
		{"digits within", "1.example.4com", "1.example.4com"},
		{"RFC 6066: no addresses", "192.0.2.1", NULL},
		{"nor IPv6 ones", "2001:db8::1", NULL},
		{"nothing", "", NULL},
		{"the root", ".", NULL},
		{"an empty label", "www..com", NULL},
		{"one in front", ".example.com", NULL},
		{"two dots at the end", "example.com..", NULL},
		{"a space", "www.exam ple.com", NULL},
		{"a wildcard", "*.example.com", NULL},
		{"what is not ASCII",
			"b\xc3\xbc"
			"cher.example",
			NULL},
		{"a label of 63 octets", LABEL_63 ".com", LABEL_63 ".com"},
		{"and of 64", LABEL_63 "4.com", NULL},
		{"255 octets", &four_labels[2], &four_labels[2]},
		{"256 octets", &four_labels[1], NULL},
	};
	char text[DNS_NAME_TEXT_MAX];

	for (size_t i = 0; i < N(rows); i++) {
		struct dns_name name = {.len = 7};
		int rc = dns_name_parse(rows[i].text, strlen(rows[i].text), &name);

		if (rows[i].canonical == NULL) {
			cr_assert_eq(rc, -EINVAL, "%s", rows[i].claim);
			cr_assert_eq(name.len, 7, "%s: untouched", rows[i].claim);
		} else {
			cr_assert_eq(rc, 0, "%s", rows[i].claim);
			cr_assert_str_eq(dns_name_format(&name, text), rows[i].canonical, "%s",
				rows[i].claim);
		}
	}
}

Test(classify_dns_name, shows_every_octet_so_that_no_two_names_look_alike)
{
	struct dns_name dotted = {.len = 6, .octets = {4, 'a', '.', '\\', 0xff, 0}};
	struct dns_name spaced = {.len = 4, .octets = {2, ' ', '\n', 0}};
	struct dns_name root = {.len = 1};
	struct dns_name worst = {.len = 255};
	char text[DNS_NAME_TEXT_MAX];

	cr_assert_str_eq(dns_name_format(&dotted, text), "a\\.\\\\\\255");
	cr_assert_str_eq(dns_name_format(&spaced, text), "\\032\\010");
	cr_assert_str_eq(dns_name_format(&root, text), ".");
	for (uint32_t at = 0; at < 254; at += 64)
		worst.octets[at] = at + 64 < 254 ? 63 : (uint8_t)(253 - at);
	cr_assert_eq(strlen(dns_name_format(&worst, text)), 250 * 4 + 3, "the longest text fits");
	cr_assert_lt(250 * 4 + 3, DNS_NAME_TEXT_MAX);
}
