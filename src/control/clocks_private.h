/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of control/clocks.c share: clocks_follow.c looks at the path, clocks_file.c at the disk.
 *
 * Threads:  control alone.
 */
#ifndef WEIR_SRC_CONTROL_CLOCKS_PRIVATE_H
#define WEIR_SRC_CONTROL_CLOCKS_PRIVATE_H

#include <weir/control/clocks.h>

#define CLOCK_CHAINS  256
#define CLOCK_NO_ROW  UINT32_MAX
#define DEVICES_BATCH 64

/* Of a class with a profile. */
struct clock_rule {
	char class_name[CLASS_NAME_MAX];
	int64_t warn_us; /* 0: never */
	int64_t overdue_us;
	uint64_t update_octets; /* 0: updates are told by their rules alone */
	int64_t stopped_us;     /* when its plans left nothing for it, last */
};

struct clock_entry {
	struct clock_row row;
	uint32_t next; /* of its chain */
	/* octets that services have sent without a longer pause, and when last */
	uint64_t burst_octets;
	int64_t burst_us;
};

struct clocks {
	uint32_t n_rules;
	struct clock_rule rules[CONFIG_CLASSES_MAX];
	uint32_t n_entries;
	uint32_t chains[CLOCK_CHAINS];
	struct clock_entry entries[CLOCKS_ROWS_MAX];
	int64_t started_us;
	/* the link: when it was last seen not to carry, and what it carried then */
	int64_t no_link_us;
	int64_t answered_us;
	struct clocks_site site;
	uint64_t n_up_answered; /* n_up_packets when somebody was answered last */
	/* the path */
	uint64_t follow_us;
	struct path_stats stats;
	struct device devices[DEVICES_BATCH];
	/* the file */
	bool is_loaded;
	bool is_new; /* something that the file does not have */
	int64_t saved_us;
};

struct clock_rule *clock_rule_of(struct clocks *k, const char *class_name);

/* The row of a device, made where there is none. */
struct clock_entry *clock_entry_take(struct clocks *k, const struct clock_row *like);

#endif
