/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow records with IPFIX field names: start, interim, end.
 *
 * Source:   RFC 7011, RFC 7012 (information elements), RFC 5102 section 5.11.3 (flowEndReason), RFC 8158 (NAT).
 * Shapes:   octets and packets are deltas since the flow's last record, so records simply add up.
 * Units:    octets are IP header and payload, as billed; times in microseconds of the path clock.
 * Threads:  made by the worker, read by control.
 */
#ifndef WEIR_ACCOUNT_RECORD_H
#define WEIR_ACCOUNT_RECORD_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/flow/device.h>
#include <weir/flow/table.h>

#include <stdint.h>

enum flow_end_reason {
	FLOW_END_NONE = 0, /* interim record: the flow goes on */
	FLOW_END_IDLE_TIMEOUT = 1,
	FLOW_END_ACTIVE_TIMEOUT = 2, /* not used: interim records say 0 */
	FLOW_END_DETECTED = 3,       /* FIN or RST was seen */
	FLOW_END_FORCED = 4,         /* weir stops, a rule now denies it, or its uplink is gone */
	FLOW_END_LACK_OF_RESOURCES = 5,
};

struct flow_record {
	uint64_t start_us;
	uint64_t end_us; /* last packet */
	uint64_t octet_delta_count[N_DIRECTIONS];
	uint32_t packet_delta_count[N_DIRECTIONS];
	/* In the order of struct flow and struct flow_more, so that they are copied together. */
	struct ip_addr remote;
	struct ip_addr internal;
	struct ip_addr external;
	uint16_t internal_port;
	uint16_t remote_port;
	uint16_t external_port;
	uint8_t proto;
	uint8_t state;
	uint8_t lan_port;
	uint8_t wan_port;
	uint8_t class_id;
	uint8_t tcp_flags[N_DIRECTIONS];
	uint8_t end_reason; /* enum flow_end_reason */
	uint8_t kind;       /* enum class_kind */
	uint8_t spare;
	struct mac_addr device_mac;
	uint16_t device_id;
	uint32_t flow_id;
};

/* Fills a record with what the flow has counted since its last one and marks that as reported. `device` may be NULL.
 * `now_us` turns the flow's 32-bit times into the path clock's. */
void record_take(struct flow_record *ret_record, struct flow *f, struct flow_more *more,
	uint32_t flow_id, const struct device *device, enum flow_end_reason why, uint64_t now_us);

/* "idle timeout"; never NULL. */
const char *flow_end_reason_name(uint8_t reason);

#endif
