/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/account/record.h>
#include <weir/base/clock.h>

/* When a packet passed: its 32-bit milliseconds wrap after 49 days, longer than any flow may be
 * silent, so the age is certain. Whole milliseconds may fall just before the flow's start. */
static uint64_t last_us(const struct flow *f, enum direction d, uint64_t start_us, uint64_t now_us)
{
	uint64_t now_ms = now_us / US_PER_MS;
	uint32_t age_ms = (uint32_t)now_ms - f->last_ms[d];
	uint64_t passed_us;

	if (f->octets[d] == 0 || age_ms > now_ms)
		return start_us;
	passed_us = (now_ms - age_ms) * US_PER_MS;
	return passed_us > start_us ? passed_us : start_us;
}

/* Moves what was counted since the last record into it. A packet that was reported and then taken
 * back leaves less than was reported: the next records are short of it until it is made good, so
 * that the sum stays true. */
static void take_deltas(
	struct flow_record *r, const struct flow *f, struct flow_more *more, enum direction d)
{
	uint64_t octets = f->octets[d] - more->reported_octets[d];
	uint32_t packets = f->packets[d] - more->reported_packets[d]; /* wraps with the counter */

	if (f->octets[d] < more->reported_octets[d])
		octets = 0;
	if (packets > INT32_MAX)
		packets = 0;
	r->octet_delta_count[d] = octets;
	r->packet_delta_count[d] = packets;
	more->reported_octets[d] += octets;
	more->reported_packets[d] += packets;
}

/* Seven things make a record, and its maker has them apart. Field by field: zeroing all first costs as much as all the rest. */
/* NOLINTNEXTLINE(readability-function-size) */
void record_take(struct flow_record *ret_record, struct flow *f, struct flow_more *more,
	uint32_t flow_id, const struct device *device, enum flow_end_reason why, uint64_t now_us)
{
	static const struct mac_addr no_mac = {{0}};
	struct flow_record *r = ret_record;
	uint64_t up_us = last_us(f, UPLINK, more->start_us, now_us);
	uint64_t down_us = last_us(f, DOWNLINK, more->start_us, now_us);

	r->start_us = more->start_us;
	r->end_us = up_us > down_us ? up_us : down_us;
	take_deltas(r, f, more, UPLINK);
	take_deltas(r, f, more, DOWNLINK);
	r->remote = more->remote;
	r->internal = more->internal;
	r->external = more->external;
	r->internal_port = f->internal_port;
	r->remote_port = f->remote_port;
	r->external_port = f->external_port;
	r->proto = f->proto;
	r->state = f->state;
	r->lan_port = f->lan_port;
	r->wan_port = f->wan_port;
	r->class_id = more->class_id;
	r->tcp_flags[UPLINK] = more->tcp_flags[UPLINK];
	r->tcp_flags[DOWNLINK] = more->tcp_flags[DOWNLINK];
	r->end_reason = (uint8_t)why;
	r->kind = more->kind;
	r->spare = 0;
	r->device_mac = device != NULL ? device->mac : no_mac;
	r->device_id = f->device_id;
	r->flow_id = flow_id;
	more->reported_ms = (uint32_t)(now_us / US_PER_MS);
}

const char *flow_end_reason_name(uint8_t reason)
{
	static const char *const names[] = {
		[FLOW_END_NONE] = "goes on",
		[FLOW_END_IDLE_TIMEOUT] = "idle timeout",
		[FLOW_END_ACTIVE_TIMEOUT] = "active timeout",
		[FLOW_END_DETECTED] = "end of flow detected",
		[FLOW_END_FORCED] = "forced end",
		[FLOW_END_LACK_OF_RESOURCES] = "lack of resources",
	};

	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "?";
}
