/* SPDX-License-Identifier: BSD-3-Clause */
/* What telemetry.c (samples, sums, requests), telemetry_views.c and telemetry_listings.c share. */
#ifndef WEIR_CONTROL_TELEMETRY_PRIVATE_H
#define WEIR_CONTROL_TELEMETRY_PRIVATE_H

#include <weir/control/telemetry.h>

#include <stdbool.h>

#define TELEMETRY_SAMPLES 64  /* one a second: a minute and some */
#define CLASS_IDS         256 /* all that a class_id can say */
#define FLOWS_A_PIECE     128 /* rows of one piece of an answer: a millisecond or so */

struct usage_sum {
	uint64_t octets[N_DIRECTIONS];
	uint64_t packets[N_DIRECTIONS];
	uint64_t n_flows_ended;
	uint32_t n_flows; /* live */
};

struct sample {
	uint64_t at_us;
	uint64_t rx_packets; /* of all ports */
	uint64_t edge_octets[PORTS_MAX][N_DIRECTIONS];
	uint64_t sender_busy_us[SENDERS_MAX];
};

struct telemetry {
	struct path *path;
	struct budget *budget;                       /* NULL: plans are not kept */
	const struct clocks *clocks;                 /* NULL: nor clocks */
	const struct export_ipfix *ipfix_collector;  /* NULL: there is none */
	const struct export_ipfix *ipfix_file;       /* NULL: there is none */
	const struct unsolicited_watch *unsolicited; /* NULL: not watched */
	const struct device_names *device_names;     /* NULL: they have none */
	struct remote_names *remote_names;           /* NULL: nor have remotes */
	struct port *ports[PORTS_MAX];
	uint64_t started_us;
	uint64_t run; /* drawn at create */
	struct telemetry_names names;
	uint32_t n_reloads;
	char class_names[CLASS_IDS]
			[CLASS_NAME_MAX]; /* of the sums: a new configuration may move them */
	struct usage_sum classes[CLASS_IDS];
	struct sample samples[TELEMETRY_SAMPLES];
	uint64_t n_samples; /* ever; the newest is at (n_samples - 1) % TELEMETRY_SAMPLES */
	struct unsolicited_lists unsolicited_lists; /* so is this */
	struct path_stats stats; /* read anew by each that uses it: too large for a stack */
	struct path_sender_stats senders[SENDERS_MAX]; /* so are these */
	uint32_t n_senders;
};

struct listing;
struct busiest;

/* A view that fits one piece is written whole; the others are made piece by piece. */
typedef void view_write(struct listing *l, struct text *part);
typedef int view_next(struct server_answer *a, struct text *part, char *error);

view_write status_write;
view_write ports_write;
view_write drops_write;
view_write stages_write;
view_write plans_write;
view_write link_write;
view_write rules_write;
view_write unsolicited_write;
view_next flows_next;
view_next devices_next;
view_next forwards_next;
view_next classes_next;
view_next clocks_next;

struct view {
	const char *name;
	view_write *write; /* or: */
	view_next *next;
	uint32_t n_sums; /* the sums it collects from the live flows */
};

/* An answer in the making. */
struct listing {
	struct server_answer answer;
	struct telemetry *telemetry;
	const struct view *view;
	uint64_t now_us;
	uint64_t limit; /* rows at most; UINT64_MAX without one */
	bool all;
	bool has_device;
	struct ip_addr device;
	uint64_t n_rows;         /* written so far */
	bool opened;             /* the first piece is made */
	bool summed;             /* the walk over the flows is done */
	uint32_t cursor;         /* of that walk */
	uint32_t next_device;    /* or lease, or clock */
	struct usage_sum *sums;  /* by device or class id; NULL where the view needs none */
	uint32_t n_busiest;      /* that are asked for; 0: flows as they come */
	struct busiest *busiest; /* those found so far */
	struct flow_view flows[FLOWS_A_PIECE];
	struct device devices[FLOWS_A_PIECE];
	struct lease leases[FLOWS_A_PIECE];
};

static inline struct listing *listing_of(struct server_answer *a)
{
	return (struct listing *)a; /* its first member */
}

/* The opening of a listing, its rows, and its end. */
void listing_head(const struct listing *l, struct text *part);
void listing_row(struct listing *l, struct text *part);
void listing_tail(const struct listing *l, struct text *part, uint64_t n_total);

/* uplink_octets, downlink_octets, uplink_packets, downlink_packets. */
void usage_fields(
	struct text *t, const uint64_t octets[N_DIRECTIONS], const uint64_t packets[N_DIRECTIONS]);

/* What nobody asked for, of a plan. */
void unsolicited_fields(const struct telemetry *t, uint32_t plan_id, struct text *part);

/* Fills l->flows with the next flows of the walk. Returns how many, or a negative errno with a sentence. */
int flows_read(struct listing *l, char *error);

/* One flow as a row. */
void flow_row(struct listing *l, const struct path_config *config, const struct flow_view *v,
	struct text *part);

/* Takes the flows of the walk's next piece, as far as there are; and when all were seen, writes the busiest. Returns 1, 0 after the
 * rows, or a negative errno. */
int busiest_next(struct listing *l, struct text *part, char *error);

/* Bits a second through a port's edge over the last `window_us`; t->stats must be fresh. */
uint64_t edge_rate_bps(const struct telemetry *t, uint32_t port, enum direction direction,
	uint64_t window_us, uint64_t now_us);

/* Packets received a second, over all ports. */
uint64_t packet_rate(const struct telemetry *t, uint64_t window_us, uint64_t now_us);

/* What a sender was at work of the time, in parts a million. */
uint64_t sender_load_ppm(
	const struct telemetry *t, uint32_t id, uint64_t window_us, uint64_t now_us);

#endif
