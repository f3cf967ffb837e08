/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/amount.h>
#include <weir/budget/forecast.h>

#define WEEK         7
#define WEEKS_MAX    4
#define BY_WEEKDAY   14           /* days known, from which weekdays are told apart */
#define JUDGED_MAX   28           /* days that tell how far off the guesses are */
#define OCTETS_MAX   (1ull << 50) /* of a day: 10 Gbit/s are 2^47 */
#define SUM_DAYS_MAX 366

/* Four of five of a normal distribution lie within 1.2816 standard deviations, of which one is 1.2533 mean absolute
 * deviations. */
#define HALF_PER_THOUSAND 1606ull

/* In thousandths, without passing 64 bits. */
static uint64_t scale(uint64_t octets, uint64_t by_1000)
{
	return octets / 1000 * by_1000 + octets % 1000 * by_1000 / 1000;
}

static uint64_t day_octets(const struct forecast_input *in, uint32_t i)
{
	return amount_least(in->days[i], OCTETS_MAX);
}

/* What the first `n` days say of the one `ahead` days behind them, ahead 0 being the next. n > 0. */
static uint64_t expect_day(const struct forecast_input *in, uint32_t n, uint32_t ahead)
{
	uint32_t step = n >= BY_WEEKDAY ? WEEK : 1;
	uint32_t terms = step == WEEK ? WEEKS_MAX : WEEK;
	uint32_t back = step == WEEK ? WEEK - ahead % WEEK : 1;
	uint64_t sum = 0;
	uint64_t weights = 0;

	for (uint32_t weight = terms; weight > 0 && back <= n; weight--, back += step) {
		sum += day_octets(in, n - back) * weight;
		weights += weight;
	}
	return sum / weights;
}

/* Mean distance of known days from what those before them would have said. */
static uint64_t mean_error(const struct forecast_input *in, uint32_t n_days)
{
	/* Guesses that did not know weekdays yet are no measure of those that do. */
	uint32_t first = n_days >= BY_WEEKDAY + WEEK ? BY_WEEKDAY : 1;
	uint32_t from = n_days > first + JUDGED_MAX ? n_days - JUDGED_MAX : first;
	uint64_t sum = 0;

	if (n_days < 2)
		return n_days == 0 ? 0 : day_octets(in, 0);
	for (uint32_t i = from; i < n_days; i++) {
		uint64_t expected = expect_day(in, i, 0);
		uint64_t was = day_octets(in, i);

		sum += was > expected ? was - expected : expected - was;
	}
	return sum / (n_days - from);
}

static uint64_t square_root(uint64_t n)
{
	uint64_t root = 0;

	for (uint64_t bit = 1ull << 31; bit > 0; bit >>= 1) {
		if ((root + bit) * (root + bit) <= n)
			root += bit;
	}
	return root;
}

/* Half the interval of a sum over so many days (in thousandths): each is off by itself, and all by what the mean they
 * are told from is off. */
static uint64_t half_width(uint64_t error, uint64_t days_1000, uint32_t n_days)
{
	uint64_t told_from = n_days >= BY_WEEKDAY ? amount_least(n_days, (uint64_t)WEEKS_MAX * WEEK)
						  : amount_least(n_days, WEEK);
	/* (days + days^2 / told_from), in millionths */
	uint64_t variance = days_1000 * 1000 + days_1000 * days_1000 / told_from;
	uint64_t root_1000 = square_root(variance);

	return scale(scale(error, HALF_PER_THOUSAND), root_1000);
}

/* In how many days a growing sum reaches the quota; `by_1000` scales what is expected, in thousandths. */
static uint32_t spent_in(
	const struct forecast_input *in, uint32_t n_days, uint64_t rest_of_today, uint64_t by_1000)
{
	uint64_t sum = in->used_octets + scale(rest_of_today, by_1000);

	if (in->quota_octets == 0)
		return FORECAST_NEVER;
	for (uint32_t i = 0; i <= in->n_days_to_come && i <= SUM_DAYS_MAX; i++) {
		if (sum >= in->quota_octets)
			return i;
		sum += scale(expect_day(in, n_days, i + 1), by_1000);
	}
	return FORECAST_NEVER;
}

struct forecast forecast_at(const struct forecast_input *in)
{
	uint32_t n_days = (uint32_t)amount_least(in->n_days, FORECAST_DAYS_MAX);
	uint32_t to_come = (uint32_t)amount_least(in->n_days_to_come, SUM_DAYS_MAX);
	uint64_t left_ppm = ALL_PPM - amount_least(in->today_ppm, ALL_PPM);
	struct forecast f = {
		.is_known = n_days > 0,
		.expected_octets = in->used_octets,
		.low_octets = in->used_octets,
		.high_octets = in->used_octets,
		.spent_in_days = FORECAST_NEVER,
		.spent_in_days_early = FORECAST_NEVER,
	};
	uint64_t today;
	uint64_t more;
	uint64_t half;

	if (n_days == 0)
		return f;
	today = scale(expect_day(in, n_days, 0), left_ppm / 1000);
	more = today;
	for (uint32_t i = 1; i <= to_come; i++)
		more += expect_day(in, n_days, i);
	half = half_width(mean_error(in, n_days), to_come * 1000ull + left_ppm / 1000, n_days);
	f.expected_octets += more;
	f.low_octets += more > half ? more - half : 0;
	f.high_octets += more + half;
	f.spent_in_days = spent_in(in, n_days, today, 1000);
	f.spent_in_days_early = spent_in(in, n_days, today,
		more == 0 ? 1000 : 1000 + amount_least(half / (more / 1000 + 1), 1000000));
	return f;
}
