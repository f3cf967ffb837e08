/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file → struct config, with every mistake reported at its line.
 *
 * Source:   YAML 1.1 as libyaml reads it, less anchors, aliases, tags and further documents
 *           (docs/decisions/0001-configuration-by-libyaml.md). Keys, units, ranges and defaults are the rows of
 *           control/schema.c.
 * Shapes:   a struct config is complete: defaults are filled in, names refer to what exists, addresses do not
 *           overlap. Ports, plans, classes, groups, schedules and rules stand in the order of the file;
 *           profiles in the order in which classes name them.
 * Units:    a field's name is the key's name and its unit.
 * Errors:   0; -EINVAL when the file has mistakes, each of which is a message of the report; else the
 *           negative errno of reading it, which is a message too.
 * Threads:  control alone.
 * Memory:   the config is the caller's (config_destroy); the report's messages go with config_report_clean. A file is at
 *           most 1 MiB, 20 000 nodes and 16 levels.
 */
#ifndef WEIR_CONTROL_CONFIG_H
#define WEIR_CONTROL_CONFIG_H

#include <weir/base/addr.h>
#include <weir/base/log.h>
#include <weir/budget/bill.h>
#include <weir/budget/ladder.h>
#include <weir/budget/meter.h>
#include <weir/classify/classes.h>
#include <weir/control/data_file.h>
#include <weir/control/export_ipfix.h>
#include <weir/nat/mapping.h>
#include <weir/path/doors.h>
#include <weir/policy/ruleset.h>

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_NAME_MAX        32
#define CONFIG_DEVICE_MAX      128
#define CONFIG_FILE_MAX        108 /* sun_path of unix(7) */
#define CONFIG_TEXT_MAX        64
#define CONFIG_DIR_MAX         256
#define CONFIG_MATCH_MAX       16 /* rules of one class, or of one profile */
#define CONFIG_MATCH_NAMES_MAX 32 /* names of one rule */
#define CONFIG_PROFILES_MAX    8  /* that classes name */
#define CONFIG_SOURCE_MAX      160
#define CONFIG_DATE_TEXT_MAX   12
#define CONFIG_HOST_NAME_MAX   128
#define CONFIG_CLASSES_MAX     (CLASSES_MAX - 2) /* classes 0 and 1 are weir's own */
#define CONFIG_LADDER_MAX      LADDER_STEPS_MAX
#define CONFIG_DATE_MAX        sizeof("2026-01-31")
#define CONFIG_FREE_MAX        16
#define CONFIG_TOPOLOGY_MAX    16

#define CONFIG_GROUPS_MAX        GROUPS_MAX
#define CONFIG_GROUP_MEMBERS_MAX 64
#define CONFIG_ALLOWED_MAX       512
#define CONFIG_SCHEDULES_MAX     16
#define CONFIG_QUARANTINE        "quarantine" /* the group that weir itself puts devices in */

enum config_driver {
	DRIVER_AUTO,
	DRIVER_RAWSOCK,
	DRIVER_AF_XDP,
	DRIVER_DPDK
};
enum config_link {
	LINK_ETHERNET,
	LINK_WIFI,
	LINK_CELLULAR
};
enum config_framing {
	CONFIG_FRAMING_AUTO,
	CONFIG_FRAMING_ETHERNET,
	CONFIG_FRAMING_RAW_IP
};
enum config_huge_pages {
	HUGE_PAGES_AUTO,
	HUGE_PAGES_OFF
};
enum config_when_spent {
	WHEN_SPENT_NOTIFY,
	WHEN_SPENT_BLOCK
};
enum config_unrecorded {
	UNRECORDED_FORWARD,
	UNRECORDED_RESERVE_ONLY,
	UNRECORDED_BLOCK
};
enum config_step {
	STEP_NOTIFY,
	STEP_SHAPE,
	STEP_RESERVE_ONLY,
	STEP_BLOCK
};
enum config_priority {
	PRIORITY_LOW,
	PRIORITY_NORMAL,
	PRIORITY_HIGH
};
enum config_side {
	SIDE_ANY,
	SIDE_LAN,
	SIDE_UPLINK
};
enum config_unsolicited {
	UNSOLICITED_SYN_SILENT,
	UNSOLICITED_SYN_TELL
};

enum config_attachment {
	ATTACHMENT_ETHERNET,
	ATTACHMENT_WIFI,
	ATTACHMENT_UART_MODEM,
	ATTACHMENT_SERIAL_MCU,
	ATTACHMENT_ENC28J60_EMULATION,
	ATTACHMENT_NON_FORWARDING_MODEM,
};

enum config_admission {
	ADMISSION_OPEN,
	ADMISSION_LISTED
};
enum config_quarantine {
	QUARANTINE_SERVICES,
	QUARANTINE_NOTHING
};
enum config_clock {
	CLOCK_AUTO,
	CLOCK_TRUSTED
};
enum config_member_kind {
	MEMBER_NONE,
	MEMBER_MAC,
	MEMBER_PREFIX
};

/* A device as people name it. */
struct config_member {
	enum config_member_kind kind;
	struct mac_addr mac;
	struct ip_prefix prefix;
};

/* Both ends included; 0 … 65535: any. */
struct config_range {
	uint16_t min;
	uint16_t max;
};

struct config_runtime {
	char state_dir[CONFIG_FILE_MAX];
	char socket[CONFIG_FILE_MAX];
	char records[CONFIG_FILE_MAX];     /* "": none */
	char view_socket[CONFIG_FILE_MAX]; /* so is this */
	char view_group[CONFIG_NAME_MAX];
	char leases[CONFIG_FILE_MAX]; /* "": none */
	uint32_t drops_alarm;         /* packets a second for one reason; 0: off */
	bool remote_names;
	uint32_t remote_names_max;
	uint64_t interim_us; /* 0: off */
	enum log_level log_level;
	enum config_huge_pages huge_pages;
	uint64_t seed;           /* 0: taken from the kernel at each start */
	uint32_t packet_buffers; /* 0: config_packet_buffers() */
	uint32_t receive_ring_bytes;
	uint32_t workers;
	uint32_t senders;
	enum config_clock clock;
};

/* Neither collector nor file: nothing is exported. */
struct config_ipfix {
	char collector[CONFIG_TEXT_MAX]; /* config_collector(); "": none */
	enum ipfix_transport transport;
	char ca_file[CONFIG_FILE_MAX];
	char certificate[CONFIG_FILE_MAX]; /* "": none */
	char key[CONFIG_FILE_MAX];
	char server_name[CONFIG_HOST_NAME_MAX]; /* "": the collector's address */
	char file[CONFIG_FILE_MAX];             /* "": none */
	uint64_t template_every_us;
	uint32_t buffer;
	uint32_t domain;
};

struct config_port {
	char name[PORT_NAME_MAX];
	enum port_role role; /* PORT_LAN or PORT_UPLINK */
	char device[CONFIG_DEVICE_MAX];
	enum config_driver driver;
	struct ip_prefix address;
	struct ip_addr gateway; /* unset: none */
	enum config_link link;
	enum config_framing framing;
	char plan[CONFIG_NAME_MAX]; /* "": none */
	uint16_t mtu;               /* 0: the device's */
	uint16_t vlan;              /* 0: untagged */
	uint64_t rate_uplink_bps;   /* 0: unshaped */
	uint64_t rate_downlink_bps;
	bool rate_follow; /* what the radio carries; the rates above are the most */
	uint64_t rate_least_bps;
	struct ip_addr probe_to; /* unset: no probes */
	uint64_t probe_every_us;
	uint64_t probe_quota_octets;
	uint64_t queue_us;
	uint16_t link_overhead_octets;
	bool ack_thinning;
	char tap[IFNAMSIZ]; /* "": none */
	bool tap_default_route;
	bool pcp;
};

struct config_ladder_step {
	uint32_t at_ppm;
	enum config_step action;
	uint64_t rate_bps;
};

/* 0 is none, else a weekday and 1. */
enum config_weekday {
	WEEKDAY_NONE,
	WEEKDAY_SUNDAY,
	WEEKDAY_MONDAY,
	WEEKDAY_TUESDAY,
	WEEKDAY_WEDNESDAY,
	WEEKDAY_THURSDAY,
	WEEKDAY_FRIDAY,
	WEEKDAY_SATURDAY
};

struct config_plan {
	char name[CONFIG_NAME_MAX];
	uint64_t quota_octets; /* 0: none */
	bool prepaid;          /* the quota is what was topped up */
	uint64_t top_up_octets;
	uint64_t carry_over_octets;
	uint32_t cycle_day;
	uint32_t cycle_hour;
	enum config_weekday cycle_weekday;
	uint32_t cycle_days;              /* 0: by month or week */
	char cycle_from[CONFIG_DATE_MAX]; /* of cycle_days */
	char cycle_timezone[CONFIG_TEXT_MAX];
	uint16_t overhead_octets;
	enum config_when_spent when_spent;
	enum config_unrecorded when_unrecorded;
	uint32_t unsolicited_alarm_ppm; /* of the quota; 0: no alarm */
	uint32_t n_ladder;
	struct config_ladder_step ladder[CONFIG_LADDER_MAX];
	struct ladder_pace pace;
	char carrier[CONFIG_TEXT_MAX]; /* "": none */
	struct bill_rule counting;     /* complete: the carrier's, or the plan's own */
	uint32_t n_free;
	char free_classes[CONFIG_FREE_MAX]
			 [CONFIG_NAME_MAX]; /* that are not billed; the carrier's too */
};

/* What each device of a group may use of each plan. */
struct config_quota {
	char name[CONFIG_NAME_MAX];
	char group[CONFIG_NAME_MAX]; /* "": every device */
	uint64_t quota_octets;
	bool shared; /* by all of them together */
	uint32_t n_ladder;
	struct config_ladder_step ladder[CONFIG_LADDER_MAX];
};

/* One rule of a class or of a profile. */
struct config_match {
	bool is_given;           /* something is asked of a flow */
	uint8_t proto;           /* 0: any */
	uint8_t dscp;            /* DSCP_NONE: any */
	struct ip_prefix remote; /* unset: any */
	struct config_range port;
	struct config_range source_port;
	struct config_member device;
	char group[CONFIG_NAME_MAX]; /* "": any device */
	enum class_kind kind;        /* of profiles alone */
	bool sni;
	uint32_t n_names; /* 0: any */
	char names[CONFIG_MATCH_NAMES_MAX][CONFIG_HOST_NAME_MAX];
};

struct config_class {
	char name[CONFIG_NAME_MAX];
	bool matches; /* false: nothing to match by is given */
	struct config_match
		own; /* the one rule that is written without `match`; with a profile, its devices */
	uint32_t n_matches;
	struct config_match match[CONFIG_MATCH_MAX];
	bool translate;
	char profile[CONFIG_NAME_MAX]; /* its rules come behind the class's own */
	uint64_t reserve_octets;
	uint64_t reserve_per_device_octets; /* 0: no limit but the reserve */
	enum config_priority priority;
	uint64_t guaranteed_bps; /* 0: none of its own */
	uint64_t ceiling_bps;    /* 0: none */
	uint8_t weight;
};

/* What devices of a kind talk to, from a file of its own. */
struct config_profile {
	char name[CONFIG_NAME_MAX]; /* as classes say it, and in the file */
	char source[CONFIG_SOURCE_MAX];
	char checked_on[CONFIG_DATE_TEXT_MAX];
	uint64_t warn_after_us; /* since the last service exchange; 0: never */
	uint64_t overdue_after_us;
	uint64_t
		update_octets; /* that a device's services send it at least, when they update it; 0: only update rules say so */
	uint32_t n_rules;
	struct config_match rules[CONFIG_MATCH_MAX];
};

struct config_rule {
	enum config_side from;
	enum config_side to;
	uint8_t proto;           /* 0: any */
	struct ip_prefix source; /* unset: any */
	struct ip_prefix destination;
	struct config_range port;
	enum policy_action action;
	struct config_member device;
	char group[CONFIG_NAME_MAX];      /* "": any device */
	char class_name[CONFIG_NAME_MAX]; /* "": any */
	char schedule[CONFIG_NAME_MAX];   /* "": always */
	bool log;
};

struct config_group {
	char name[CONFIG_NAME_MAX];
	uint32_t n_devices;
	struct config_member devices[CONFIG_GROUP_MEMBERS_MAX];
	uint32_t n_destinations; /* 0: anywhere */
	struct ip_prefix destinations[CONFIG_GROUP_MEMBERS_MAX];
};

struct config_schedule {
	char name[CONFIG_NAME_MAX];
	uint8_t days;      /* on which it begins; bit 0 is Sunday's */
	uint16_t from_min; /* since midnight */
	uint16_t to_min;   /* not after from: of the next day */
	char timezone[CONFIG_TEXT_MAX];
};

struct config_forward {
	uint8_t proto; /* PROTO_TCP, PROTO_UDP; 0: both */
	struct config_range port;
	struct ip_addr to;
	uint16_t to_port;        /* of port.min */
	struct ip_prefix source; /* unset: any */
};

struct config_timeouts {
	uint64_t tcp_established_us;
	uint64_t tcp_transitory_us;
	uint64_t tcp_closed_us;
	uint64_t udp_us;
	uint64_t udp_one_way_us;
	uint64_t icmp_us;
	uint64_t other_us;
	uint64_t fragment_us;
};

struct config_topology {
	char name[CONFIG_NAME_MAX];
	enum config_attachment attachment;
};

struct config {
	char dir[CONFIG_DIR_MAX]; /* of the file, where those that it names are looked for; "": none */
	char gateway[CONFIG_TEXT_MAX];
	struct config_runtime runtime;
	uint32_t n_ports;
	struct config_port ports[PORTS_MAX];
	uint32_t n_plans;
	struct config_plan plans[PLANS_MAX];
	uint32_t n_quotas;
	struct config_quota quotas[QUOTAS_MAX];
	uint32_t n_classes;
	struct config_class classes[CONFIG_CLASSES_MAX];
	uint32_t n_profiles;
	struct config_profile profiles[CONFIG_PROFILES_MAX]; /* those that classes name */
	bool policy_lan_to_lan;
	uint32_t n_rules;
	struct config_rule rules[POLICY_RULES_MAX];
	uint32_t policy_events_per_second;
	uint32_t n_groups;
	struct config_group groups[CONFIG_GROUPS_MAX];
	uint32_t n_schedules;
	struct config_schedule schedules[CONFIG_SCHEDULES_MAX];
	enum config_admission devices_admission;
	enum config_quarantine devices_quarantine;
	uint32_t n_allowed;
	struct config_member devices_allow[CONFIG_ALLOWED_MAX];
	uint64_t names_grace_us;
	uint64_t names_ttl_max_us;
	enum nat_filtering nat_filtering;
	struct config_range nat_ports;
	bool nat_inbound_refresh;
	enum config_unsolicited nat_unsolicited_syn;
	struct ip_addr nat_dmz; /* unset: none */
	struct {
		uint32_t max_per_device;
		uint64_t lifetime_max_us;
	} nat_pcp;
	uint32_t n_forwards;
	struct config_forward forwards[NAT_FORWARDS_MAX];
	struct config_timeouts timeouts;
	uint32_t flows_capacity;
	uint32_t flows_per_device;
	uint32_t flows_new_per_second; /* 0: not limited */
	uint32_t devices_capacity;
	uint32_t neighbors_capacity;
	uint64_t neighbors_reachable_us;
	uint32_t fragments_capacity;
	uint32_t icmp_errors_per_second;
	struct config_ipfix ipfix;
	uint32_t n_topology;
	struct config_topology topology[CONFIG_TOPOLOGY_MAX];
};

enum config_severity {
	CONFIG_ERROR,
	CONFIG_WARNING
};

#define CONFIG_MESSAGE_MAX  448
#define CONFIG_MESSAGES_MAX 200

struct config_message {
	uint32_t line; /* from 1; 0: of the file as a whole */
	uint32_t column;
	enum config_severity severity;
	uint32_t
		n_file; /* 0: the configuration; else of a file that it names, in the order of reading */
	char file[DATA_PATH_MAX]; /* that one's path */
	/* "ports.lan0.adress: unknown key; did you mean 'address'?" */
	char text[CONFIG_MESSAGE_MAX];
};

/* Starts as { 0 }. */
struct config_report {
	struct config_message *messages; /* sorted by file and line */
	uint32_t n_messages;
	uint32_t n_more; /* found beyond CONFIG_MESSAGES_MAX */
	uint32_t n_errors;
	uint32_t n_warnings;
	uint32_t n_files;
	const char *file; /* that is being read; NULL: the configuration */
};

enum config_option {
	CONFIG_CHECK_INTERFACES = 1 << 0, /* kernel interfaces that a port names must exist here */
};

/* Loads a file. `options` is a sum of enum config_option; replay and checks made elsewhere give 0. */
int config_load(const char *file, unsigned int options, struct config **ret_config,
	struct config_report *report);

/* The same from memory. */
int config_read(const char *text, size_t len, unsigned int options, struct config **ret_config,
	struct config_report *report);

/* Reads a profile from memory, as config_read() does those that classes name. `name`: as it is called for. */
int config_profile_read(const char *text, size_t len, const char *name,
	struct config_profile *ret_profile, struct config_report *report);

/* NULL is fine. */
void config_destroy(struct config *c);

/* Adds a message at its place by line; "what is wrong; what to write instead". */
void config_report_add(struct config_report *r, enum config_severity severity, uint32_t line,
	uint32_t column, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What is reported from now on is of this file, which the configuration names; NULL: of the configuration again. */
void config_report_file(struct config_report *r, const char *file);

/* One message a line, "FILE:LINE: error: …", and how many more there are. */
void config_report_print(const struct config_report *r, const char *file, FILE *out);

/* Frees the messages; the report is as new. */
void config_report_clean(struct config_report *r);

enum config_device_kind {
	DEVICE_INTERFACE, /* "eth1" */
	DEVICE_PCI,       /* "0000:01:00.0" */
	DEVICE_DEVARGS,   /* "net_memif0,role=client" */
	DEVICE_INVALID,
};

/* What a port's `device` names. */
enum config_device_kind config_device_kind(const char *device);

/* True for a port that DPDK drives: a NIC, a DPDK device, or an interface by AF_XDP. */
bool config_is_dpdk(const struct config_port *p);

/* runtime.packet_buffers, or as many as ports and rates ask for. */
uint32_t config_packet_buffers(const struct config *c);

/* Address and port of the IPFIX collector; -EINVAL where it is no such thing. */
int config_collector(const struct config_ipfix *c, struct ip_addr *ret_addr, uint16_t *ret_port);

/* Index of the LAN that an address is on, or PORT_NONE. */
uint8_t config_find_lan(const struct config *c, const struct ip_addr *addr);
/* Index of a schedule or group; CONFIG_SCHEDULES_MAX or CONFIG_GROUPS_MAX when there is none of that name. */
uint32_t config_find_schedule(const struct config *c, const char *name);
uint32_t config_find_group(const struct config *c, const char *name);

/* The profile of a class; NULL when it has none. */
const struct config_profile *config_find_profile(const struct config *c, const char *name);

/* Index of a plan, or PLAN_NONE. */
uint8_t config_find_plan(const struct config *c, const char *name);

#endif
