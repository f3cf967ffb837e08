/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a packet went no further: one row of drops.def each, read by the enum, the counters, the
 * CLI and docs/drops.md.
 *
 * Threads:  constant tables.
 */
#ifndef WEIR_PACKET_DROPS_H
#define WEIR_PACKET_DROPS_H

#include <stdint.h>

enum drop_reason {
	DROP_NONE = 0,
#define DROP(id, name, help) DROP_##id,
#include <weir/packet/drops.def>
#undef DROP
	N_DROP_REASONS
};

/* The reason's metric name, "parse.bad_version"; "none" for DROP_NONE. */
const char *drop_name(enum drop_reason why);

/* One sentence for people; never NULL. */
const char *drop_help(enum drop_reason why);

#endif
