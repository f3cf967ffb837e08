/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quantities with units, in and out: "500MB", "256kbps", "90s", "80%".
 *
 * Units:    octets: B, kB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024);
 *           rates in bits a second: bps, kbps, Mbps, Gbps; times: us, ms, s, m, h, d.
 * Errors:   parsers return 0, -EINVAL (no number or no such unit) or -ERANGE (does not fit in
 *           64 bits) and leave the result untouched. A fraction ("1.5MB") is accepted where the
 *           result is whole. A bare number is refused for octets, rates and times: a quantity
 *           without a unit is how a 500 MB plan becomes 500 bytes. A time may be a sum whose units
 *           descend: "2h4m".
 * Threads:  pure functions.
 */
#ifndef WEIR_BASE_UNITS_H
#define WEIR_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT_MAX 32

int units_parse_octets(const char *text, uint64_t *ret_octets);
int units_parse_rate(const char *text, uint64_t *ret_bps);
int units_parse_time(const char *text, uint64_t *ret_us);

/* "80%" or "12.5%" in parts a million: 800000, 125000. 0 to 100 % only, else -ERANGE. */
int units_parse_share(const char *text, uint32_t *ret_ppm);

/* Exact and shortest that parses back to the same value: 500000000 → "500MB", 1500 → "1500B". */
const char *units_format_octets(uint64_t octets, char *buf);
const char *units_format_rate(uint64_t bps, char *buf);
const char *units_format_time(uint64_t us, char *buf);
const char *units_format_share(uint32_t ppm, char *buf);

/* For people: three digits, "12.4 MB", "1.02 Mbps", "3.5 s". */
const char *units_show_octets(uint64_t octets, char *buf);
const char *units_show_rate(uint64_t bps, char *buf);
const char *units_show_time(uint64_t us, char *buf);

#endif
