/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/civil.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define ERA_DAYS   INT64_C(146097) /* 400 years */
#define EPOCH_DAYS INT64_C(719468) /* from 0000-03-01 to 1970-01-01 */
#define THURSDAY   4               /* 1970-01-01 */

int64_t civil_day(int32_t year, uint32_t month, uint32_t day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = civil_floor_div(y, 400);
	int64_t year_of_era = y - era * 400;
	int64_t from_march = (month + 9) % 12;
	int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;

	return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
	       + day_of_year - EPOCH_DAYS;
}

struct civil_date civil_date(int64_t day)
{
	int64_t z = day + EPOCH_DAYS;
	int64_t era = civil_floor_div(z, ERA_DAYS);
	int64_t day_of_era = z - era * ERA_DAYS;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1))
		/ 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t from_march = (5 * day_of_year + 2) / 153;
	uint8_t month = (uint8_t)(from_march < 10 ? from_march + 3 : from_march - 9);

	return (struct civil_date){
		.year = (int32_t)(year_of_era + era * 400 + (month <= 2)),
		.month = month,
		.day = (uint8_t)(day_of_year - (153 * from_march + 2) / 5 + 1),
	};
}

uint32_t civil_weekday(int64_t day)
{
	return (uint32_t)civil_floor_mod(day + THURSDAY, 7);
}

bool civil_is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

uint32_t civil_month_days(int32_t year, uint32_t month)
{
	if (month == 2)
		return civil_is_leap(year) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

int civil_date_parse(const char *text, int64_t *ret_day)
{
	static const char shape[] = "0000-00-00";
	int32_t year;
	uint32_t month;
	uint32_t day;

	for (size_t i = 0; i < sizeof(shape); i++) {
		if (shape[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return -EINVAL;
	}
	year = (int32_t)strtol(text, NULL, 10);
	month = (uint32_t)strtol(text + 5, NULL, 10);
	day = (uint32_t)strtol(text + 8, NULL, 10);
	if (year < 1970 || month < 1 || month > 12 || day < 1
		|| day > civil_month_days(year, month))
		return -EINVAL;
	*ret_day = civil_day(year, month, day);
	return 0;
}
