/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The doors: all of the path that control can reach.
 *
 * A path is one worker's stages and tables. Control creates it over open ports, publishes configurations
 * to it, runs it (its own loop on a thread, or step by step on a virtual clock), and reads counters, flows, devices,
 * records and events.
 *
 * Threads:  path_step and path_run belong to the worker; every other function to control. Counters are
 *           read while they move (64-bit loads, never torn). Listings are copied by the worker on request, in bounded
 *           portions between bursts.
 * Memory:   fixed at path_create.
 */
#ifndef WEIR_PATH_DOORS_H
#define WEIR_PATH_DOORS_H

#include <weir/account/record.h>
#include <weir/account/top.h>
#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/budget/meter.h>
#include <weir/budget/share.h>
#include <weir/classify/classes.h>
#include <weir/classify/names.h>
#include <weir/flow/expiry.h>
#include <weir/flow/key.h>
#include <weir/nat/lease.h>
#include <weir/nat/mapping.h>
#include <weir/packet/drops.h>
#include <weir/policy/groups.h>
#include <weir/policy/ruleset.h>
#include <weir/port/port.h>
#include <weir/shape/link_rate.h>
#include <weir/shape/shaper.h>

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;
struct path;

enum port_role {
	PORT_LAN,
	PORT_UPLINK,
	PORT_TAP
};

/* One port as the path sees it; index is the port's id. */
struct path_port {
	enum port_role role;
	char name[PORT_NAME_MAX];
	/* LAN: gateway's address and prefix; uplink: external address; tap: as its LAN */
	struct ip_prefix address;
	struct ip_addr gateway; /* uplink over Ethernet: next hop; unset: on-link */
	uint8_t peer;           /* LAN: its tap or PORT_NONE; tap: its LAN */
	uint8_t plan_id;        /* uplink: PLAN_NONE without a plan */
	uint16_t mtu;           /* of the bearer; 0: the device's */
	uint16_t vlan;          /* 0: untagged */
	bool pcp;               /* LAN: its hosts may ask for mappings */
	uint64_t uplink_bps;    /* uplink port: shaped rates; 0: unshaped */
	uint64_t downlink_bps;
	bool follows_link;  /* the rates are what the radio carries; those above are the most */
	uint64_t least_bps; /* then */
	struct ip_addr probe_to;     /* and who is asked where nothing else tells; unset: nobody */
	uint64_t probe_every_us;     /* at most */
	uint64_t probe_quota_octets; /* control makes a limit of it */
	uint64_t queue_us;           /* bound of either queue, as time at its rate */
	uint16_t overhead_octets;    /* of the link, a packet: what shaping adds to the plan's */
	bool ack_thinning;
};

#define QUOTAS_MAX     16
#define QUOTA_NONE     UINT8_MAX
#define QUOTA_NAME_MAX 32

/* What each device it fits may use of each plan in a cycle. */
struct path_quota {
	char name[QUOTA_NAME_MAX];
	uint64_t groups; /* a bit each; 0: every device fits */
	bool is_shared;  /* all of them together */
	struct share_rule rule;
};

/* What may change while the path runs. Immutable once published. */
struct path_config {
	uint32_t n_ports;
	struct path_port ports[PORTS_MAX];
	enum nat_filtering filtering;
	struct flow_timeouts timeouts;
	uint32_t flows_per_device;  /* cap */
	uint32_t new_flows_per_s;   /* of one device, a second's worth at once; 0: unlimited */
	uint64_t interim_us;        /* flow records of long flows; 0: only at their end */
	uint32_t icmp_errors_per_s; /* own errors and echo replies, each */
	bool lan_to_lan;            /* routed between LAN ports */
	bool tells_unsolicited_syn; /* RFC 5382 REQ-4: its sender, after six seconds */
	struct nat_forwards forwards;
	struct lease_limits pcp;
	struct ruleset *rules;           /* owned by the config */
	struct groups *groups;           /* owned by the config; NULL: no device is in any */
	uint32_t rule_events_per_s;      /* that a rule with a log tells */
	bool listed_only;                /* devices whose MAC no group lists are quarantined */
	bool quarantine_reaches_gateway; /* its own services: DHCP, DNS, echo */
	struct classes *classes;         /* owned by the config */
	uint32_t n_shaped_classes;       /* the others are normal ones */
	struct shaper_class shaped_classes[CLASSES_MAX];
	uint8_t accounts[CLASSES_MAX]; /* who pays for a class, in each plan: its reserve, or all */
	struct name_set *names;        /* owned by the config; NULL: no class has names */
	struct names_times names_times; /* how long a device's answers prove */
	bool remote_names;              /* what devices call their remotes is handed on */
	uint32_t n_plans;
	struct meter_params plans[PLANS_MAX];
	uint32_t n_quotas; /* the first that fits a device holds */
	struct path_quota quotas[QUOTAS_MAX];
};

#define SENDERS_MAX 16
#define SENDER_SLOTS                                                                               \
	256 /* flows are shared out among the worker and its senders by so many slots */

/* Sizes, fixed for the life of a path. */
struct path_setup {
	uint64_t seed; /* of all chance */
	uint32_t flow_capacity;
	uint16_t device_capacity;
	uint32_t neighbor_capacity;
	uint32_t fragment_capacity;
	uint64_t fragment_timeout_us;
	uint16_t nat_port_min;
	uint16_t nat_port_max;
	uint64_t neighbor_reachable_us;
	/* replay: neighbours need no ARP, frames leave with made-up MACs */
	bool virtual_clock;
	bool profile;                  /* benchmark: ticks by stage */
	uint32_t n_senders;            /* threads that may share the sending: path_send */
	struct rte_mempool *pool;      /* from path_pool_create */
	struct port *ports[PORTS_MAX]; /* borrowed; same ids as in path_config */
};

/*
 * A pool of mbufs fit for the path: private area for pkt_meta, `room_bytes` of data each. On ordinary pages a device that
 * reads and writes buffers itself (`for_devices`) needs each of them within one page, which then holds no other; packed
 * they take two fifths less.
 */
struct rte_mempool *path_pool_create(
	const char *name, uint32_t n_mbufs, uint16_t room_bytes, bool for_devices);

/* Creates a path; it takes `config` over. Returns 0, -EINVAL or -ENOMEM. */
int path_create(const struct path_setup *setup, struct path_config *config, uint64_t now_us,
	struct path **ret_path);

/* Ends all flows (their records must have been taken: path_end_flows), frees packets and tables. */
void path_destroy(struct path *p);

/* Frees a configuration that was not published, with what it owns. NULL is fine. */
void path_config_destroy(struct path_config *config);

/* Worker: polls every port once, runs the stages, does due housekeeping. Returns packets received. */
uint32_t path_step(struct path *p, uint64_t now_us);

/* Worker: when path_step must run next although no packet comes. */
uint64_t path_next_us(const struct path *p);

/* Worker: the loop: polls hot, then sleeps on the ports' descriptors; returns after doors_stop. */
void path_run(struct path *p);

/*
 * The loop of sender `id`, 0 to n_senders - 1, on a thread of its own: sends what the worker lends to it, sleeps when there is
 * nothing; returns after doors_senders_stop. While a sender's thread does not run, the worker does without it.
 */
void path_send(struct path *p, uint32_t id);

/* Worker, after the last step: ends every flow with `why`, so that records and counters are complete. False while records must
 * be taken first: call again. */
bool path_end_flows(struct path *p, enum flow_end_reason why, uint64_t now_us);

/* Asks path_run to return. */
void doors_stop(struct path *p);

/* Asks every path_send to return. When path_run has returned and path_end_flows was called: nothing may be lent any more. */
void doors_senders_stop(struct path *p);

/* Hands over a new configuration; waits until the worker uses it (at most a second or so), then frees the old one. */
void doors_publish(struct path *p, struct path_config *config);

/* The configuration in use; stays valid until the next doors_publish. */
const struct path_config *doors_config(const struct path *p);

struct path_stage_stats {
	const char *name;
	uint64_t in;
	uint64_t out;
	uint64_t dropped;
	uint64_t aside; /* left the flow path: answers by the gateway, frames for its tap */
	int64_t held;   /* now inside the stage: queues */
	uint64_t ticks; /* of clock_tsc, when profiled */
};

/* What a plan's meter has counted since the start. */
struct plan_stats {
	uint64_t billed_octets[N_DIRECTIONS]; /* with the overhead a packet */
	uint64_t octets[N_DIRECTIONS];
	uint64_t packets[N_DIRECTIONS];
};

/* What is known of an uplink whose rates follow what it carries (shape/link_rate.h). */
struct link_stats {
	uint64_t base_rtt_us; /* to the remote that answered last, without queues */
	uint64_t carried_bps[N_DIRECTIONS];
	uint64_t radio_queue_us[N_DIRECTIONS]; /* what packets wait at the radio */
	uint64_t seen_us[N_DIRECTIONS];        /* when evidence of that came last; 0: never */
	uint64_t n_one_way;                    /* samples that told the directions apart */
	uint64_t n_tcp, n_dns, n_quic;         /* answers timed */
	uint64_t n_probes;                     /* answers to probes of weir's own */
	uint64_t probe_packets[N_DIRECTIONS];  /* those, and what they have cost since the start */
	uint64_t probe_octets[N_DIRECTIONS];
	struct link_rate_hint hint; /* what the modem told last */
	uint64_t hint_us;           /* when; 0: never */
};

#define STAGES_MAX 16

struct path_stats {
	uint32_t n_stages;
	struct path_stage_stats stages[STAGES_MAX];
	uint64_t drops[N_DROP_REASONS];
	uint64_t drop_octets[N_DROP_REASONS]; /* IP octets where known, else the frame's */
	/* At the edge of each port: what is billed on an uplink. */
	uint64_t edge_packets[PORTS_MAX][N_DIRECTIONS];
	uint64_t edge_octets[PORTS_MAX][N_DIRECTIONS];
	/* Of that, on uplinks, what no flow accounts for: unsolicited, malformed, the gateway's own errors. */
	uint64_t unattributed_packets[PORTS_MAX][N_DIRECTIONS];
	uint64_t unattributed_octets[PORTS_MAX][N_DIRECTIONS];
	/* Of that, what came by an uplink and belongs to no flow: class CLASS_UNSOLICITED. The rest was stopped on its flow. */
	uint64_t unsolicited_packets[PORTS_MAX];
	uint64_t unsolicited_octets[PORTS_MAX];
	uint64_t flows_created;
	uint64_t flows_ended;
	uint64_t records_lost; /* records that found no room; their octets are in the sums above */
	uint64_t loops;
	uint64_t sleeps;
	uint64_t conservation_errors; /* stages whose sums did not add up: always 0 */
	uint32_t n_flows;
	uint32_t flow_capacity;
	uint32_t n_devices;
	uint32_t n_mappings;
	uint32_t n_leases;
	uint32_t queue_packets[PORTS_MAX][N_DIRECTIONS]; /* in the shapers of uplinks */
	uint32_t queue_octets[PORTS_MAX][N_DIRECTIONS];
	struct plan_stats plans[PLANS_MAX];
};

/* A snapshot of the counters. */
void doors_stats_read(const struct path *p, struct path_stats *ret_stats);

/* One sender's work since the start. */
struct path_sender_stats {
	uint64_t packets;   /* sent */
	uint64_t refused;   /* that came back, and were dropped */
	uint64_t handovers; /* bursts, or parts of them, lent to it */
	uint64_t wakes;     /* of these, those that found it asleep */
	uint64_t sleeps;
	uint64_t busy_us; /* at work */
	uint32_t lent;    /* packets it holds now */
	uint32_t slots;   /* of SENDER_SLOTS, those it sends for */
};

/* What each sender has done; returns how many there are. */
uint32_t doors_senders_read(const struct path *p, struct path_sender_stats ret_stats[SENDERS_MAX]);

/* What a shaper of an uplink has counted; false for a port that has none. */
bool doors_shaper_read(const struct path *p, uint8_t port, enum direction direction,
	struct shaper_stats *ret_stats);

/* What is known of the link of a port; false unless the port is an uplink whose rates are followed. */
bool doors_link_read(const struct path *p, uint8_t port, struct link_stats *ret_stats);

/* Hands on what a modem tells of a port's radio; the newest counts. False unless the port's rates are followed. */
bool doors_link_hint(
	struct path *p, uint8_t port, const struct link_rate_hint *hint, uint64_t now_us);

/* Sets up to which sum (of link_stats.probe_octets, both directions) an uplink may be probed; nothing at first. */
void doors_probe_limit_set(struct path *p, uint8_t port, uint64_t octets);

/* One flow in a listing: totals, not deltas. */
struct flow_view {
	struct flow_record record;                /* octets and packets since the flow's start */
	uint64_t unreported_octets[N_DIRECTIONS]; /* of these, what no record holds yet */
	uint32_t unreported_packets[N_DIRECTIONS];
	uint64_t idle_us;
	uint64_t timeout_us;
};

/* Copies up to n flows from table position `*cursor` on and moves it; returns how many, and sets `*cursor` to FLOW_NONE at
 * the end. -ETIMEDOUT when the worker does not answer within a second. */
int doors_flows_read(struct path *p, uint32_t *cursor, struct flow_view *views, uint32_t n);

/* What a plan's meter says now, while the worker goes on. */
void doors_meter_read(const struct path *p, uint8_t plan_id, struct meter *ret_meter);

/* Sets how far a plan may be used, while the worker goes on. */
void doors_limits_set(struct path *p, uint8_t plan_id, const struct meter_limits *limits);

/* What an uplink's bill has for no flow, and who sends it. */
struct unsolicited_lists {
	uint64_t octets; /* since the start */
	uint64_t packets;
	uint64_t since_us;   /* of what follows */
	struct top senders;  /* keys: an IPv4 address in host order */
	struct top networks; /* their /24s */
	struct top targets;  /* protocol << 16 | port, of ICMP the type */
};

#define UNSOLICITED_KEY_MALFORMED                                                                  \
	UINT64_MAX /* in each list: a header that is not to be believed, or IPv6 */

/* Reads them, while the worker goes on. */
void doors_unsolicited_read(
	const struct path *p, uint8_t uplink, struct unsolicited_lists *ret_lists);

/* Begins an uplink's lists anew; the sums go on. */
void doors_unsolicited_restart(struct path *p, uint8_t uplink);

/* What one station has used of a plan. */
struct share_view {
	struct mac_addr key; /* its MAC, or what stands for one */
	bool is_payer;       /* false: what it uses is counted on a share of several */
	uint8_t quota;       /* place in the configuration, or QUOTA_NONE */
	uint32_t cycle;      /* the plan's, that the sums belong to */
	enum ladder_action action;
	uint64_t rate_bps;
	uint64_t quota_octets; /* 0: none */
	uint64_t used_octets;
	uint64_t reserved_octets[METER_ACCOUNTS]; /* billed to the reserve behind each account */
};

/* Copies up to n shares of a plan from station `first` on; returns how many. A key of zeros: there is none. */
uint32_t doors_shares_read(const struct path *p, uint8_t plan_id, uint32_t first,
	struct share_view *views, uint32_t n);

/* The share that a device's octets are counted on, its station's own or that of several, as it is in the plan's present
 * cycle. */
struct share_view doors_share_of_device(
	const struct path *p, uint8_t plan_id, const struct device *d);

/* Before the path's first packet: the station of `key` has used so much in `cycle`, of its quota (ACCOUNT_GENERAL) or of a
 * reserve. False when there is no room for it. */
bool doors_share_restore(struct path *p, uint8_t plan_id, const struct mac_addr *key,
	uint32_t cycle, uint8_t account, uint64_t octets);

/* How many flows each rule decided since these rules came, those without a rule at POLICY_RULE_DEFAULT. */
void doors_rule_hits_read(const struct path *p, uint64_t ret_hits[POLICY_RULE_DEFAULT + 1]);

/* Copies up to n devices from `first` on; returns how many. Index = device id; `in_use` tells. */
uint32_t doors_devices_read(
	const struct path *p, uint16_t first, struct device *devices, uint32_t n);

/* Copies up to n leases from place `first` on; returns how many. `in_use` tells. */
uint32_t doors_leases_read(const struct path *p, uint16_t first, struct lease *leases, uint32_t n);

/*
 * The external endpoint that an internal one is mapped to now; false when it has no mapping. Only while the path is
 * stepped by the caller's own thread (replay, benchmark).
 */
bool doors_mapping_find(const struct path *p, uint8_t proto, const struct ip_addr *internal,
	uint16_t internal_port, struct ip_addr *ret_external, uint16_t *ret_external_port);

/*
 * The external endpoint of an IPv4 conversation, told by its uplink key: that of its flow, or else what its internal endpoint is
 * mapped to; false when it has neither. Only as doors_mapping_find.
 */
bool doors_external_find(const struct path *p, const struct flow_key_v4 *up,
	struct ip_addr *ret_external, uint16_t *ret_external_port);

#define DOORS_EXPECT_MAX 64

/*
 * A caller that knows which conversations (up to DOORS_EXPECT_MAX) come next has their flows fetched into the cache, as the
 * path does for a burst. Changes nothing. Only as doors_mapping_find.
 */
void doors_expect(const struct path *p, const struct flow_key_v4 *ups, uint32_t n);

/* Takes up to n finished records; returns how many. */
uint32_t doors_records_take(struct path *p, struct flow_record *records, uint32_t n);

enum path_event_kind {
	EVENT_DEVICE_SEEN,      /* a = device id */
	EVENT_NEIGHBOR_CHANGED, /* address moved to another MAC */
	EVENT_ADDRESS_CONFLICT, /* a stranger uses the gateway's own address */
	EVENT_FLOW_TABLE_FULL,
	EVENT_PLAN_SPENT,   /* a = plan id */
	EVENT_CONSERVATION, /* a = stage */
	EVENT_RULE_MATCHED, /* a = rule id; a flow from addr to remote */
	EVENT_DEVICE_QUARANTINED,
	EVENT_DEVICE_MAC_CHANGED, /* the address stays with its former MAC */
	EVENT_DESTINATION_DENIED, /* a flow between addr and remote */
	EVENT_LEASE_OPENED,       /* addr, by the external endpoint remote; a = seconds */
	EVENT_LEASE_ENDED,
	EVENT_KINDS,
};

struct path_event {
	enum path_event_kind kind;
	uint8_t port;
	uint32_t a;
	struct ip_addr addr;
	struct mac_addr mac;
	uint8_t proto;
	uint8_t action; /* enum policy_action, of a rule */
	uint16_t addr_port;
	uint16_t remote_port;
	struct ip_addr remote;
	uint32_t n_silent; /* alike ones before it that were not told, to keep within limits */
	uint64_t at_us;
};

/* Takes up to n events, oldest first. */
uint32_t doors_events_take(struct path *p, struct path_event *events, uint32_t n);

enum path_name_kind {
	PATH_NAME_HOST,  /* what a device calls itself, by DHCP */
	PATH_NAME_REMOTE /* what it calls a remote, by its DNS and its hellos */
};

#define PATH_NAME_MAX      256 /* with its NUL */
#define PATH_NAMES_WAITING 512 /* at most; what comes then is lost */

/* A name that was heard on the path: letters, digits, '-' and '_', of remotes dots too, so that it can stand anywhere. */
struct path_name {
	uint8_t kind; /* enum path_name_kind */
	uint8_t port; /* of the device, which is known by this, */
	struct mac_addr mac;
	struct ip_addr addr; /* and this; HOST: unset where it has none yet */
	uint16_t device_id;  /* HOST: DEVICE_NONE where it is not known yet */
	uint16_t spare;
	uint32_t ttl_s;        /* REMOTE, as are */
	struct ip_addr remote; /* its address */
	uint64_t at_us;        /* and when it was heard; of a hello: when its flow began */
	char name[PATH_NAME_MAX];
};

/* Takes up to n names, oldest first. Whoever takes records before knows the names of their remotes after. */
uint32_t doors_names_take(struct path *p, struct path_name *names, uint32_t n);

#endif
