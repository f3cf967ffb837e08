/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clocks of devices: when each last had an answer from what its profile names (its time, its DNS, its services, an update), and
 * a warning before it has gone too long without, with the likely cause.
 *
 * Source:   docs/classes.md.
 * Shapes:   a row a device (LAN port and address; another MAC there is another device) and class with a profile. It begins with the first answer from a
 *           service, an update or provisioning server, or a time server: the DNS and connectivity checks of others lead to none.
 *           An exchange was answered when octets came back; over TCP, when both sides pushed data. What a flow record tells is
 *           known up to runtime.interim later.
 * Units:    microseconds of the path clock; CLOCK_NEVER where something never was. Times of before a restart are below zero
 *           where the clock began later.
 * Errors:   a file that cannot be read or written loses what was before a restart, and nothing else.
 * Threads:  control alone.
 * Memory:   fixed at create: about 300 bytes a row. When full, the row yields whose device was heard longest ago, those
 *           without a service first.
 */
#ifndef WEIR_CONTROL_CLOCKS_H
#define WEIR_CONTROL_CLOCKS_H

#include <weir/account/record.h>
#include <weir/control/budget.h>
#include <weir/control/config.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdint.h>

#define CLOCKS_ROWS_MAX 1024
#define CLOCK_NEVER     INT64_MIN

enum clock_state {
	CLOCK_FINE,
	CLOCK_LATE,    /* beyond the profile's warn_after */
	CLOCK_OVERDUE, /* beyond its overdue_after */
};

/* Why a device does not reach its services: the first that holds of the last hour. */
enum clock_cause {
	CLOCK_CAUSE_NONE,
	CLOCK_CAUSE_LAN,     /* it was not heard */
	CLOCK_CAUSE_LINK,    /* no uplink was up, or nobody was answered over one */
	CLOCK_CAUSE_PLAN,    /* the plan left nothing for its class */
	CLOCK_CAUSE_DNS,     /* its last question was not answered */
	CLOCK_CAUSE_TIME,    /* its last request for the time was not answered */
	CLOCK_CAUSE_SERVICE, /* none of these */
};

struct clock_row {
	char port[PORT_NAME_MAX];
	char class_name[CLASS_NAME_MAX];
	struct ip_addr addr;
	struct mac_addr mac;
	int64_t first_us;             /* of the row */
	int64_t heard_us;             /* CLOCK_NEVER: not since the start */
	int64_t last_us[CLASS_KINDS]; /* answered */
	int64_t dns_asked_us;
	int64_t time_asked_us;
	enum clock_state state;
	enum clock_cause cause;
};

/* What the path shows of the site: whether its plans leave something is asked of each class. */
struct clocks_site {
	bool has_link;           /* an uplink is up */
	uint64_t n_up_packets;   /* at the edges of all uplinks, since the start */
	uint64_t n_down_packets; /* the same */
};

struct clocks;

/* Borrows nothing. Returns 0 or -ENOMEM. */
int clocks_create(const struct config *c, int64_t now_us, struct clocks **ret_clocks);
void clocks_destroy(struct clocks *k);

/* Other classes and profiles: rows of classes that have none any more end. */
void clocks_set_config(struct clocks *k, const struct config *c);

/* Takes note of a flow record. */
void clocks_count(struct clocks *k, const struct path_config *pc, const struct flow_record *r);

/* Takes note of a device as it is now. */
void clocks_hear(struct clocks *k, const char *port, const struct device *d);

/* The plans leave nothing for a class now. */
void clocks_stopped(struct clocks *k, const char *class_name, int64_t now_us);

/* Judges all rows: warns, and takes warnings back, in the log. */
void clocks_judge(struct clocks *k, const struct clocks_site *site, int64_t now_us);

/* All of that from the path's doors, every ten seconds or so: to be called often. `ports` by id. */
void clocks_follow(struct clocks *k, const struct path *path, struct port *const ports[PORTS_MAX],
	uint64_t now_us);

/* Rows live from 0 up; NULL behind the last one. */
const struct clock_row *clocks_row(const struct clocks *k, uint32_t i);

/* "late", "dns"; never NULL. */
const char *clock_state_name(enum clock_state state);
const char *clock_cause_name(enum clock_cause cause);

#define CLOCKS_FILE "clocks.json"

/*
 * What was before a restart, by the wall clock: read from the state directory once that clock can be trusted, and written
 * there when something is new, every ten minutes at most and with clocks_save. Not flushed to the disk at once: a power cut may take
 * the last minutes. Without a trusted clock nothing is read or written.
 */
void clocks_keep(struct clocks *k, const char *dir, const struct budget_time *now);
void clocks_save(struct clocks *k, const char *dir, const struct budget_time *now);

#endif
