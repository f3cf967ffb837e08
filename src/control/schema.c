/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/config.h>
#include <weir/control/schema.h>
#include <weir/path/doors.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MINUTE (60 * US_PER_S)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define KBPS 1000ull
#define GBPS 1000000000ull

#define TB 1000000000000ull

/* Flow times are 32 bits of milliseconds and compared by difference: 24 days would be the end. */
#define TIMEOUT_MAX (7 * DAY)

#define FIELD(of, member)                                                                          \
	.offset = offsetof(struct of, member), .size_bytes = sizeof(((struct of *)0)->member)
#define ARRAY(of, member, n_member)                                                                \
	.offset = offsetof(struct of, member), .size_bytes = sizeof(((struct of *)0)->member[0]),  \
	.n_offset = offsetof(struct of, n_member),                                                 \
	.max = sizeof(((struct of *)0)->member) / sizeof(((struct of *)0)->member[0])

static const struct schema_word log_levels[] = {
	{"error", LOG_ERROR},
	{"warning", LOG_WARNING},
	{"notice", LOG_NOTICE},
	{"info", LOG_INFO},
	{"debug", LOG_DEBUG},
	{NULL, 0},
};

static const struct schema_word huge_pages[] = {
	{"auto", HUGE_PAGES_AUTO},
	{"off", HUGE_PAGES_OFF},
	{NULL, 0},
};

static const struct schema_word roles[] = {
	{"lan", PORT_LAN},
	{"uplink", PORT_UPLINK},
	{NULL, 0},
};

static const struct schema_word drivers[] = {
	{"auto", DRIVER_AUTO},
	{"rawsock", DRIVER_RAWSOCK},
	{"af-xdp", DRIVER_AF_XDP},
	{"dpdk", DRIVER_DPDK},
	{NULL, 0},
};

static const struct schema_word links[] = {
	{"ethernet", LINK_ETHERNET},
	{"wifi", LINK_WIFI},
	{"cellular", LINK_CELLULAR},
	{NULL, 0},
};

static const struct schema_word framings[] = {
	{"auto", CONFIG_FRAMING_AUTO},
	{"ethernet", CONFIG_FRAMING_ETHERNET},
	{"raw-ip", CONFIG_FRAMING_RAW_IP},
	{NULL, 0},
};

static const struct schema_word steps[] = {
	{"notify", STEP_NOTIFY},
	{"shape", STEP_SHAPE},
	{"reserve-only", STEP_RESERVE_ONLY},
	{"block", STEP_BLOCK},
	{NULL, 0},
};

static const struct schema_word weekdays[] = {
	{"none", WEEKDAY_NONE},
	{"sunday", WEEKDAY_SUNDAY},
	{"monday", WEEKDAY_MONDAY},
	{"tuesday", WEEKDAY_TUESDAY},
	{"wednesday", WEEKDAY_WEDNESDAY},
	{"thursday", WEEKDAY_THURSDAY},
	{"friday", WEEKDAY_FRIDAY},
	{"saturday", WEEKDAY_SATURDAY},
	{NULL, 0},
};

static const struct schema_word paces[] = {
	{"nothing", LADDER_NOTHING},
	{"notify", LADDER_NOTIFY},
	{"shape", LADDER_SHAPE},
	{"reserve-only", LADDER_RESERVE_ONLY},
	{"block", LADDER_BLOCK},
	{NULL, 0},
};

static const struct schema_word scopes[] = {
	{"cycle", BILL_PER_CYCLE},
	{"day", BILL_PER_DAY},
	{"session", BILL_PER_SESSION},
	{NULL, 0},
};

static const struct schema_word final_actions[] = {
	{"notify", WHEN_SPENT_NOTIFY},
	{"block", WHEN_SPENT_BLOCK},
	{NULL, 0},
};

static const struct schema_word priorities[] = {
	{"low", PRIORITY_LOW},
	{"normal", PRIORITY_NORMAL},
	{"high", PRIORITY_HIGH},
	{NULL, 0},
};

static const struct schema_word kinds[] = {
	{"provisioning", CLASS_KIND_PROVISIONING},
	{"connectivity", CLASS_KIND_CONNECTIVITY},
	{"service", CLASS_KIND_SERVICE},
	{"update", CLASS_KIND_UPDATE},
	{"dns", CLASS_KIND_DNS},
	{"time", CLASS_KIND_TIME},
	{NULL, 0},
};

static const struct schema_word sides[] = {
	{"lan", SIDE_LAN},
	{"uplink", SIDE_UPLINK},
	{NULL, 0},
};

static const struct schema_word actions[] = {
	{"allow", POLICY_ALLOW},
	{"drop", POLICY_DROP},
	{"reject", POLICY_REJECT},
	{NULL, 0},
};

static const struct schema_word unrecorded[] = {
	{"forward", UNRECORDED_FORWARD},
	{"reserve-only", UNRECORDED_RESERVE_ONLY},
	{"block", UNRECORDED_BLOCK},
	{NULL, 0},
};

static const struct schema_word admissions[] = {
	{"open", ADMISSION_OPEN},
	{"listed", ADMISSION_LISTED},
	{NULL, 0},
};

static const struct schema_word quarantines[] = {
	{"services", QUARANTINE_SERVICES},
	{"nothing", QUARANTINE_NOTHING},
	{NULL, 0},
};

static const struct schema_word ipfix_transports[] = {
	{"tcp", IPFIX_TCP},
	{"tls", IPFIX_TLS},
	{"udp", IPFIX_UDP},
	{NULL, 0},
};

static const struct schema_word clocks[] = {
	{"auto", CLOCK_AUTO},
	{"trusted", CLOCK_TRUSTED},
	{NULL, 0},
};

static const struct schema_word filterings[] = {
	{"endpoint-independent", NAT_FILTER_ENDPOINT_INDEPENDENT},
	{"address-dependent", NAT_FILTER_ADDRESS_DEPENDENT},
	{"address-and-port-dependent", NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT},
	{NULL, 0},
};

static const struct schema_word unsolicited_syns[] = {
	{"silent", UNSOLICITED_SYN_SILENT},
	{"tell", UNSOLICITED_SYN_TELL},
	{NULL, 0},
};

static const struct schema_word attachments[] = {
	{"ethernet", ATTACHMENT_ETHERNET},
	{"wifi", ATTACHMENT_WIFI},
	{"uart-modem", ATTACHMENT_UART_MODEM},
	{"serial-mcu", ATTACHMENT_SERIAL_MCU},
	{"enc28j60-emulation", ATTACHMENT_ENC28J60_EMULATION},
	{"non-forwarding-modem", ATTACHMENT_NON_FORWARDING_MODEM},
	{NULL, 0},
};

/* clang-format off */
static const struct schema_row rows[] = {
	{ .path = "gateway", .type = SCHEMA_TEXT, .applies = APPLIES_AT_START, FIELD(config, gateway),
	  .takes = "a name without spaces", .fallback = "weir", .help = "This gateway's name, as records and status show it." },

	{ .path = "ports", .type = SCHEMA_NAMED, .applies = APPLIES_AT_START, .flags = SCHEMA_REQUIRED,
	  ARRAY(config, ports, n_ports), .takes = "a lan and an uplink below it, each under a name",
	  .help = "Where packets come from and go to: at least one LAN and one uplink." },
	{ .path = "ports.*", .type = SCHEMA_ITEM, .help = "One port, under a name of your choice." },
	{ .path = "ports.*.role", .type = SCHEMA_WORD, .applies = APPLIES_AT_START, .flags = SCHEMA_REQUIRED,
	  FIELD(config_port, role), .words = roles, .help = "What the port leads to: devices, or the carrier." },
	{ .path = "ports.*.device", .type = SCHEMA_TEXT, .applies = APPLIES_AT_START, .flags = SCHEMA_REQUIRED,
	  FIELD(config_port, device),
	  .takes = "an interface (eth1), a PCI address (0000:01:00.0) or a DPDK device (net_memif0)",
	  .help = "What the port is on this machine; each port has a device of its own." },
	{ .path = "ports.*.address", .type = SCHEMA_PREFIX, .applies = APPLIES_AT_START, .flags = SCHEMA_REQUIRED,
	  FIELD(config_port, address), .help = "The gateway's own IPv4 address here, with the length of its network." },
	{ .path = "ports.*.gateway", .type = SCHEMA_ADDRESS, .applies = APPLIES_AT_START, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, gateway), .fallback_words = "none: every destination is on the link",
	  .help = "The next router, where the uplink is Ethernet." },
	{ .path = "ports.*.link", .type = SCHEMA_WORD, .applies = APPLIES_AT_START, FIELD(config_port, link),
	  .words = links, .fallback = "ethernet", .help = "What carries it; a cellular link may come and go." },
	{ .path = "ports.*.framing", .type = SCHEMA_WORD, .applies = APPLIES_AT_START, FIELD(config_port, framing),
	  .words = framings, .fallback = "auto",
	  .help = "Whether frames begin with an Ethernet or an IP header; auto asks the interface." },
	{ .path = "ports.*.driver", .type = SCHEMA_WORD, .applies = APPLIES_AT_START, FIELD(config_port, driver),
	  .words = drivers, .fallback = "auto",
	  .help = "How the device is opened; auto takes rawsock for an interface, dpdk for all else." },
	{ .path = "ports.*.plan", .type = SCHEMA_NAME, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, plan), .fallback_words = "none: counted, without a quota",
	  .help = "The data plan that this uplink spends: a name below plans." },
	{ .path = "ports.*.mtu", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START, FIELD(config_port, mtu),
	  .min = 576, .max = 9000, .fallback_words = "the device's",
	  .help = "Largest IP packet in octets, where the bearer takes less than the device says." },
	{ .path = "ports.*.vlan", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START, FIELD(config_port, vlan),
	  .min = 1, .max = 4094, .fallback_words = "none: untagged",
	  .help = "VLAN whose frames this port takes and sends; all others are dropped." },
	{ .path = "ports.*.rate", .type = SCHEMA_SECTION, .flags = SCHEMA_UPLINK_ONLY,
	  .help = "Shaping, a little below what the link carries, so that the queue stands here." },
	{ .path = "ports.*.rate.uplink", .type = SCHEMA_RATE, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, rate_uplink_bps), .min = 8 * KBPS, .max = 100 * GBPS,
	  .fallback_words = "none: not shaped", .help = "Bits a second towards the carrier." },
	{ .path = "ports.*.rate.downlink", .type = SCHEMA_RATE, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, rate_downlink_bps), .min = 8 * KBPS, .max = 100 * GBPS,
	  .fallback_words = "none: not shaped", .help = "Bits a second towards the devices." },
	{ .path = "ports.*.rate.follow", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, rate_follow), .fallback = "false",
	  .help = "Follow what the radio carries; uplink and downlink above are then the most." },
	{ .path = "ports.*.rate.least", .type = SCHEMA_RATE, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, rate_least_bps), .min = 8 * KBPS, .max = 1 * GBPS, .fallback = "16kbps",
	  .help = "The least that is sent where rates are followed, even into an outage." },
	{ .path = "ports.*.rate.probe", .type = SCHEMA_SECTION, .flags = SCHEMA_UPLINK_ONLY,
	  .help = "Echo requests while a followed link is loaded and nothing that passes tells of it; they cost octets." },
	{ .path = "ports.*.rate.probe.to", .type = SCHEMA_ADDRESS, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, probe_to), .fallback_words = "none: nothing is sent",
	  .help = "A host beyond the uplink that answers echo requests, and may be asked." },
	{ .path = "ports.*.rate.probe.every", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, probe_every_us), .min = 50 * US_PER_MS, .max = 60 * US_PER_S, .fallback = "200ms",
	  .help = "At most one so often." },
	{ .path = "ports.*.rate.probe.quota", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, probe_quota_octets), .min = 0, .max = 1 * TB, .fallback = "5MB",
	  .help = "Octets of requests and answers in a cycle of the plan, or in a day without one." },
	/* CoDel keeps queues short; this is room for bursts, and for what is deaf to CoDel. */
	{ .path = "ports.*.queue", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, queue_us), .min = 5 * US_PER_MS, .max = 10 * US_PER_S, .fallback = "500ms",
	  .help = "Room in the shaper, as time at its rate; and no less than for 64 packets." },
	{ .path = "ports.*.link_overhead", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, link_overhead_octets), .max = 255, .fallback = "0B",
	  .help = "What the link adds to each packet: rates count it, and the plan's overhead." },
	{ .path = "ports.*.ack_thinning", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE, .flags = SCHEMA_UPLINK_ONLY,
	  FIELD(config_port, ack_thinning), .fallback = "false",
	  .help = "Of TCP acknowledgements of a flow that wait one behind the other, send the newest alone." },
	{ .path = "ports.*.tap", .type = SCHEMA_TEXT, .applies = APPLIES_AT_START, .flags = SCHEMA_LAN_ONLY,
	  FIELD(config_port, tap), .takes = "an interface name of at most 15 characters, or none",
	  .fallback_words = "weir-NAME",
	  .help = "Kernel interface for what is addressed to the gateway itself (DHCP, DNS, ssh)." },
	{ .path = "ports.*.tap_default_route", .type = SCHEMA_BOOL, .applies = APPLIES_AT_START,
	  .flags = SCHEMA_LAN_ONLY, FIELD(config_port, tap_default_route), .fallback = "true",
	  .help = "Let programs of this machine reach the uplink through weir." },

	{ .path = "ports.*.pcp", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE, .flags = SCHEMA_LAN_ONLY,
	  FIELD(config_port, pcp), .fallback = "false",
	  .help = "Let devices open external ports to themselves for a time (PCP, NAT-PMP)." },

	{ .path = "plans", .type = SCHEMA_NAMED, .applies = APPLIES_AT_START, ARRAY(config, plans, n_plans),
	  .help = "What the carrier sells: how much may be spent, and what happens then." },
	{ .path = "plans.*", .type = SCHEMA_ITEM, .help = "One data plan; uplinks refer to it by its name." },
	{ .path = "plans.*.quota", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE, FIELD(config_plan, quota_octets),
	  .min = 1000, .max = 1000 * TB, .fallback_words = "none: counted alone",
	  .help = "Octets in a billing cycle, both directions together." },
	{ .path = "plans.*.when_spent", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config_plan, when_spent), .words = final_actions, .fallback = "notify",
	  .help = "What happens at the quota, where there is no ladder." },
	{ .path = "plans.*.when_unrecorded", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config_plan, when_unrecorded), .words = unrecorded, .fallback = "reserve-only",
	  .help = "What goes on while the ledger cannot be written, or was damaged, where there is a quota." },
	{ .path = "plans.*.overhead", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, overhead_octets), .min = 0, .max = 1000, .fallback = "0B",
	  .help = "What the carrier adds to each packet when it counts, for example 54B for its tunnel." },
	{ .path = "plans.*.unsolicited_alarm", .type = SCHEMA_SHARE, .applies = APPLIES_LIVE,
	  FIELD(config_plan, unsolicited_alarm_ppm), .min = 0, .max = 1000000, .fallback = "5%",
	  .help = "Alarm when what nobody asked for would cost more of the quota by the cycle's end, at the last hour's pace; 0%: never." },
	{ .path = "plans.*.cycle", .type = SCHEMA_SECTION,
	  .help = "When the billing cycle begins." },
	{ .path = "plans.*.cycle.day", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config_plan, cycle_day), .min = 1, .max = 31, .fallback = "1",
	  .help = "Day of the month; a shorter month begins it on its last day." },
	{ .path = "plans.*.cycle.hour", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config_plan, cycle_hour), .min = 0, .max = 23, .fallback = "0", .help = "Hour of that day." },
	{ .path = "plans.*.cycle.timezone", .type = SCHEMA_TEXT, .applies = APPLIES_LIVE,
	  FIELD(config_plan, cycle_timezone), .takes = "a name from /usr/share/zoneinfo, such as Europe/Berlin",
	  .fallback = "UTC", .help = "The carrier's time zone." },
	{ .path = "plans.*.cycle.weekday", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config_plan, cycle_weekday), .words = weekdays, .fallback = "none",
	  .help = "A week in place of a month, from this day." },
	{ .path = "plans.*.cycle.days", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config_plan, cycle_days), .min = 0, .max = 366, .fallback = "0",
	  .help = "So many days in place of a month, counted from cycle.from; 0: a month." },
	{ .path = "plans.*.cycle.from", .type = SCHEMA_TEXT, .applies = APPLIES_LIVE, FIELD(config_plan, cycle_from),
	  .takes = "a date such as 2026-01-31", .fallback_words = "none",
	  .help = "A date on which a cycle of so many days begins." },
	{ .path = "plans.*.top_up", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, top_up_octets), .min = 0, .max = 1000 * TB, .fallback = "0B",
	  .help = "Octets bought on top of the quota; they last until they are used. Write a larger sum for more." },
	{ .path = "plans.*.prepaid", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE, FIELD(config_plan, prepaid),
	  .fallback = "false", .help = "Whether there is no quota but what was topped up." },
	{ .path = "plans.*.carry_over", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, carry_over_octets), .min = 0, .max = 1000 * TB, .fallback = "0B",
	  .help = "What is left of a quota goes over to the next cycle, and ends with it: at most so much." },
	{ .path = "plans.*.ladder", .type = SCHEMA_LIST, .applies = APPLIES_LIVE, ARRAY(config_plan, ladder, n_ladder),
	  .help = "Steps as the quota goes; the strongest of those that are reached holds." },
	{ .path = "plans.*.ladder.[]", .type = SCHEMA_ITEM, .help = "One step, in ascending order." },
	{ .path = "plans.*.ladder.[].at", .type = SCHEMA_SHARE, .flags = SCHEMA_REQUIRED,
	  FIELD(config_ladder_step, at_ppm), .min = 1, .max = 1000000, .help = "Share of the quota." },
	{ .path = "plans.*.ladder.[].do", .type = SCHEMA_WORD, .flags = SCHEMA_REQUIRED,
	  FIELD(config_ladder_step, action), .words = steps, .help = "What happens from there on." },
	{ .path = "plans.*.ladder.[].rate", .type = SCHEMA_RATE, FIELD(config_ladder_step, rate_bps),
	  .min = 8 * KBPS, .max = 100 * GBPS, .fallback_words = "none",
	  .help = "Bits a second that a shape step leaves." },

	{ .path = "plans.*.pace", .type = SCHEMA_SECTION,
	  .help = "Each day's share of the quota; what a day leaves is there on the next." },
	{ .path = "plans.*.pace.borrow", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config_plan, pace.borrow_days), .min = 0, .max = 366, .fallback = "0",
	  .help = "Days whose share may be used in advance." },
	{ .path = "plans.*.pace.do", .type = SCHEMA_WORD, .applies = APPLIES_LIVE, FIELD(config_plan, pace.action),
	  .words = paces, .fallback = "nothing", .help = "What happens beyond it, until the next day." },
	{ .path = "plans.*.pace.rate", .type = SCHEMA_RATE, .applies = APPLIES_LIVE,
	  FIELD(config_plan, pace.rate_bps), .min = 8 * KBPS, .max = 100 * GBPS, .fallback_words = "none",
	  .help = "Bits a second that do: shape leaves." },
	{ .path = "plans.*.carrier", .type = SCHEMA_TEXT, .applies = APPLIES_LIVE,
	  FIELD(config_plan, carrier), .takes = "the name of a file in config/carriers, such as soracom",
	  .fallback_words = "none: counting says how", .help = "Whose way of counting the bill follows." },
	{ .path = "plans.*.free_classes", .type = SCHEMA_LIST, .applies = APPLIES_LIVE,
	  ARRAY(config_plan, free_classes, n_free), .takes = "a list of classes, such as [voice]",
	  .fallback_words = "none", .help = "Classes that the carrier does not bill, beside those that its file names." },
	{ .path = "plans.*.free_classes.[]", .type = SCHEMA_NAME, .size_bytes = CONFIG_NAME_MAX,
	  .takes = "a name below classes", .help = "One class." },
	{ .path = "plans.*.counting", .type = SCHEMA_SECTION,
	  .help = "How the carrier counts, where no file says so." },
	{ .path = "plans.*.counting.uplink", .type = SCHEMA_SECTION,
	  .help = "Packets to the carrier." },
	{ .path = "plans.*.counting.uplink.overhead", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.overhead_low[UPLINK]), .min = 0, .max = 1000, .fallback = "0B",
	  .help = "Octets added to each packet, at least." },
	{ .path = "plans.*.counting.uplink.overhead_max", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.overhead_high[UPLINK]), .min = 0, .max = 1000, .fallback_words = "overhead",
	  .help = "Octets added to each packet, at most." },
	{ .path = "plans.*.counting.uplink.weight", .type = SCHEMA_SHARE, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.weight_ppm[UPLINK]), .min = 0, .max = 1000000, .fallback = "100%",
	  .help = "How much of an octet is billed." },
	{ .path = "plans.*.counting.downlink", .type = SCHEMA_SECTION,
	  .help = "Packets from the carrier." },
	{ .path = "plans.*.counting.downlink.overhead", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.overhead_low[DOWNLINK]), .min = 0, .max = 1000, .fallback = "0B",
	  .help = "Octets added to each packet, at least." },
	{ .path = "plans.*.counting.downlink.overhead_max", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.overhead_high[DOWNLINK]), .min = 0, .max = 1000, .fallback_words = "overhead",
	  .help = "Octets added to each packet, at most." },
	{ .path = "plans.*.counting.downlink.weight", .type = SCHEMA_SHARE, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.weight_ppm[DOWNLINK]), .min = 0, .max = 1000000, .fallback = "100%",
	  .help = "How much of an octet is billed." },
	{ .path = "plans.*.counting.rounding", .type = SCHEMA_OCTETS, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.quantum_octets), .min = 0, .max = 1000000000, .fallback = "0B",
	  .help = "What is billed is rounded up to a multiple of this; 0B: not rounded." },
	{ .path = "plans.*.counting.per", .type = SCHEMA_WORD, .applies = APPLIES_LIVE, FIELD(config_plan, counting.per),
	  .words = scopes, .fallback = "cycle", .help = "Over what each rounding is done." },
	{ .path = "plans.*.counting.session_cut", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  .flags = SCHEMA_OR_ZERO, FIELD(config_plan, counting.session_cut_us), .min = MINUTE, .max = 30 * DAY,
	  .fallback = "0s", .help = "The carrier ends a session after so long; 0s: never." },
	{ .path = "plans.*.counting.hidden_cuts", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.hidden_cuts_day), .min = 0, .max = 1000, .fallback = "4",
	  .help = "Sessions a day that the modem may build anew without its interface going down." },
	{ .path = "plans.*.counting.slack", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.slack_us), .min = 0, .max = HOUR, .fallback = "1m",
	  .help = "By how much the carrier's clock and this one may differ." },
	{ .path = "plans.*.counting.lost_uplink", .type = SCHEMA_SHARE, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.lost_uplink_ppm), .min = 0, .max = 500000, .fallback = "0.1%",
	  .help = "Of what is sent, at most so much is lost before the carrier counts it." },
	{ .path = "plans.*.counting.unseen_downlink", .type = SCHEMA_SHARE, .applies = APPLIES_LIVE,
	  FIELD(config_plan, counting.unseen_downlink_ppm), .min = 0, .max = 500000, .fallback = "0.2%",
	  .help = "Of what the carrier counts, at most so much is lost before it arrives." },
	{ .path = "quotas", .type = SCHEMA_NAMED, .applies = APPLIES_LIVE, ARRAY(config, quotas, n_quotas),
	  .help = "What one device may use of the plan of its uplink in a cycle; the first that fits a device holds." },
	{ .path = "quotas.*", .type = SCHEMA_ITEM, .help = "One quota. Two addresses behind one MAC are one device." },
	{ .path = "quotas.*.group", .type = SCHEMA_NAME, FIELD(config_quota, group), .fallback_words = "any device",
	  .help = "Devices it is for: a name below groups." },
	{ .path = "quotas.*.quota", .type = SCHEMA_OCTETS, .flags = SCHEMA_REQUIRED, FIELD(config_quota, quota_octets),
	  .min = 1000, .max = 1000 * TB, .help = "Octets as the plan bills them, both directions together." },
	{ .path = "quotas.*.shared", .type = SCHEMA_BOOL, FIELD(config_quota, shared), .fallback = "false",
	  .help = "Whether its devices have it together: for guests, who can make up MACs." },
	{ .path = "quotas.*.ladder", .type = SCHEMA_LIST, ARRAY(config_quota, ladder, n_ladder),
	  .fallback_words = "at 100%, reserve-only",
	  .help = "Steps as the quota goes; the strongest of those that are reached holds." },
	{ .path = "quotas.*.ladder.[]", .type = SCHEMA_ITEM, .help = "One step, in ascending order." },
	{ .path = "quotas.*.ladder.[].at", .type = SCHEMA_SHARE, .flags = SCHEMA_REQUIRED,
	  FIELD(config_ladder_step, at_ppm), .min = 1, .max = 1000000, .help = "Share of the quota." },
	{ .path = "quotas.*.ladder.[].do", .type = SCHEMA_WORD, .flags = SCHEMA_REQUIRED,
	  FIELD(config_ladder_step, action), .words = steps,
	  .help = "What happens from there on; reserve-only leaves what a class's reserve pays for." },
	{ .path = "quotas.*.ladder.[].rate", .type = SCHEMA_RATE, FIELD(config_ladder_step, rate_bps),
	  .min = 8 * KBPS, .max = 100 * GBPS, .fallback_words = "none",
	  .help = "Bits a second that a shape step leaves, each direction, to what no reserve pays for." },

	{ .path = "classes", .type = SCHEMA_NAMED, .applies = APPLIES_LIVE, ARRAY(config, classes, n_classes),
	  .help = "Traffic that is counted under a name of its own; the first that matches a new flow." },
	{ .path = "classes.*", .type = SCHEMA_ITEM, .help = "One class." },
	{ .path = "classes.*.protocol", .type = SCHEMA_PROTOCOL, FIELD(config_class, own.proto), .fallback = "any",
	  .help = "Protocol of the flow." },
	{ .path = "classes.*.remote", .type = SCHEMA_PREFIX, FIELD(config_class, own.remote), .fallback_words = "any",
	  .help = "Addresses beyond the uplink." },
	{ .path = "classes.*.port", .type = SCHEMA_PORT_RANGE, FIELD(config_class, own.port), .min = 1, .max = 65535,
	  .fallback_words = "any", .help = "Remote ports of tcp or udp." },
	{ .path = "classes.*.source_port", .type = SCHEMA_PORT_RANGE, FIELD(config_class, own.source_port), .min = 1,
	  .max = 65535, .fallback_words = "any", .help = "Ports of tcp or udp that the device speaks from." },
	{ .path = "classes.*.dscp", .type = SCHEMA_DSCP, FIELD(config_class, own.dscp), .fallback = "any",
	  .help = "Mark of the first packet that the device sends (RFC 2474)." },
	{ .path = "classes.*.group", .type = SCHEMA_NAME, FIELD(config_class, own.group), .fallback_words = "any",
	  .help = "Devices of a group: a name below groups, or quarantine." },
	{ .path = "classes.*.device", .type = SCHEMA_MEMBER, FIELD(config_class, own.device), .fallback_words = "any",
	  .help = "One device, or those of a network." },
	{ .path = "classes.*.names", .type = SCHEMA_LIST, ARRAY(config_class, own.names, own.n_names),
	  .takes = "a list such as [time.example.net, \"*.example.com\"]", .fallback_words = "any",
	  .help = "Servers, by what the device's own DNS answers said; '*.' stands for all names below." },
	{ .path = "classes.*.names.[]", .type = SCHEMA_TEXT, .size_bytes = CONFIG_HOST_NAME_MAX,
	  .takes = "a host name, or one behind '*.'", .help = "One name." },
	{ .path = "classes.*.sni", .type = SCHEMA_BOOL, FIELD(config_class, own.sni), .fallback = "false",
	  .help = "Whether the flow's first TLS or QUIC message must name one of them, too." },
	{ .path = "classes.*.match", .type = SCHEMA_LIST, ARRAY(config_class, match, n_matches),
	  .help = "Rules, where one is not enough: a flow that any of them matches is of the class." },
	{ .path = "classes.*.match.[]", .type = SCHEMA_ITEM, .help = "One rule; a key that is left out matches all." },
	{ .path = "classes.*.match.[].protocol", .type = SCHEMA_PROTOCOL, FIELD(config_match, proto), .fallback = "any",
	  .help = "Protocol of the flow." },
	{ .path = "classes.*.match.[].remote", .type = SCHEMA_PREFIX, FIELD(config_match, remote), .fallback_words = "any",
	  .help = "Addresses beyond the uplink." },
	{ .path = "classes.*.match.[].port", .type = SCHEMA_PORT_RANGE, FIELD(config_match, port), .min = 1, .max = 65535,
	  .fallback_words = "any", .help = "Remote ports of tcp or udp." },
	{ .path = "classes.*.match.[].source_port", .type = SCHEMA_PORT_RANGE, FIELD(config_match, source_port), .min = 1,
	  .max = 65535, .fallback_words = "any", .help = "Ports of tcp or udp that the device speaks from." },
	{ .path = "classes.*.match.[].dscp", .type = SCHEMA_DSCP, FIELD(config_match, dscp), .fallback = "any",
	  .help = "Mark of the first packet that the device sends (RFC 2474)." },
	{ .path = "classes.*.match.[].group", .type = SCHEMA_NAME, FIELD(config_match, group), .fallback_words = "any",
	  .help = "Devices of a group: a name below groups, or quarantine." },
	{ .path = "classes.*.match.[].device", .type = SCHEMA_MEMBER, FIELD(config_match, device), .fallback_words = "any",
	  .help = "One device, or those of a network." },
	{ .path = "classes.*.match.[].names", .type = SCHEMA_LIST, ARRAY(config_match, names, n_names),
	  .takes = "a list such as [time.example.net, \"*.example.com\"]", .fallback_words = "any",
	  .help = "Servers, by what the device's own DNS answers said; '*.' stands for all names below." },
	{ .path = "classes.*.match.[].names.[]", .type = SCHEMA_TEXT, .size_bytes = CONFIG_HOST_NAME_MAX,
	  .takes = "a host name, or one behind '*.'", .help = "One name." },
	{ .path = "classes.*.match.[].sni", .type = SCHEMA_BOOL, FIELD(config_match, sni), .fallback = "false",
	  .help = "Whether the flow's first TLS or QUIC message must name one of them, too." },
	{ .path = "classes.*.translate", .type = SCHEMA_BOOL, FIELD(config_class, translate), .fallback = "true",
	  .help = "Whether flows get the uplink's address; false where the network beyond it has routes to the LANs." },
	{ .path = "classes.*.profile", .type = SCHEMA_NAME, FIELD(config_class, profile), .fallback_words = "none",
	  .help = "Rules from a file, profiles/NAME.yaml: what devices of a kind talk to. group and device choose among them." },
	{ .path = "classes.*.reserve", .type = SCHEMA_OCTETS, FIELD(config_class, reserve_octets), .max = 1000 * TB,
	  .fallback = "0B", .help = "Part of each plan's quota that other traffic can never spend." },
	{ .path = "classes.*.reserve_per_device", .type = SCHEMA_OCTETS, FIELD(config_class, reserve_per_device_octets),
	  .max = 1000 * TB, .fallback_words = "the whole reserve",
	  .help = "What one device may spend of the reserve in a cycle; beyond that it pays like all others." },
	{ .path = "classes.*.priority", .type = SCHEMA_WORD, FIELD(config_class, priority),
	  .words = priorities, .fallback = "normal",
	  .help = "Who goes first when the link is short: high with up to half of it, low with what others leave." },
	{ .path = "classes.*.guaranteed", .type = SCHEMA_RATE, FIELD(config_class, guaranteed_bps), .min = 8 * KBPS, .max = 100 * GBPS,
	  .fallback_words = "none, but for a high or low priority",
	  .help = "What it may send before others, in each direction; all classes together seven eighths of the rate." },
	{ .path = "classes.*.ceiling", .type = SCHEMA_RATE, FIELD(config_class, ceiling_bps), .min = 8 * KBPS, .max = 100 * GBPS,
	  .fallback_words = "none", .help = "What it may send at most, in each direction." },
	{ .path = "classes.*.weight", .type = SCHEMA_INTEGER, FIELD(config_class, weight), .min = 1, .max = 100,
	  .fallback = "10", .help = "Its share of what is left, beside other classes of its priority." },

	{ .path = "names", .type = SCHEMA_SECTION, .help = "How long a device's DNS answers prove where it goes." },
	{ .path = "names.grace", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, FIELD(config, names_grace_us), .max = 7 * DAY,
	  .fallback = "1h", .help = "So much longer than an answer's TTL: devices keep addresses longer than they were told to." },
	{ .path = "names.ttl_max", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, FIELD(config, names_ttl_max_us),
	  .min = MINUTE, .max = 7 * DAY, .fallback = "1d", .help = "No TTL counts for more." },

	{ .path = "policy", .type = SCHEMA_SECTION,
	  .help = "Which flows may begin. Without rules: all from a LAN to the uplink, none the other way." },
	{ .path = "policy.lan_to_lan", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE, FIELD(config, policy_lan_to_lan),
	  .fallback = "false", .help = "Route between LAN ports, and lead what stations of one LAN send each other by the gateway." },
	{ .path = "policy.events_per_second", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config, policy_events_per_second), .min = 1, .max = 1000, .fallback = "10",
	  .help = "Matches of one rule with log: true that are told, each in a line; all are counted." },
	{ .path = "policy.rules", .type = SCHEMA_LIST, .applies = APPLIES_LIVE, ARRAY(config, rules, n_rules),
	  .help = "The first rule that matches decides; a change also ends what flows it no longer allows." },
	{ .path = "policy.rules.[]", .type = SCHEMA_ITEM, .help = "One rule; a key that is left out matches all." },
	{ .path = "policy.rules.[].from", .type = SCHEMA_WORD, FIELD(config_rule, from), .words = sides,
	  .fallback_words = "either", .help = "Where the flow begins." },
	{ .path = "policy.rules.[].to", .type = SCHEMA_WORD, FIELD(config_rule, to), .words = sides,
	  .fallback_words = "either", .help = "Where it leads." },
	{ .path = "policy.rules.[].protocol", .type = SCHEMA_PROTOCOL, FIELD(config_rule, proto), .fallback = "any",
	  .help = "Protocol of the flow." },
	{ .path = "policy.rules.[].source", .type = SCHEMA_PREFIX, FIELD(config_rule, source),
	  .fallback_words = "any", .help = "Addresses that it begins at." },
	{ .path = "policy.rules.[].destination", .type = SCHEMA_PREFIX, FIELD(config_rule, destination),
	  .fallback_words = "any", .help = "Addresses that it goes to." },
	{ .path = "policy.rules.[].port", .type = SCHEMA_PORT_RANGE, FIELD(config_rule, port), .min = 1, .max = 65535,
	  .fallback_words = "any", .help = "Destination ports of tcp or udp." },
	{ .path = "policy.rules.[].device", .type = SCHEMA_MEMBER, FIELD(config_rule, device),
	  .fallback_words = "any", .help = "Device on a LAN that begins it or that it leads to." },
	{ .path = "policy.rules.[].group", .type = SCHEMA_NAME, FIELD(config_rule, group), .fallback_words = "any",
	  .help = "The same for a group of devices: a name below groups, or quarantine." },
	{ .path = "policy.rules.[].class", .type = SCHEMA_NAME, FIELD(config_rule, class_name),
	  .fallback_words = "any", .help = "Class of the flow: a name below classes, or default." },
	{ .path = "policy.rules.[].schedule", .type = SCHEMA_NAME, FIELD(config_rule, schedule),
	  .fallback_words = "always", .help = "When the rule holds: a name below schedules." },
	{ .path = "policy.rules.[].log", .type = SCHEMA_BOOL, FIELD(config_rule, log), .fallback = "false",
	  .help = "Tell of each match, up to policy.events_per_second." },
	{ .path = "policy.rules.[].action", .type = SCHEMA_WORD, .flags = SCHEMA_REQUIRED, FIELD(config_rule, action),
	  .words = actions, .help = "Let it pass, drop it silently, or drop it and tell its sender." },

	{ .path = "groups", .type = SCHEMA_NAMED, .applies = APPLIES_LIVE, ARRAY(config, groups, n_groups),
	  .help = "Devices that rules speak of together. The name quarantine is for devices that are not admitted." },
	{ .path = "groups.*", .type = SCHEMA_ITEM, .help = "One group, under a name of your choice." },
	{ .path = "groups.*.devices", .type = SCHEMA_LIST, ARRAY(config_group, devices, n_devices),
	  .takes = "a list such as [02:00:5e:10:00:01, 192.168.50.20]", .fallback_words = "none",
	  .help = "MACs, addresses or networks of its devices; a device may be in several groups." },
	{ .path = "groups.*.devices.[]", .type = SCHEMA_MEMBER, .size_bytes = sizeof(struct config_member),
	  .help = "One device." },
	{ .path = "groups.*.destinations", .type = SCHEMA_LIST, ARRAY(config_group, destinations, n_destinations),
	  .takes = "a list such as [203.0.113.0/24, 198.51.100.7]", .fallback_words = "anywhere",
	  .help = "All that its devices may speak with beyond their LAN; everything else is dropped." },
	{ .path = "groups.*.destinations.[]", .type = SCHEMA_PREFIX, .size_bytes = sizeof(struct ip_prefix),
	  .takes = "an IPv4 address or network, such as 203.0.113.0/24", .help = "One address or network." },

	{ .path = "schedules", .type = SCHEMA_NAMED, .applies = APPLIES_LIVE, ARRAY(config, schedules, n_schedules),
	  .help = "Times of the week that rules hold at. While the clock is not trusted, their drops hold and their allows do not." },
	{ .path = "schedules.*", .type = SCHEMA_ITEM, .help = "One schedule, under a name of your choice." },
	{ .path = "schedules.*.days", .type = SCHEMA_DAYS, FIELD(config_schedule, days), .fallback = "mon-sun",
	  .help = "Days on which it begins." },
	{ .path = "schedules.*.from", .type = SCHEMA_CLOCK, FIELD(config_schedule, from_min), .fallback = "00:00",
	  .help = "When it begins." },
	{ .path = "schedules.*.to", .type = SCHEMA_CLOCK, FIELD(config_schedule, to_min), .fallback = "24:00",
	  .help = "When it ends; a time before its beginning is one of the next day." },
	{ .path = "schedules.*.timezone", .type = SCHEMA_TEXT, .flags = SCHEMA_REQUIRED,
	  FIELD(config_schedule, timezone), .takes = "a name from /usr/share/zoneinfo, such as Europe/Berlin",
	  .help = "Whose days and times these are." },

	{ .path = "nat", .type = SCHEMA_SECTION, .help = "How devices share the uplink's address." },
	{ .path = "nat.filtering", .type = SCHEMA_WORD, .applies = APPLIES_LIVE, FIELD(config, nat_filtering),
	  .words = filterings, .fallback = "address-dependent",
	  .help = "Who may answer a device: anyone, addresses it spoke to, or exactly the ports it spoke to." },
	{ .path = "nat.ports", .type = SCHEMA_PORT_RANGE, .applies = APPLIES_AT_START, FIELD(config, nat_ports),
	  .min = 1, .max = 65535, .fallback = "1024-65535",
	  .help = "External ports that are chosen where a device's own port is taken." },
	{ .path = "nat.inbound_refresh", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE,
	  FIELD(config, nat_inbound_refresh), .fallback = "false",
	  .help = "Let packets from outside keep a flow of UDP or ICMP alive; a stranger could then hold it open." },
	{ .path = "nat.unsolicited_syn", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config, nat_unsolicited_syn), .words = unsolicited_syns, .fallback = "silent",
	  .help = "Tell whoever opens a TCP connection that nobody waits for, six seconds later, that there is nobody (RFC 5382"
		  " REQ-4). The carrier bills the answers." },

	{ .path = "nat.pcp", .type = SCHEMA_SECTION,
	  .help = "Ports that devices open themselves, on LANs with pcp: true. Never below 1024, nor forwarded ones." },
	{ .path = "nat.pcp.max_per_device", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config, nat_pcp.max_per_device), .min = 1, .max = NAT_PINS_MAX, .fallback = "32",
	  .help = "Such ports that one device may have; all together have 1024." },
	/* RFC 6887 section 15: from two minutes to a day. */
	{ .path = "nat.pcp.lifetime_max", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  FIELD(config, nat_pcp.lifetime_max_us), .min = 2 * MINUTE, .max = DAY, .fallback = "2h",
	  .help = "After this long at most a device has to ask again." },

	{ .path = "nat.dmz", .type = SCHEMA_ADDRESS, .applies = APPLIES_LIVE, FIELD(config, nat_dmz),
	  .fallback_words = "none",
	  .help = "Device that gets what comes from outside to a tcp or udp port that nobody has." },

	{ .path = "forwards", .type = SCHEMA_LIST, .applies = APPLIES_LIVE, ARRAY(config, forwards, n_forwards),
	  .help = "External ports that lead to a device; for them alone the uplink is open. The first that fits is taken." },
	{ .path = "forwards.[]", .type = SCHEMA_ITEM, .help = "One port, or a range of them." },
	{ .path = "forwards.[].protocol", .type = SCHEMA_PROTOCOL, FIELD(config_forward, proto),
	  .takes = "tcp, udp or any", .fallback = "any", .help = "tcp, udp, or both." },
	{ .path = "forwards.[].port", .type = SCHEMA_PORT_RANGE, .flags = SCHEMA_REQUIRED, FIELD(config_forward, port),
	  .min = 1, .max = 65535, .help = "External ports: on every uplink's address." },
	{ .path = "forwards.[].to", .type = SCHEMA_ADDRESS, .flags = SCHEMA_REQUIRED, FIELD(config_forward, to),
	  .help = "The device, on a LAN." },
	{ .path = "forwards.[].to_port", .type = SCHEMA_INTEGER, FIELD(config_forward, to_port), .min = 1, .max = 65535,
	  .fallback_words = "the external one", .help = "The device's port; of a range the first." },
	{ .path = "forwards.[].source", .type = SCHEMA_PREFIX, FIELD(config_forward, source), .fallback_words = "any",
	  .help = "Addresses outside that may; devices on the LANs always may." },

	{ .path = "timeouts", .type = SCHEMA_SECTION, .help = "How long a silent flow is remembered." },
	{ .path = "timeouts.tcp_established", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  FIELD(config, timeouts.tcp_established_us), .min = 2 * HOUR + 4 * MINUTE, .max = TIMEOUT_MAX,
	  .fallback = "2h4m", .help = "An open TCP connection (RFC 5382 REQ-5)." },
	{ .path = "timeouts.tcp_transitory", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  FIELD(config, timeouts.tcp_transitory_us), .min = 4 * MINUTE, .max = HOUR, .fallback = "4m",
	  .help = "A TCP connection that opens, closes or was reset (RFC 5382 REQ-5, RFC 7857 s2.2)." },
	{ .path = "timeouts.tcp_closed", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  FIELD(config, timeouts.tcp_closed_us), .min = US_PER_S, .max = 4 * MINUTE, .fallback = "10s",
	  .help = "A TCP connection that both sides closed, after the last acknowledgement." },
	{ .path = "timeouts.udp", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, FIELD(config, timeouts.udp_us),
	  .min = 2 * MINUTE, .max = TIMEOUT_MAX, .fallback = "5m", .help = "UDP in both directions (RFC 4787 REQ-5)." },
	{ .path = "timeouts.udp_one_way", .type = SCHEMA_TIME, .applies = APPLIES_LIVE,
	  FIELD(config, timeouts.udp_one_way_us), .min = 2 * MINUTE, .max = TIMEOUT_MAX, .fallback = "5m",
	  .help = "UDP that was not answered yet (RFC 4787 REQ-5)." },
	{ .path = "timeouts.icmp", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, FIELD(config, timeouts.icmp_us),
	  .min = MINUTE, .max = HOUR, .fallback = "1m", .help = "ICMP queries (RFC 5508 REQ-2)." },
	{ .path = "timeouts.other", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, FIELD(config, timeouts.other_us),
	  .min = 10 * US_PER_S, .max = TIMEOUT_MAX, .fallback = "10m", .help = "Any other protocol." },
	{ .path = "timeouts.fragment", .type = SCHEMA_TIME, .applies = APPLIES_AT_START,
	  FIELD(config, timeouts.fragment_us), .min = 2 * US_PER_S, .max = 2 * MINUTE, .fallback = "15s",
	  .help = "Fragments whose first one has not come." },

	{ .path = "flows", .type = SCHEMA_SECTION, .help = "The flow table." },
	{ .path = "flows.capacity", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, flows_capacity), .min = 256, .max = 1 << 24, .fallback = "65536",
	  .help = "Flows at most; each takes 255 (of a million) to 310 octets of memory, as it is first used." },
	{ .path = "flows.per_device", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config, flows_per_device), .min = 1, .max = 1 << 24,
	  .fallback_words = "a quarter of flows.capacity",
	  .help = "Flows that one device may have; and never more than a quarter of what is free." },
	{ .path = "flows.new_per_second", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config, flows_new_per_second), .min = 0, .max = 1000000, .fallback = "0",
	  .help = "New flows a second of one device, after as many at once; 0: not limited." },

	{ .path = "devices", .type = SCHEMA_SECTION, .help = "Devices on the LANs." },
	{ .path = "devices.capacity", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, devices_capacity), .min = 1, .max = 65534, .fallback = "1024",
	  .help = "Devices that are told apart; the one idle longest yields." },

	{ .path = "devices.admission", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config, devices_admission), .words = admissions, .fallback = "open",
	  .help = "Whom the LANs take in: anyone, or the MACs that devices.allow or a group lists; others are quarantined." },
	{ .path = "devices.allow", .type = SCHEMA_LIST, .applies = APPLIES_LIVE, ARRAY(config, devices_allow, n_allowed),
	  .takes = "a list such as [02:00:5e:10:00:01]", .fallback_words = "those of the groups",
	  .help = "MACs that are admitted, besides those of groups." },
	{ .path = "devices.allow.[]", .type = SCHEMA_MAC, .size_bytes = sizeof(struct config_member),
	  .help = "One MAC." },
	{ .path = "devices.quarantine", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config, devices_quarantine), .words = quarantines, .fallback = "services",
	  .help = "What a quarantined device reaches: the gateway's own services (DHCP, DNS, echo), or nothing." },

	{ .path = "neighbors", .type = SCHEMA_SECTION, .help = "Next hops on Ethernet ports (ARP)." },
	{ .path = "neighbors.capacity", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, neighbors_capacity), .min = 16, .max = 65536, .fallback = "1024", .help = "Entries at most." },
	{ .path = "neighbors.reachable", .type = SCHEMA_TIME, .applies = APPLIES_AT_START,
	  FIELD(config, neighbors_reachable_us), .min = US_PER_S, .max = HOUR, .fallback = "30s",
	  .help = "How long an answer is believed before it is asked for again." },

	{ .path = "fragments", .type = SCHEMA_SECTION, .help = "Fragmented datagrams." },
	{ .path = "fragments.capacity", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, fragments_capacity), .min = 16, .max = 65536, .fallback = "1024",
	  .help = "Datagrams whose fragments are matched to their flow at one time." },

	{ .path = "icmp", .type = SCHEMA_SECTION, .help = "ICMP that the gateway sends itself." },
	{ .path = "icmp.errors_per_second", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE,
	  FIELD(config, icmp_errors_per_second), .min = 1, .max = 100000, .fallback = "100",
	  .help = "Errors a second, and as many echo replies." },

	{ .path = "runtime", .type = SCHEMA_SECTION, .help = "The program itself." },
	{ .path = "runtime.state_dir", .type = SCHEMA_FILE, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.state_dir), .fallback = "/run/weir",
	  .help = "Directory for the socket and for what is put back on interfaces at exit." },
	{ .path = "runtime.socket", .type = SCHEMA_FILE, .applies = APPLIES_AT_START, FIELD(config, runtime.socket),
	  .fallback_words = "weir.sock in runtime.state_dir", .help = "Socket that weirctl talks to." },
	{ .path = "runtime.records", .type = SCHEMA_FILE, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.records), .fallback_words = "none",
	  .help = "File that flow records are appended to, one JSON object a line." },
	{ .path = "runtime.view_socket", .type = SCHEMA_FILE, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.view_socket), .fallback_words = "none",
	  .help = "Socket for those who may look and change nothing, such as weir-web." },
	{ .path = "runtime.view_group", .type = SCHEMA_NAME, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.view_group), .fallback = "weir",
	  .help = "Group whose members may use that socket." },
	{ .path = "runtime.drops_alarm", .type = SCHEMA_INTEGER, .applies = APPLIES_LIVE, .flags = SCHEMA_OR_ZERO,
	  FIELD(config, runtime.drops_alarm), .min = 1, .max = 10000000, .fallback = "100",
	  .help = "Packets a second dropped for one reason, over ten seconds, that are an event; 0: none." },
	{ .path = "runtime.leases", .type = SCHEMA_FILE, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.leases), .fallback_words = "none",
	  .help = "dnsmasq's file of leases, which has the host names of devices: /var/lib/misc/dnsmasq.leases." },
	{ .path = "runtime.remote_names", .type = SCHEMA_BOOL, .applies = APPLIES_LIVE,
	  FIELD(config, runtime.remote_names), .fallback = "yes",
	  .help = "Learn from the DNS of devices what their remotes are called, for listings and records; no: neither learn nor keep it." },
	{ .path = "runtime.remote_names_max", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.remote_names_max), .min = 64, .max = 1 << 20, .fallback = "4096",
	  .help = "Such names that are kept at most, about 160 bytes of memory each; one device may have an eighth of them." },
	{ .path = "runtime.interim", .type = SCHEMA_TIME, .applies = APPLIES_LIVE, .flags = SCHEMA_OR_ZERO,
	  FIELD(config, runtime.interim_us), .min = 5 * US_PER_S, .max = HOUR, .fallback = "60s",
	  .help = "How often a long flow is reported before it ends; 0s: only at its end." },
	{ .path = "runtime.log_level", .type = SCHEMA_WORD, .applies = APPLIES_LIVE,
	  FIELD(config, runtime.log_level), .words = log_levels, .fallback = "info", .help = "What is worth a line." },
	{ .path = "runtime.huge_pages", .type = SCHEMA_WORD, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.huge_pages), .words = huge_pages, .fallback = "auto",
	  .help = "Use huge pages where the machine has some." },
	{ .path = "runtime.seed", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START, FIELD(config, runtime.seed),
	  .min = 0, .max = UINT64_MAX, .fallback = "0",
	  .help = "Seed of all chance, for runs that can be repeated; 0 takes a new one at each start." },
	{ .path = "runtime.packet_buffers", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.packet_buffers), .min = 1024, .max = 1 << 20,
	  .fallback_words = "4096, 2048 more for each device that DPDK drives, 1024 for each sender, and what the shapers' queues may hold",
	  .help = "Packets that can be inside weir at one time, 2.4 kB of memory each; where DPDK drives a device, 4 kB." },
	{ .path = "runtime.receive_ring", .type = SCHEMA_OCTETS, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.receive_ring_bytes), .min = 256 << 10, .max = 1 << 30, .fallback = "4MiB",
	  .help = "Memory between the kernel and weir on each interface taken by packet sockets, 2 KiB a frame: what may come while weir is busy." },
	{ .path = "runtime.workers", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.workers), .min = 1, .max = 1, .fallback = "1",
	  .help = "Threads that carry packets; this version has one." },
	{ .path = "runtime.senders", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START,
	  FIELD(config, runtime.senders), .min = 0, .max = SENDERS_MAX, .fallback = "0",
	  .help = "Threads that share the sending of one that carries packets, each on a core; they sleep until it has more to send than it can." },

	{ .path = "runtime.clock", .type = SCHEMA_WORD, .applies = APPLIES_LIVE, FIELD(config, runtime.clock),
	  .words = clocks, .fallback = "auto",
	  .help = "Whether the wall clock is right: auto asks for NTP's word or a clock chip; trusted takes it to be." },

	{ .path = "export", .type = SCHEMA_SECTION, .help = "Flow records to others." },
	{ .path = "export.ipfix", .type = SCHEMA_SECTION, .help = "As IPFIX (RFC 7011), to a collector, a file or both." },
	{ .path = "export.ipfix.collector", .type = SCHEMA_TEXT, .applies = APPLIES_AT_START, FIELD(config, ipfix.collector),
	  .takes = "an IPv4 address with a port, such as 192.0.2.7:4739", .fallback_words = "none",
	  .help = "Who collects; without a port 4739, over TLS 4740." },
	{ .path = "export.ipfix.transport", .type = SCHEMA_WORD, .applies = APPLIES_AT_START, FIELD(config, ipfix.transport),
	  .words = ipfix_transports, .fallback = "tcp", .help = "How records get there. Over udp what is lost on the way stays lost." },
	{ .path = "export.ipfix.ca_file", .type = SCHEMA_FILE, .applies = APPLIES_AT_START, FIELD(config, ipfix.ca_file),
	  .fallback_words = "none", .help = "PEM file with the CA of the collector's certificate; tls needs it." },
	{ .path = "export.ipfix.certificate", .type = SCHEMA_FILE, .applies = APPLIES_AT_START,
	  FIELD(config, ipfix.certificate), .fallback_words = "none",
	  .help = "PEM file with the certificate that weir shows the collector; with tls." },
	{ .path = "export.ipfix.key", .type = SCHEMA_FILE, .applies = APPLIES_AT_START, FIELD(config, ipfix.key),
	  .fallback_words = "none", .help = "PEM file with its private key." },
	{ .path = "export.ipfix.server_name", .type = SCHEMA_TEXT, .applies = APPLIES_AT_START,
	  FIELD(config, ipfix.server_name), .takes = "a host name", .fallback_words = "the collector's address",
	  .help = "Name that the collector's certificate must have; with tls." },
	{ .path = "export.ipfix.file", .type = SCHEMA_FILE, .applies = APPLIES_AT_START, FIELD(config, ipfix.file),
	  .fallback_words = "none", .help = "File that messages are appended to (RFC 5655)." },
	{ .path = "export.ipfix.template_every", .type = SCHEMA_TIME, .applies = APPLIES_AT_START,
	  FIELD(config, ipfix.template_every_us), .min = 30 * US_PER_S, .max = DAY, .fallback = "10m",
	  .help = "How often names and the exporter's counts are told again; over udp templates too, and every 1000 messages." },
	{ .path = "export.ipfix.buffer", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START, FIELD(config, ipfix.buffer),
	  .min = 256, .max = 1 << 20, .fallback = "65536",
	  .help = "Records that wait for the collector at most, 80 octets of memory each; newer ones are lost, and counted." },
	{ .path = "export.ipfix.domain", .type = SCHEMA_INTEGER, .applies = APPLIES_AT_START, FIELD(config, ipfix.domain),
	  .min = 0, .max = UINT32_MAX, .fallback = "1",
	  .help = "Observation domain of the records: tells the gateways of one collector apart." },

	{ .path = "topology", .type = SCHEMA_NAMED, .applies = APPLIES_LIVE, ARRAY(config, topology, n_topology),
	  .help = "How devices reach the gateway, so that ways known not to work are refused with the reason." },
	{ .path = "topology.*", .type = SCHEMA_ITEM, .help = "One device or group of devices." },
	{ .path = "topology.*.attachment", .type = SCHEMA_WORD, .flags = SCHEMA_REQUIRED,
	  FIELD(config_topology, attachment), .words = attachments, .help = "How it is attached; ethernet and wifi work." },

	/* A profile's file. */
	{ .path = "(profile)", .type = SCHEMA_SECTION, .help = "What devices of a kind talk to." },
	{ .path = "(profile).name", .type = SCHEMA_NAME, .flags = SCHEMA_REQUIRED, FIELD(config_profile, name),
	  .help = "Its name, as classes say it: that of the file." },
	{ .path = "(profile).source", .type = SCHEMA_TEXT, .flags = SCHEMA_REQUIRED, FIELD(config_profile, source),
	  .takes = "an address such as https://example.com/ports", .help = "Where the maker says so." },
	{ .path = "(profile).checked_on", .type = SCHEMA_TEXT, .flags = SCHEMA_REQUIRED, FIELD(config_profile, checked_on),
	  .takes = "a day such as 2026-01-31", .help = "When somebody looked there." },
	{ .path = "(profile).warn_after", .type = SCHEMA_TIME, .flags = SCHEMA_OR_ZERO, FIELD(config_profile, warn_after_us),
	  .min = MINUTE, .max = 90 * DAY, .fallback = "20h",
	  .help = "Warn of a device that has not reached its services for so long." },
	{ .path = "(profile).overdue_after", .type = SCHEMA_TIME, .flags = SCHEMA_OR_ZERO,
	  FIELD(config_profile, overdue_after_us), .min = MINUTE, .max = 90 * DAY, .fallback = "24h",
	  .help = "And say that it is overdue after so long." },
	{ .path = "(profile).update_octets", .type = SCHEMA_OCTETS, FIELD(config_profile, update_octets), .max = 1000 * TB,
	  .fallback = "100kB", .help = "What a device's services send it at least when they update it." },
	{ .path = "(profile).rules", .type = SCHEMA_LIST, .flags = SCHEMA_REQUIRED, ARRAY(config_profile, rules, n_rules),
	  .help = "What its devices talk to; the first that matches decides." },
	{ .path = "(profile).rules.[]", .type = SCHEMA_ITEM, .help = "One of them." },
	{ .path = "(profile).rules.[].kind", .type = SCHEMA_WORD, .flags = SCHEMA_REQUIRED, FIELD(config_match, kind),
	  .words = kinds, .help = "What the exchange is for." },
	{ .path = "(profile).rules.[].protocol", .type = SCHEMA_PROTOCOL, FIELD(config_match, proto), .fallback = "any",
	  .help = "Protocol of the flow." },
	{ .path = "(profile).rules.[].port", .type = SCHEMA_PORT_RANGE, FIELD(config_match, port), .min = 1, .max = 65535,
	  .fallback_words = "any", .help = "Remote ports of tcp or udp." },
	{ .path = "(profile).rules.[].source_port", .type = SCHEMA_PORT_RANGE, FIELD(config_match, source_port), .min = 1,
	  .max = 65535, .fallback_words = "any", .help = "Ports of tcp or udp that the device speaks from." },
	{ .path = "(profile).rules.[].names", .type = SCHEMA_LIST, ARRAY(config_match, names, n_names),
	  .takes = "a list such as [time.example.net, \"*.example.com\"]", .fallback_words = "any",
	  .help = "Servers, by what the device's own DNS answers said; '*.' stands for all names below." },
	{ .path = "(profile).rules.[].names.[]", .type = SCHEMA_TEXT, .size_bytes = CONFIG_HOST_NAME_MAX,
	  .takes = "a host name, or one behind '*.'", .help = "One name." },
	{ .path = "(profile).rules.[].sni", .type = SCHEMA_BOOL, FIELD(config_match, sni), .fallback = "false",
	  .help = "Whether the flow's first TLS or QUIC message must name one of them, too." },
	{ .path = NULL },
};
/* clang-format on */

const struct schema_row *schema_rows(void)
{
	return rows;
}

const struct schema_row *schema_profile(void)
{
	const struct schema_row *row = rows;

	while (strcmp(row->path, "(profile)") != 0)
		row++;
	return row;
}

/* What follows the parent's path in the row's; NULL when the row is not below the parent. Rows of other files are below no
 * row of the configuration, nor at its top. */
static const char *rest_below(const struct schema_row *row, const struct schema_row *parent)
{
	size_t len;

	if (parent == NULL)
		return row->path[0] == '(' ? NULL : row->path;
	len = strlen(parent->path);
	return strncmp(row->path, parent->path, len) == 0 && row->path[len] == '.'
		       ? row->path + len + 1
		       : NULL;
}

bool schema_is_child(const struct schema_row *row, const struct schema_row *parent)
{
	const char *rest = rest_below(row, parent);

	return rest != NULL && strchr(rest, '.') == NULL;
}

bool schema_is_same_struct(const struct schema_row *row, const struct schema_row *parent)
{
	const char *rest = rest_below(row, parent);

	return rest != NULL && strpbrk(rest, "*[") == NULL;
}

const char *schema_key(const struct schema_row *row)
{
	const char *dot = strrchr(row->path, '.');

	return dot == NULL ? row->path : dot + 1;
}

const struct schema_row *schema_child(const struct schema_row *parent, const char *key)
{
	for (const struct schema_row *row = rows; row->path != NULL; row++) {
		if (schema_is_child(row, parent) && strcmp(schema_key(row), key) == 0)
			return row;
	}
	return NULL;
}

#define SLIP_LEN_MAX 32

static uint32_t min_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Edit distance: insertions, deletions and substitutions (Levenshtein), and neighbours swapped count as one (Damerau). */
static uint32_t edit_distance(const char *a, const char *b)
{
	uint32_t lines[3][SLIP_LEN_MAX + 1]; /* the line before the last, the last, this one */
	uint32_t len_a = (uint32_t)strlen(a);
	uint32_t len_b = (uint32_t)strlen(b);

	for (uint32_t k = 0; k <= len_b; k++)
		lines[0][k] = lines[1][k] = k;
	for (uint32_t i = 1; i <= len_a; i++) {
		uint32_t *now = lines[2];

		now[0] = i;
		for (uint32_t k = 1; k <= len_b; k++) {
			now[k] = lines[1][k - 1] + (a[i - 1] != b[k - 1]);
			now[k] = min_of(now[k], min_of(lines[1][k], now[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				now[k] = min_of(now[k], lines[0][k - 2] + 1);
		}
		memcpy(lines[0], lines[1], sizeof(lines[0]));
		memcpy(lines[1], lines[2], sizeof(lines[1]));
	}
	return lines[1][len_b];
}

/* What people write from habit, and what weir calls it. */
static const struct {
	const char *written;
	const char *meant;
} habits[] = {
	{"interfaces", "ports"},
	{"firewall", "policy"},
	{"interface", "device"},
	{"iface", "device"},
	{"ifname", "device"},
	{"dev", "device"},
	{"ip", "address"},
	{"router", "gateway"},
	{"gw", "gateway"},
	{"limit", "quota"},
	{"data", "quota"},
	{"volume", "quota"},
	{"bandwidth", "rate"},
	{"speed", "rate"},
	{"wan", "uplink"},
	{"internet", "uplink"},
	{"up", "uplink"},
	{"upload", "uplink"},
	{"down", "downlink"},
	{"download", "downlink"},
	{"modem", "cellular"},
	{"mobile", "cellular"},
	{"lte", "cellular"},
	{"4g", "cellular"},
	{"5g", "cellular"},
	{"wlan", "wifi"},
	{"wireless", "wifi"},
	{"eth", "ethernet"},
	{"raw", "raw-ip"},
	{"accept", "allow"},
	{"permit", "allow"},
	{"pass", "allow"},
	{"deny", "drop"},
	{"block", "drop"},
	{"stop", "block"},
	{"warn", "notify"},
	{"alert", "notify"},
	{"throttle", "shape"},
	{"verbose", "debug"},
};

static bool is_habit(const char *text, const char *known)
{
	for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++) {
		if (strcasecmp(text, habits[i].written) == 0 && strcmp(known, habits[i].meant) == 0)
			return true;
	}
	return false;
}

bool schema_is_nearer(const char *text, const char *known, uint32_t *best_distance)
{
	uint32_t distance;
	size_t len = strlen(known);

	if (strlen(text) > SLIP_LEN_MAX || len > SLIP_LEN_MAX)
		return false;
	distance = edit_distance(text, known);
	if (strcasecmp(text, known) == 0 || is_habit(text, known))
		distance = 0;
	/* A third of the word wrong is still a slip; more is another word. */
	if (distance > (len + 2) / 3 || distance >= *best_distance)
		return false;
	*best_distance = distance;
	return true;
}

const char *schema_nearest_key(const struct schema_row *parent, const char *key)
{
	uint32_t distance = UINT32_MAX;
	const char *nearest = NULL;

	for (const struct schema_row *row = rows; row->path != NULL; row++) {
		if (schema_is_child(row, parent)
			&& schema_is_nearer(key, schema_key(row), &distance))
			nearest = schema_key(row);
	}
	return nearest;
}

const char *schema_keys(const struct schema_row *parent, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const struct schema_row *row = rows; row->path != NULL && len < size; row++) {
		if (schema_is_child(row, parent))
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len == 0 ? "" : ", ",
				schema_key(row));
	}
	return buf;
}
