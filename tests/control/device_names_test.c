/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/device_names.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char vendors[] = "/tmp/weir-vendors-XXXXXX";
static char leases[] = "/tmp/weir-leases-XXXXXX";
static struct device_names *names;

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
}

static void begin(void)
{
	int a = mkstemp(vendors);
	int b = mkstemp(leases);

	cr_assert(a >= 0 && b >= 0);
	close(a);
	close(b);
}

static void end(void)
{
	device_names_destroy(names);
	names = NULL;
	(void)unlink(vendors);
	(void)unlink(leases);
}

TestSuite(control_device_names, .init = begin, .fini = end);

static const char *vendor(const char *text)
{
	struct mac_addr mac;

	cr_assert_eq(mac_addr_parse(text, &mac), 0);
	return device_names_vendor(names, &mac);
}

static const char *host(const char *address, const char *text)
{
	struct ip_addr addr;
	struct mac_addr mac;

	cr_assert_eq(ip_addr_parse(address, &addr), 0);
	cr_assert_eq(mac_addr_parse(text, &mac), 0);
	return device_names_host(names, &addr, &mac);
}

Test(control_device_names, vendors_are_those_of_the_registry)
{
	write_file(vendors,
		"OUI/MA-L    Organization\r\ncompany_id\r\n\r\n"
		"00-22-72   (hex)\t\tAmerican Micro-Fuel\r\n"
		"002272     (base 16)\t\tAmerican Micro-Fuel\r\n\t\t\t\t2181 Buchanan Loop\r\n"
		"00D0EF     (base 16)\t\tIGT\r\n"
		"0000AA     (base 16)\t\tK\xc3\xbc\x1b[2J\r\n"
		"0000AB     (base 16)\r\n"
		"00:0AC     (base 16)\t\tno prefix\r\n"
		"0000AD     (base 16)\t\tA name that is much longer than anybody would like to "
		"see\r\n"
		"020000     (base 16)\t\tNobody\r\n");
	cr_assert_eq(device_names_create(vendors, "", &names), 0);
	cr_expect_str_eq(vendor("00:22:72:01:02:03"), "American Micro-Fuel");
	cr_expect_str_eq(vendor("00:d0:ef:ff:ff:ff"), "IGT");
	cr_expect_str_eq(vendor("00:00:aa:00:00:00"), "K???[2J");
	cr_expect_str_eq(vendor("00:00:ad:00:00:00"), "A name that is much longer than anybody");
	cr_expect_null(vendor("00:00:ab:00:00:00"));
	cr_expect_null(vendor("00:00:ac:00:00:00"));
	cr_expect_null(vendor("02:00:00:00:00:01"), "a MAC that the device made up");
	cr_expect_null(host("192.0.2.1", "00:22:72:01:02:03"));
}

Test(control_device_names, without_files_there_are_no_names)
{
	cr_assert_eq(device_names_create("/nonexistent", "/nonexistent", &names), 0);
	device_names_follow(names);
	cr_expect_null(vendor("00:22:72:01:02:03"));
	cr_expect_null(host("192.0.2.1", "00:22:72:01:02:03"));
	cr_expect_null(device_names_vendor(NULL, &(struct mac_addr){0}));
}

Test(control_device_names, host_names_come_from_leases_and_are_checked)
{
	char long_name[200];

	(void)snprintf(long_name, sizeof(long_name),
		"0 00:00:00:00:00:06 192.0.2.6 %064d *\n0 00:00:00:00:00:07 192.0.2.7 %063d *\n", 6,
		7);
	write_file(leases, "");
	FILE *f = fopen(leases, "a");
	cr_assert_not_null(f);
	(void)fputs("1700000000 00:00:00:00:00:02 192.0.2.2 tv-2.lan 01:00\n"
		    "1700000000 00:00:00:00:00:01 192.0.2.1 Phone_1 *\n"
		    "1700000000 00:00:00:00:00:03 192.0.2.3 * *\n"
		    "1700000000 00:00:00:00:00:04 192.0.2.4 a\x1b[2J *\n"
		    "1700000000 00:00:00:00:00:05 192.0.2.5\n"
		    "duid 00:01\n\n   \nnonsense\n"
		    "1700000000 zz:00:00:00:00:08 192.0.2.8 x *\n",
		f);
	(void)fputs(long_name, f);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(device_names_create("", leases, &names), 0);
	cr_expect_str_eq(host("192.0.2.1", "00:00:00:00:00:01"), "Phone_1");
	cr_expect_str_eq(host("192.0.2.2", "00:00:00:00:00:02"), "tv-2.lan");
	cr_expect_null(host("192.0.2.1", "00:00:00:00:00:02"), "another took its address");
	for (int i = 3; i <= 8; i++) {
		char address[24];
		char mac[32];
		const char *name;

		(void)snprintf(address, sizeof(address), "192.0.2.%d", i);
		(void)snprintf(mac, sizeof(mac), "00:00:00:00:00:%02d", i);
		name = host(address, mac);
		cr_expect(i == 7 ? name != NULL && strlen(name) == 63 : name == NULL, "192.0.2.%d",
			i);
	}
}

Test(control_device_names, leases_are_followed)
{
	cr_assert_eq(device_names_create("", leases, &names), 0);
	cr_expect_null(host("192.0.2.1", "00:00:00:00:00:01"));
	write_file(leases, "0 00:00:00:00:00:01 192.0.2.1 first *\n");
	device_names_follow(names);
	cr_expect_str_eq(host("192.0.2.1", "00:00:00:00:00:01"), "first");
	write_file(leases, "0 00:00:00:00:00:01 192.0.2.1 another *\n");
	device_names_follow(names);
	cr_expect_str_eq(host("192.0.2.1", "00:00:00:00:00:01"), "another");
	(void)unlink(leases);
	device_names_follow(names);
	cr_expect_null(host("192.0.2.1", "00:00:00:00:00:01"));
}

static struct mac_addr station(uint32_t n)
{
	return (struct mac_addr){
		{2, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static bool hear(const struct mac_addr *mac, const char *name, bool is_device)
{
	char before[LEASE_NAME_MAX];

	return device_names_hear(names, mac, name, is_device, before);
}

Test(control_device_names, a_lease_counts_before_what_a_device_says_of_itself)
{
	struct mac_addr mac;
	char before[LEASE_NAME_MAX] = "?";

	cr_assert_eq(mac_addr_parse("02:00:00:00:00:01", &mac), 0);
	write_file(leases, "1700000000 02:00:00:00:00:01 192.0.2.1 of-the-lease *\n");
	cr_assert_eq(device_names_create(vendors, leases, &names), 0);
	cr_expect(device_names_hear(names, &mac, "of-itself", true, before));
	cr_expect_str_eq(before, "");
	cr_expect_str_eq(host("192.0.2.1", "02:00:00:00:00:01"), "of-the-lease");
	cr_expect_str_eq(host("192.0.2.9", "02:00:00:00:00:01"), "of-itself", "without a lease");
	cr_expect_null(host("192.0.2.1", "02:00:00:00:00:02"), "a name belongs to its MAC");
	cr_expect_not(device_names_hear(names, &mac, "of-itself", true, before), "known");
	cr_expect(device_names_hear(names, &mac, "other", true, before));
	cr_expect_str_eq(before, "of-itself");
	cr_expect_str_eq(host("192.0.2.9", "02:00:00:00:00:01"), "other");
	write_file(leases, "");
	device_names_follow(names);
	cr_expect_str_eq(host("192.0.2.1", "02:00:00:00:00:01"), "other");
}

Test(control_device_names, what_is_no_host_name_is_not_heard)
{
	struct mac_addr mac = station(1);

	cr_assert_eq(device_names_create(vendors, "", &names), 0);
	cr_expect_not(hear(&mac, "", true));
	cr_expect_not(hear(&mac, "a b", true));
	cr_expect_not(hear(&mac, "a\x1b[2J", true));
	cr_expect_null(device_names_host(names, &(struct ip_addr){.words = {0}}, &mac));
}

Test(control_device_names, made_up_stations_push_out_one_another_and_not_devices)
{
	struct ip_addr none = {.words = {0}};
	char name[LEASE_NAME_MAX];

	cr_assert_eq(device_names_create(vendors, "", &names), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct mac_addr mac = station(i * 977);

		(void)snprintf(name, sizeof(name), "device-%u", i);
		cr_assert(hear(&mac, name, i % 2 == 0));
		if (i % 2 != 0)
			device_names_see(names, &mac);
	}
	for (uint32_t i = 0; i < 3 * HEARD_NAMES_MAX; i++) {
		struct mac_addr mac = station(0x80000000u + i * 2654435761u % 1000003);

		(void)hear(&mac, "made-up", false);
	}
	for (uint32_t i = 0; i < 100; i++) {
		struct mac_addr mac = station(i * 977);
		const char *is = device_names_host(names, &none, &mac);

		(void)snprintf(name, sizeof(name), "device-%u", i);
		cr_expect(is != NULL && strcmp(is, name) == 0, "%s", name);
	}
}
