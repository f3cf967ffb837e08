/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/export_records.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* In place of classify/classes.c. */
const char *classes_name(const struct classes *c, uint8_t class_id)
{
	(void)c;
	return class_id == 2 ? "say \"hi\"" : "default";
}

static char folder[64];
static char path[96];
static char moved[96];
static char error[EXPORT_ERROR_MAX];
static const struct path_config config = {
	.n_ports = 2, .ports = {{.name = "lan0"}, {.name = "wwan0"}}};

static void setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/weir_export_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/records.jsonl", folder);
	(void)snprintf(moved, sizeof(moved), "%s/records.jsonl.1", folder);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)unlink(moved);
	(void)rmdir(folder);
}

TestSuite(control_export_records, .init = setup, .fini = teardown, .timeout = 60);

static struct flow_record a_record(void)
{
	return (struct flow_record){
		.start_us = 1000000,
		.end_us = 2500000,
		.octet_delta_count = {1200, 340000},
		.packet_delta_count = {12, 250},
		.internal = ip_addr_quad(192, 168, 50, 10),
		.external = ip_addr_quad(10, 64, 3, 7),
		.remote = ip_addr_quad(203, 0, 113, 80),
		.internal_port = 50123,
		.external_port = 50124,
		.remote_port = 443,
		.device_mac = {{0x02, 0, 0x5e, 0x10, 0xab, 0x01}},
		.proto = 6,
		.tcp_flags = {0x1b, 0x13},
		.end_reason = FLOW_END_DETECTED,
		.lan_port = 0,
		.wan_port = 1,
		.flow_id = 77,
	};
}

static struct export_records *open_export(void)
{
	struct export_records *x;

	cr_assert_eq(export_records_open(path, error, &x), 0, "%s", error);
	return x;
}

/* The file's lines, each of which must be a JSON object; the `n`th of them is given back. */
static json_t *file_line(const char *file, size_t n, size_t *ret_n_lines)
{
	FILE *f = fopen(file, "re");
	char line[4096];
	json_t *found = NULL;

	*ret_n_lines = 0;
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		cr_assert(json_is_object(object), "%s", line);
		cr_assert_eq(line[strlen(line) - 1], '\n');
		if ((*ret_n_lines)++ == n)
			found = object;
		else
			json_decref(object);
	}
	(void)fclose(f);
	return found;
}

static size_t file_lines(const char *file)
{
	size_t n_lines;

	json_decref(file_line(file, SIZE_MAX, &n_lines));
	return n_lines;
}

static void expect_field(const json_t *object, const char *name, const char *want)
{
	char *got = json_dumps(json_object_get(object, name), JSON_ENCODE_ANY);

	cr_expect_not_null(got, "%s", name);
	if (got != NULL)
		cr_expect_str_eq(got, want, "%s is %s", name, got);
	free(got);
}

Test(control_export_records, a_record_has_its_ipfix_names_and_forward_is_uplink)
{
	static const struct {
		const char *name;
		const char *want;
	} fields[] = {
		{"flowStartMicroseconds", "1700000001000000"},
		{"flowEndMicroseconds", "1700000002500000"},
		{"flowId", "77"},
		{"protocolIdentifier", "6"},
		{"sourceIPv4Address", "\"192.168.50.10\""},
		{"sourceTransportPort", "50123"},
		{"destinationIPv4Address", "\"203.0.113.80\""},
		{"destinationTransportPort", "443"},
		{"postNATSourceIPv4Address", "\"10.64.3.7\""},
		{"postNAPTSourceTransportPort", "50124"},
		{"octetDeltaCount", "1200"},
		{"packetDeltaCount", "12"},
		{"reverseOctetDeltaCount", "340000"},
		{"reversePacketDeltaCount", "250"},
		{"tcpControlBits", "27"},
		{"reverseTcpControlBits", "19"},
		{"flowEndReason", "3"},
		{"ingressInterface", "\"lan0\""},
		{"egressInterface", "\"wwan0\""},
		{"sourceMacAddress", "\"02:00:5e:10:ab:01\""},
		{"className", "\"default\""},
	};
	struct export_records *x = open_export();
	struct flow_record r = a_record();
	size_t n_lines;
	json_t *line;

	export_records_set_wall_offset(x, 1700000000000000);
	export_records_add(x, &config, &r, 1, 1);
	export_records_close(x);
	line = file_line(path, 0, &n_lines);
	cr_assert_eq(n_lines, 1);
	cr_expect_eq(json_object_size(line), sizeof(fields) / sizeof(fields[0]));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		expect_field(line, fields[i].name, fields[i].want);
	json_decref(line);
}

Test(control_export_records, what_is_odd_is_still_json_and_still_ipfix)
{
	struct export_records *x = open_export();
	struct flow_record r = a_record();
	char text[2048] = "";
	FILE *f;

	r.class_id = 2;
	r.wan_port = PORT_NONE;
	r.end_reason = FLOW_END_NONE;
	r.octet_delta_count[UPLINK] = UINT64_MAX;
	r.internal = (struct ip_addr){.bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	export_records_set_wall_offset(x, -400000);
	export_records_add(x, &config, &r, 1, 1);
	export_records_close(x);
	/* jansson has no unsigned integers of 64 bits: the text is compared. */
	f = fopen(path, "re");
	cr_assert_not_null(f);
	cr_assert_not_null(fgets(text, sizeof(text), f));
	(void)fclose(f);
	cr_expect_not_null(strstr(text, "\"octetDeltaCount\":18446744073709551615,"));
	cr_expect_not_null(strstr(text, "\"flowStartMicroseconds\":600000,"));
	cr_expect_not_null(strstr(text, "\"className\":\"say \\\"hi\\\"\""));
	cr_expect_not_null(strstr(text, "\"egressInterface\":\"\""));
	cr_expect_not_null(
		strstr(text, "\"flowEndReason\":2,"), "an interim record: active timeout");
	cr_expect_not_null(strstr(text, "\"sourceIPv6Address\":\"2001:db8::1\""));
	cr_expect_null(strstr(text, "sourceIPv4Address\":\"2"));
}

Test(control_export_records, every_record_of_many_becomes_a_line)
{
	struct export_records *x = open_export();
	struct flow_record records[100];
	struct export_counts counts;

	for (int i = 0; i < 100; i++)
		records[i] = a_record();
	for (int i = 0; i < 200; i++)
		export_records_add(x, &config, records, 100, 1);
	counts = export_records_counts(x);
	cr_assert_eq(counts.n_written, 20000);
	cr_assert_eq(counts.n_lost, 0);
	export_records_close(x);
	cr_assert_eq(file_lines(path), 20000);
}

Test(control_export_records, appends_to_what_is_there)
{
	struct flow_record r = a_record();

	for (int i = 0; i < 2; i++) {
		struct export_records *x = open_export();

		export_records_add(x, &config, &r, 1, 1);
		export_records_close(x);
	}
	cr_assert_eq(file_lines(path), 2);
}

Test(control_export_records, goes_over_to_a_new_file_when_asked)
{
	struct export_records *x = open_export();
	struct flow_record r = a_record();

	export_records_add(x, &config, &r, 1, 1);
	cr_assert_eq(rename(path, moved), 0);
	export_records_add(x, &config, &r, 1, 1);
	export_records_reopen(x, 1);
	export_records_add(x, &config, &r, 1, 1);
	export_records_close(x);
	cr_assert_eq(file_lines(moved), 2, "what waited belongs to the old file");
	cr_assert_eq(file_lines(path), 1);
}

Test(control_export_records, notices_that_its_file_has_vanished)
{
	struct export_records *x = open_export();
	struct flow_record r = a_record();

	export_records_add(x, &config, &r, 1, 1);
	export_records_flush(x, 1);
	cr_assert_eq(unlink(path), 0);
	export_records_flush(x, 2);
	export_records_add(x, &config, &r, 1, 3);
	export_records_flush(x, 3);
	cr_assert_eq(file_lines(path), 1);
	export_records_close(x);
}

/* A bound on the size of files stands in for a full disk: both write a part and then refuse. */
static void disk_bound(rlim_t n_bytes)
{
	struct rlimit bound = {.rlim_cur = n_bytes, .rlim_max = RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &bound), 0);
}

Test(control_export_records, a_full_disk_loses_records_counted_and_never_half_a_line)
{
	struct export_records *x = open_export();
	struct flow_record records[100];
	struct export_counts counts;

	for (int i = 0; i < 100; i++)
		records[i] = a_record();
	disk_bound(100000); /* ends within a line */
	for (int i = 0; i < 100; i++)
		export_records_add(x, &config, records, 100, 1);
	counts = export_records_counts(x);
	cr_assert_gt(counts.n_lost, 0);
	cr_assert_eq(counts.n_written + counts.n_lost, 10000);
	disk_bound(RLIM_INFINITY);
	export_records_flush(x, 2);
	export_records_add(x, &config, records, 100, 2);
	counts = export_records_counts(x);
	cr_assert_eq(counts.n_written + counts.n_lost, 10100);
	export_records_close(x);
	cr_assert_eq(file_lines(path), counts.n_written,
		"each line is whole, and as many as were counted");
}

Test(control_export_records, a_line_that_a_full_disk_cut_does_not_go_to_the_next_file)
{
	struct export_records *x = open_export();
	struct flow_record records[100];
	struct export_counts counts;

	for (int i = 0; i < 100; i++)
		records[i] = a_record();
	disk_bound(10000);
	export_records_add(x, &config, records, 100, 1);
	export_records_flush(x, 1);
	cr_assert_eq(rename(path, moved), 0);
	export_records_reopen(x, 1); /* the new file has room for as much */
	disk_bound(RLIM_INFINITY);
	counts = export_records_counts(x);
	cr_assert_eq(counts.n_lost, 1);
	cr_assert_eq(counts.n_written, 99);
	export_records_close(x);
	cr_assert_gt(file_lines(path), 10);
}

Test(control_export_records, a_folder_that_is_not_there_is_explained)
{
	struct export_records *x;

	cr_assert_eq(export_records_open("/nowhere/at/all.jsonl", error, &x), -ENOENT);
	cr_assert_not_null(strstr(error, "/nowhere/at/all.jsonl"), "%s", error);
}
