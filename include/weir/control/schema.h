/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The schema of the configuration: one row per key, from which parsing, messages, comparison and documentation follow.
 *
 * Shapes:   rows stand in the order of the documentation, children behind their parent. In a path, `*` is a name that
 *           the user chooses and `[]` an item of a list: "ports.*.role", "policy.rules.[].from". `offset` counts from
 *           struct config, or from the item's struct below `*` and `[]`. Rows below "(profile)" are of another file, a
 *           profile, and count from its struct.
 * Units:    min and max are in the field's own: octets, bits a second, microseconds, parts a million.
 * Threads:  constant tables.
 */
#ifndef WEIR_CONTROL_SCHEMA_H
#define WEIR_CONTROL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
	SCHEMA_SECTION, /* keys below; no field */
	SCHEMA_NAMED,   /* name → item, kept in an array */
	SCHEMA_LIST,    /* items in an array */
	SCHEMA_ITEM,    /* what stands below the two; its name, if it has one, is the first field */
	SCHEMA_NAME,    /* char[]: a name that other keys refer to */
	SCHEMA_TEXT,    /* char[]: one word */
	SCHEMA_FILE,    /* char[]: an absolute path */
	SCHEMA_WORD,    /* an enum: one of the words */
	SCHEMA_BOOL,    /* bool */
	SCHEMA_INTEGER, /* unsigned, of any size, as the next four */
	SCHEMA_OCTETS,
	SCHEMA_RATE,
	SCHEMA_TIME,
	SCHEMA_SHARE,
	SCHEMA_ADDRESS,    /* struct ip_addr */
	SCHEMA_PREFIX,     /* struct ip_prefix */
	SCHEMA_PROTOCOL,   /* uint8_t */
	SCHEMA_PORT_RANGE, /* struct config_range */
	SCHEMA_DSCP,       /* uint8_t: DSCP_NONE is any */
	SCHEMA_MEMBER,     /* struct config_member: a MAC, or an address or network */
	SCHEMA_MAC,        /* struct config_member: a MAC alone */
	SCHEMA_DAYS,       /* uint8_t: bit 0 is Sunday's, as in struct tm */
	SCHEMA_CLOCK,      /* uint16_t: minutes since midnight, 24:00 included */
};

/* When a change of the key takes effect. */
enum schema_applies {
	APPLIES_LIVE,
	APPLIES_AT_START
};

enum schema_flag {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_LAN_ONLY = 1 << 1,    /* of ports: for those with role lan */
	SCHEMA_UPLINK_ONLY = 1 << 2, /* of ports: for those with role uplink */
	SCHEMA_OR_ZERO = 1 << 3,     /* 0 is allowed below min: it turns the thing off */
};

struct schema_word {
	const char *text; /* NULL ends the list */
	uint32_t value;
};

struct schema_row {
	const char *path;
	enum schema_type type;
	enum schema_applies applies;
	uint32_t flags;    /* enum schema_flag */
	size_t offset;     /* of the field; of the array, for named sections and lists */
	size_t size_bytes; /* of the field, or of one item of the array */
	size_t n_offset;   /* of the array's count, uint32_t */
	uint64_t min;
	uint64_t max; /* of the array: items at most */
	const struct schema_word *words;
	const char *takes; /* what may be written, where the type does not say it; NULL: it does */
	const char *fallback;       /* as one would write it; NULL: none */
	const char *fallback_words; /* said in the documentation where the default is worked out */
	const char *help;           /* one line */
};

#define SCHEMA_PATH_MAX  64
#define SCHEMA_RANGE_MAX 160

/* The rows; the last one has a NULL path. */
const struct schema_row *schema_rows(void);

/* The row that keys of a profile's file are right below. */
const struct schema_row *schema_profile(void);

/* The row of `key` right below `parent` (NULL: at the top); NULL when there is none. */
const struct schema_row *schema_child(const struct schema_row *parent, const char *key);

/* True when `row` stands right below `parent` (NULL: at the top). */
bool schema_is_child(const struct schema_row *row, const struct schema_row *parent);

/* True when `row` is below `parent` within the same struct: no name and no list item in between. */
bool schema_is_same_struct(const struct schema_row *row, const struct schema_row *parent);

/* The last part of a path: "role". */
const char *schema_key(const struct schema_row *row);

/* The known key right below `parent` that is nearest to `key`, or NULL when none is near. */
const char *schema_nearest_key(const struct schema_row *parent, const char *key);

/* True when `text` is probably a slip of `known`, or what it is called elsewhere; lower *best_distance is nearer. Starts at UINT32_MAX. */
bool schema_is_nearer(const char *text, const char *known, uint32_t *best_distance);

/* What may be written, for messages and documentation: "a time from 2h4m to 7d", "one of lan, uplink". */
const char *schema_range(const struct schema_row *row, char buf[SCHEMA_RANGE_MAX]);

/* The keys right below `parent`: "role, device, address". */
const char *schema_keys(const struct schema_row *parent, char *buf, size_t size);

/* Room for the reason why a value was refused. */
#define SCHEMA_WHY_MAX 288

/*
 * Parses `text` into the row's field at `field`. On a mistake returns -EINVAL, leaves the field untouched and writes
 * "what is wrong; what to write instead" into `why`.
 */
int schema_parse(
	const struct schema_row *row, const char *text, void *field, char why[SCHEMA_WHY_MAX]);

/* Sets every field below `parent` within its struct at `base` to its default. */
void schema_set_defaults(const struct schema_row *parent, void *base);

#endif
