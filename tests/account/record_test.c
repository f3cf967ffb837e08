/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/account/record.h>
#include <weir/account/usage.h>
#include <weir/base/clock.h>
#include <weir/base/rng.h>

#include <criterion/criterion.h>
#include <string.h>

static uint32_t ms_of(uint64_t now_us)
{
	return (uint32_t)(now_us / US_PER_MS);
}

Test(account_record, carries_the_whole_flow)
{
	struct flow f = {
		.remote_port = 443,
		.internal_port = 40000,
		.external_port = 40002,
		.proto = 6,
		.state = 4,
		.device_id = 12,
		.lan_port = 1,
		.wan_port = 2,
	};
	struct flow_more more = {
		.remote = ip_addr_quad(198, 51, 100, 1),
		.internal = ip_addr_quad(192, 168, 50, 20),
		.external = ip_addr_quad(10, 64, 3, 7),
		.start_us = 5000123,
		.class_id = 3,
		.tcp_flags = {0x1b, 0x12},
	};
	struct device device = {.mac = {{2, 0, 0x5e, 0x10, 0, 1}}};
	static const struct mac_addr no_mac;
	struct flow_record r;

	usage_count(&f, UPLINK, 60, 5000);
	usage_count(&f, DOWNLINK, 1500, 5040);
	record_take(&r, &f, &more, 77, &device, FLOW_END_DETECTED, 6000000);
	cr_assert_eq(r.start_us, 5000123);
	cr_assert_eq(r.end_us, 5040000);
	cr_assert_eq(r.octet_delta_count[UPLINK], 60);
	cr_assert_eq(r.octet_delta_count[DOWNLINK], 1500);
	cr_assert_eq(r.packet_delta_count[UPLINK], 1);
	cr_assert_eq(r.packet_delta_count[DOWNLINK], 1);
	cr_assert(ip_addr_equal(&r.internal, &more.internal));
	cr_assert(ip_addr_equal(&r.external, &more.external));
	cr_assert(ip_addr_equal(&r.remote, &more.remote));
	cr_assert(r.internal_port == 40000 && r.external_port == 40002 && r.remote_port == 443);
	cr_assert(mac_addr_equal(&r.device_mac, &device.mac));
	cr_assert(r.device_id == 12 && r.class_id == 3 && r.proto == 6 && r.state == 4);
	cr_assert(r.tcp_flags[UPLINK] == 0x1b && r.tcp_flags[DOWNLINK] == 0x12);
	cr_assert(r.lan_port == 1 && r.wan_port == 2 && r.flow_id == 77);
	cr_assert_eq(r.end_reason, 3, "RFC 5102 5.11.3: end of flow detected");
	cr_assert_eq(more.reported_ms, 6000);
	record_take(&r, &f, &more, 77, NULL, FLOW_END_NONE, 6000000);
	cr_assert(mac_addr_equal(&r.device_mac, &no_mac));
}

Test(account_record, times_are_those_of_the_path_clock)
{
	/* 2^32 ms is 49.7 days. */
	const uint64_t wrap_us = (1ull << 32) * US_PER_MS;
	const struct {
		const char *claim;
		uint64_t start_us;
		uint64_t up_us; /* last packets; 0: none was seen */
		uint64_t down_us;
		uint64_t now_us;
		uint64_t end_us;
	} rows[] = {
		{"the later of both directions", 1000, 9000000, 8000000, 9500000, 9000000},
		{"whichever that is", 1000, 8000000, 9000000, 9500000, 9000000},
		{"whole milliseconds", 1000, 9000999, 0, 9500000, 9000000},
		{"no downlink packet", 1000, 7000000, 0, 9500000, 7000000},
		{"one packet: not before its start", 9000700, 9000700, 0, 9500000, 9000700},
		{"one each way within its first millisecond", 9000700, 9000700, 9000800, 9500000,
			9000700},
		{"no packet at all", 9000700, 0, 0, 9500000, 9000700},
		{"across the wrap", wrap_us - 5000, wrap_us - 4000, 0, wrap_us + 3000,
			wrap_us - 4000},
		{"one direction on each side of it", wrap_us - 5000, wrap_us - 4000, wrap_us + 2000,
			wrap_us + 3000, wrap_us + 2000},
		{"after three wraps", 3 * wrap_us + 1, 3 * wrap_us + 70000, 0, 3 * wrap_us + 90000,
			3 * wrap_us + 70000},
		{"a flow as old as two wraps", 42, 2 * wrap_us + 70000, 0, 2 * wrap_us + 90000,
			2 * wrap_us + 70000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow_more more = {.start_us = rows[i].start_us};
		struct flow f = {0};
		struct flow_record r;

		if (rows[i].up_us != 0)
			usage_count(&f, UPLINK, 60, ms_of(rows[i].up_us));
		if (rows[i].down_us != 0)
			usage_count(&f, DOWNLINK, 60, ms_of(rows[i].down_us));
		record_take(&r, &f, &more, 0, NULL, FLOW_END_NONE, rows[i].now_us);
		cr_assert_eq(r.start_us, rows[i].start_us, "%s", rows[i].claim);
		cr_assert_eq(r.end_us, rows[i].end_us, "%s: %lu", rows[i].claim, r.end_us);
		cr_assert_eq(more.reported_ms, ms_of(rows[i].now_us));
	}
}

Test(account_record, records_of_a_flow_add_up_to_what_it_sent)
{
	struct flow_more more = {0};
	struct flow f = {.packets = {UINT32_MAX - 500, UINT32_MAX - 500}}; /* about to wrap */
	uint64_t octets[N_DIRECTIONS] = {0};
	uint64_t packets[N_DIRECTIONS] = {0};
	uint64_t told_octets[N_DIRECTIONS] = {0};
	uint64_t told_packets[N_DIRECTIONS] = {0};
	struct flow_record r;
	struct rng rng;

	rng_init(&rng, 7011);
	more.reported_packets[UPLINK] = more.reported_packets[DOWNLINK] = UINT32_MAX - 500;
	for (uint32_t i = 0; i < 10000; i++) {
		enum direction d = rng_below(&rng, 2) ? UPLINK : DOWNLINK;
		uint32_t n = 1 + rng_below(&rng, 1500);

		usage_count(&f, d, n, i);
		octets[d] += n;
		packets[d]++;
		if (i != 9999 && rng_below(&rng, 10) != 0)
			continue;
		record_take(&r, &f, &more, 0, NULL, FLOW_END_NONE, i * US_PER_MS);
		for (uint32_t k = 0; k < N_DIRECTIONS; k++) {
			told_octets[k] += r.octet_delta_count[k];
			told_packets[k] += r.packet_delta_count[k];
		}
	}
	for (uint32_t k = 0; k < N_DIRECTIONS; k++) {
		cr_assert_eq(told_octets[k], octets[k]);
		cr_assert_eq(told_packets[k], packets[k]);
	}
}

Test(account_record, a_packet_taken_back_after_its_record_is_made_good_by_the_next)
{
	struct flow_more more = {0};
	struct flow f = {0};
	struct flow_record r;

	usage_count(&f, UPLINK, 1000, 1);
	usage_count(&f, UPLINK, 500, 1);
	record_take(&r, &f, &more, 0, NULL, FLOW_END_NONE, 2000);
	cr_assert_eq(r.octet_delta_count[UPLINK], 1500);
	usage_correct(&f, UPLINK, -UINT64_C(500), UINT64_MAX); /* the shaper dropped it */
	record_take(&r, &f, &more, 0, NULL, FLOW_END_NONE, 3000);
	cr_assert_eq(r.octet_delta_count[UPLINK], 0);
	cr_assert_eq(r.packet_delta_count[UPLINK], 0);
	usage_count(&f, UPLINK, 800, 4);
	usage_count(&f, UPLINK, 100, 4);
	record_take(&r, &f, &more, 0, NULL, FLOW_END_NONE, 5000);
	cr_assert_eq(r.octet_delta_count[UPLINK], 400, "1000 + 800 + 100 in all");
	cr_assert_eq(r.packet_delta_count[UPLINK], 1);
}

Test(account_record, every_end_reason_has_a_name)
{
	cr_assert_str_eq(flow_end_reason_name(FLOW_END_NONE), "goes on");
	cr_assert_str_eq(flow_end_reason_name(FLOW_END_IDLE_TIMEOUT), "idle timeout");
	cr_assert_str_eq(flow_end_reason_name(FLOW_END_LACK_OF_RESOURCES), "lack of resources");
	for (uint32_t reason = 6; reason < 256; reason++)
		cr_assert_str_eq(flow_end_reason_name((uint8_t)reason), "?");
}
