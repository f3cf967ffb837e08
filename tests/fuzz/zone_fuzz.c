/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TZif file of any octets: what is accepted answers for every instant, within the offsets that the format allows, and the
 * instant found for a local time is the first that shows it or a later one.
 */
#include <weir/base/civil.h>
#include <weir/base/zone.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int64_t local_of(const struct zone *z, int64_t utc_s)
{
	struct zone_time t;

	zone_local(z, utc_s, &t);
	if (t.month < 1 || t.month > 12 || t.day < 1 || t.day > civil_month_days(t.year, t.month)
		|| t.hour > 23 || t.minute > 59 || t.second > 59 || t.weekday > 6
		|| t.offset_s <= -25 * 3600 || t.offset_s >= 26 * 3600)
		abort();
	return civil_day(t.year, t.month, t.day) * CIVIL_DAY_S + t.hour * 3600 + t.minute * 60
	       + t.second;
}

static void ask(const struct zone *z, int64_t utc_s)
{
	int64_t local_s = local_of(z, utc_s);
	int64_t day = civil_floor_div(local_s, CIVIL_DAY_S);
	int64_t found;

	if (day < -719000 || day > 2932000)
		return;
	found = zone_utc(z, day, (uint32_t)civil_floor_mod(local_s, CIVIL_DAY_S));
	if (found > utc_s || local_of(z, found) < local_s || local_of(z, found - 1) >= local_s)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_data);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_data)
{
	static const int64_t fixed[] = {
		INT64_MIN, -3786825600, -1, 0, 1732320000, 4102444800, INT64_MAX};
	struct zone *z;
	int64_t at;

	if (zone_read(data, n_data, &z) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		ask(z, fixed[i]);
	/* Where the file's own numbers are instants, these are its transitions. */
	for (size_t i = 0; i + sizeof(at) <= n_data && i < 4096; i += 4) {
		uint64_t big_endian;

		memcpy(&big_endian, data + i, sizeof(big_endian));
		at = (int64_t)__builtin_bswap64(big_endian);
		ask(z, at);
		ask(z, at == INT64_MIN ? at : at - 1);
	}
	zone_close(z);
	return 0;
}
