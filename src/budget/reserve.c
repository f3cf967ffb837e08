/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/units.h>
#include <weir/budget/reserve.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static uint64_t octets_of(const struct reserve *r)
{
	uint64_t octets;
	uint64_t n = r->n_devices == 0 ? 1 : r->n_devices;

	return __builtin_mul_overflow(r->octets, n, &octets) ? UINT64_MAX : octets;
}

uint64_t reserve_sum(const struct reserve *reserves, uint32_t n_reserves)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n_reserves; i++) {
		if (__builtin_add_overflow(sum, octets_of(&reserves[i]), &sum))
			return UINT64_MAX;
	}
	return sum;
}

/* Appends; the text stays whole where there is no room. */
__attribute__((format(printf, 3, 4))) static size_t say(
	char text[RESERVE_TEXT_MAX], size_t len, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text + len, RESERVE_TEXT_MAX - len, format, args);
	va_end(args);
	return n < 0 || len + (size_t)n >= RESERVE_TEXT_MAX ? RESERVE_TEXT_MAX - 1
							    : len + (size_t)n;
}

int reserve_check(uint64_t quota_octets, const struct reserve *reserves, uint32_t n_reserves,
	char text[RESERVE_TEXT_MAX])
{
	uint64_t sum = reserve_sum(reserves, n_reserves);
	char octets[UNITS_TEXT_MAX];
	char quota[UNITS_TEXT_MAX];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < n_reserves; i++) {
		const struct reserve *r = &reserves[i];

		len = say(text, len, "%s%.32s %s", i == 0 ? "" : " + ", r->name,
			units_format_octets(r->octets, octets));
		if (r->n_devices > 0)
			len = say(text, len, " x %u devices", r->n_devices);
	}
	if (n_reserves > 1 || (n_reserves == 1 && reserves[0].n_devices > 1))
		len = say(text, len, " = %s", units_format_octets(sum, octets));
	if (quota_octets == 0 || sum <= quota_octets) {
		if (n_reserves > 0 && quota_octets > 0)
			(void)say(text, len, " of the quota's %s",
				units_format_octets(quota_octets, quota));
		return 0;
	}
	(void)say(text, len, ", %s more than the quota's %s; lower a reserve, or raise the quota",
		units_format_octets(sum - quota_octets, octets),
		units_format_octets(quota_octets, quota));
	return -EOVERFLOW;
}
