/* SPDX-License-Identifier: BSD-3-Clause */
#include "views.h"

#include <stdbool.h>
#include <string.h>

const char view_names[] =
	"status|flows|devices|plans|classes|ports|forwards|drops|stages|link|rules|clocks|"
	"unsolicited";

static const struct column status[] = {
	{"gateway", "gateway", CELL_TEXT},
	{"version", "version", CELL_TEXT},
	{"running for", "uptime_s", CELL_SECONDS},
	{"process", "pid", CELL_COUNT},
	{"configuration", "config_file", CELL_TEXT},
	{"reloads", "reloads", CELL_COUNT},
	{"ports up", "ports_up", CELL_COUNT},
	{"ports down", "ports_down", CELL_COUNT},
	{"flows", "flows", CELL_COUNT},
	{"room for flows", "flow_capacity", CELL_COUNT},
	{"flows so far", "flows_created", CELL_COUNT},
	{"devices", "devices", CELL_COUNT},
	{"of them cut", "devices_cut", CELL_COUNT},
	{"mappings", "mappings", CELL_COUNT},
	{"packets a second", "packets_per_s", CELL_COUNT},
	{"table memory", "memory_bytes", CELL_OCTETS},
	{"in huge pages", "memory_huge_bytes", CELL_OCTETS},
	{"ledger", "ledger", CELL_TEXT},
	{"its writes today", "ledger_writes_today", CELL_COUNT},
	{"its octets today", "ledger_octets_today", CELL_OCTETS},
	{"records lost", "records_lost", CELL_COUNT},
	{"IPFIX collector", "ipfix", CELL_TEXT},
	{"records it has", "ipfix_sent", CELL_COUNT},
	{"that wait for it", "ipfix_waiting", CELL_COUNT},
	{"lost to it", "ipfix_lost", CELL_COUNT},
	{"IPFIX file", "ipfix_file", CELL_TEXT},
	{"records it holds", "ipfix_file_written", CELL_COUNT},
	{"lost to the file", "ipfix_file_lost", CELL_COUNT},
	{"counting errors", "conservation_errors", CELL_COUNT},
	{"senders", "senders", CELL_COUNT},
	{"the busiest", "sender_load_10s", CELL_SHARE},
	{"bursts lent to them", "sender_handovers", CELL_COUNT},
	{"that woke them", "sender_wakes", CELL_COUNT},
	{"packets they sent", "sender_packets", CELL_COUNT},
	{"packets they could not", "sender_refused", CELL_COUNT},
};

static const struct column flows[] = {
	{"PROTO", "protocol", CELL_TEXT},
	{"INTERNAL", "internal", CELL_ENDPOINT},
	{"REMOTE", "remote", CELL_ENDPOINT},
	{"REMOTE NAME", "remote_name", CELL_TEXT},
	{"STATE", "state", CELL_TEXT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
	{"IDLE", "idle_us", CELL_TIME},
	{"CLASS", "class", CELL_TEXT},
};

static const struct column devices[] = {
	{"ADDRESS", "address", CELL_TEXT},
	{"NAME", "name", CELL_TEXT},
	{"MAC", "mac", CELL_TEXT},
	{"VENDOR", "vendor", CELL_TEXT},
	{"PORT", "port", CELL_TEXT},
	{"FLOWS", "flows", CELL_COUNT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
	{"QUOTA", "quota_octets", CELL_OCTETS},
	{"USED", "quota_used_octets", CELL_OCTETS},
	{"STEP", "step", CELL_TEXT},
	{"LAST SEEN", "last_seen_ago_us", CELL_TIME},
};

static const struct column plans[] = {
	{"NAME", "name", CELL_TEXT},
	{"QUOTA", "quota_octets", CELL_OCTETS},
	{"USED", "used_octets", CELL_OCTETS},
	{"LEFT", "left_octets", CELL_OCTETS},
	{"BILL", "bill", CELL_SPAN},
	{"STEP", "step", CELL_TEXT},
	{"ENDS", "cycle_end", CELL_DAY},
	{"BY THEN", "forecast_octets", CELL_OCTETS},
};

static const struct column classes[] = {
	{"NAME", "name", CELL_TEXT},
	{"FLOWS", "flows", CELL_COUNT},
	{"ENDED", "flows_ended", CELL_COUNT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
	{"UP PACKETS", "uplink_packets", CELL_COUNT},
	{"DOWN PACKETS", "downlink_packets", CELL_COUNT},
};

static const struct column ports[] = {
	{"NAME", "name", CELL_TEXT},
	{"ROLE", "role", CELL_TEXT},
	{"DEVICE", "device", CELL_TEXT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
	{"UP NOW", "uplink_10s_bps", CELL_RATE},
	{"DOWN NOW", "downlink_10s_bps", CELL_RATE},
	{"STATE", "state", CELL_STATE},
};

static const struct column forwards[] = {
	{"PROTO", "protocol", CELL_TEXT},
	{"PORT", "port", CELL_TEXT},
	{"TO", "to", CELL_TEXT},
	{"TO PORT", "to_port", CELL_TEXT},
	{"FROM", "source", CELL_TEXT},
	{"BY", "by", CELL_TEXT},
	{"LEFT", "left_us", CELL_TIME},
};

static const struct column drops[] = {
	{"REASON", "reason", CELL_TEXT},
	{"PACKETS", "packets", CELL_COUNT},
	{"OCTETS", "octets", CELL_OCTETS},
	{"WHAT IT MEANS", "help", CELL_TEXT},
};

static const struct column stages[] = {
	{"STAGE", "name", CELL_TEXT},
	{"IN", "in", CELL_COUNT},
	{"OUT", "out", CELL_COUNT},
	{"DROPPED", "dropped", CELL_COUNT},
	{"ASIDE", "aside", CELL_COUNT},
	{"HELD", "held", CELL_COUNT},
};

static const struct column link_columns[] = {
	{"PORT", "port", CELL_TEXT},
	{"DIRECTION", "direction", CELL_TEXT},
	{"SHAPED TO", "shaped_bps", CELL_RATE},
	{"CARRIED", "carried_bps", CELL_RATE},
	{"NOW", "rate_10s_bps", CELL_RATE},
	{"RTT BASE", "rtt_base_us", CELL_TIME},
	{"AT RADIO", "radio_queue_us", CELL_TIME},
	{"ANSWERS", "answers_tcp", CELL_COUNT},
	{"WAITING", "queue_packets", CELL_COUNT},
	{"FLOWS", "queue_flows", CELL_COUNT},
	{"DELAY", "queue_us", CELL_TIME},
	{"P50", "delay_p50_us", CELL_TIME},
	{"P95", "delay_p95_us", CELL_TIME},
	{"P99", "delay_p99_us", CELL_TIME},
	{"MARKED", "marked_packets", CELL_COUNT},
	{"CODEL", "codel_drops", CELL_COUNT},
	{"FULL", "full_drops", CELL_COUNT},
	{"CEILING", "ceiling_drops", CELL_COUNT},
	{"ACKS SAVED", "thinned_octets", CELL_OCTETS},
	{"PROBES", "probes", CELL_COUNT},
	{"PROBED", "probe_octets", CELL_OCTETS},
	{"RADIO", "technology", CELL_TEXT},
	{"CELL", "cell", CELL_TEXT},
	{"RSRP", "rsrp_dbm", CELL_COUNT},
	{"TOLD AGO", "hint_age_us", CELL_TIME},
};

static const struct column rules[] = {
	{"RULE", "rule", CELL_TEXT},
	{"ACTION", "action", CELL_TEXT},
	{"WAY", "way", CELL_TEXT},
	{"MATCHES", "matches", CELL_TEXT},
	{"NOW", "state", CELL_TEXT},
	{"FLOWS", "flows", CELL_COUNT},
};

static const struct column clocks[] = {
	{"ADDRESS", "address", CELL_TEXT},
	{"MAC", "mac", CELL_TEXT},
	{"CLASS", "class", CELL_TEXT},
	{"SERVICE AGO", "service_ago_us", CELL_TIME},
	{"TIME", "time_ago_us", CELL_TIME},
	{"DNS", "dns_ago_us", CELL_TIME},
	{"UPDATE", "update_ago_us", CELL_TIME},
	{"STATE", "state", CELL_TEXT},
	{"CAUSE", "cause", CELL_TEXT},
};

static const struct column unsolicited[] = {
	{"PORT", "port", CELL_TEXT},
	{"BY", "by", CELL_TEXT},
	{"WHAT", "what", CELL_TEXT},
	{"PACKETS", "packets", CELL_COUNT},
	{"OCTETS", "octets", CELL_OCTETS},
	{"AT LEAST", "least_octets", CELL_OCTETS},
};

#define COLUMNS(of) (of), sizeof(of) / sizeof((of)[0])
#define FLOWS_SHOWN 100

static const struct view views[] = {
	{"status", COLUMNS(status), true, 0, ""},
	{"flows", COLUMNS(flows), false, FLOWS_SHOWN, "no flows"},
	{"devices", COLUMNS(devices), false, FLOWS_SHOWN, "no devices have been seen"},
	{"plans", COLUMNS(plans), false, 0, "no plans are configured"},
	{"classes", COLUMNS(classes), false, 0, "no classes"},
	{"ports", COLUMNS(ports), false, 0, "no ports"},
	{"forwards", COLUMNS(forwards), false, 0, "no ports are forwarded"},
	{"drops", COLUMNS(drops), false, 0, "nothing was dropped; --all lists every reason"},
	{"stages", COLUMNS(stages), false, 0, "no stages"},
	{"link", COLUMNS(link_columns), false, 0, "no uplink is configured"},
	{"rules", COLUMNS(rules), false, 0, "no rules"},
	{"clocks", COLUMNS(clocks), false, FLOWS_SHOWN,
		"no device of a class with a profile has been answered yet"},
	{"unsolicited", COLUMNS(unsolicited), false, 0, "nothing came that nobody asked for"},
};

const struct view *view_find(const char *name)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (strcmp(views[i].name, name) == 0)
			return &views[i];
	return NULL;
}
