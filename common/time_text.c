// SPDX-License-Identifier: Apache-2.0
/*
 * time_text.c - RFC 3339 times. The date comes from day arithmetic on the proleptic Gregorian
 * calendar, in years that begin in March: then the leap day is the last of its year.
 */
#include "common/num_text.h"

#define NS_PER_DAY UINT64_C(86400000000000)

static void digits(char *p, uint32_t v, int n)
{
	while (n-- > 0) {
		p[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

static void date_text(uint64_t days, char *buf)
{
	const uint64_t shifted = days + 719468; /* since 0000-03-01 */
	const uint64_t era = shifted / 146097;	/* of 400 years */
	const uint32_t doe = (uint32_t)(shifted % 146097);
	const uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	const uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	const uint32_t mp = (5 * doy + 2) / 153; /* 0 = March; five months have 153 days */
	const uint32_t month = mp < 10 ? mp + 3 : mp - 9;

	digits(buf, (uint32_t)(era * 400 + yoe + (month <= 2)), 4);
	buf[4] = '-';
	digits(buf + 5, month, 2);
	buf[7] = '-';
	digits(buf + 8, doy - (153 * mp + 2) / 5 + 1, 2);
}

size_t time_text(uint64_t ns, char *buf)
{
	uint64_t us = ns % NS_PER_DAY / 1000;
	uint32_t s = (uint32_t)(us / 1000000);

	date_text(ns / NS_PER_DAY, buf);
	buf[10] = 'T';
	digits(buf + 11, s / 3600, 2);
	buf[13] = ':';
	digits(buf + 14, s / 60 % 60, 2);
	buf[16] = ':';
	digits(buf + 17, s % 60, 2);
	buf[19] = '.';
	digits(buf + 20, (uint32_t)(us % 1000000), 6);
	buf[26] = 'Z';
	buf[27] = 0;
	return TIME_TEXT - 1;
}
