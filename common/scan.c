// SPDX-License-Identifier: Apache-2.0
#include "common/scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"Ki", 1ull << 10}, {"Mi", 1ull << 20}, {"Gi", 1ull << 30},
	{"k", 1000},	    {"M", 1000000},	{"G", 1000000000},
};

static const struct unit times[] = {
	{"us", 1000},	    {"ms", 1000000},	     {"s", 1000000000},
	{"m", 60000000000}, {"h", 3600000000000ull}, {"d", 86400000000000ull},
};

static int digits(const char **s, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
			return -ERANGE;
	*s = p;
	*ret = v;
	return 0;
}

/* Factor of the unit at *s, which is moved behind it; 0 when there is none. */
static uint64_t unit(const char **s, const struct unit *u, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(u[i].name);

		if (strncmp(*s, u[i].name, len) == 0) {
			*s += len;
			return u[i].factor;
		}
	}
	return 0;
}

static int in_range(uint64_t v, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int scan_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v, f = 1;
	int r = digits(&s, &v);

	if (r)
		return r;
	if (*s)
		f = unit(&s, sizes, sizeof(sizes) / sizeof(sizes[0]));
	if (!f || *s)
		return -EINVAL;
	if (__builtin_mul_overflow(v, f, &v))
		return -ERANGE;
	return in_range(v, min, max, ret);
}

int scan_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int scan_hex(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		const int d = scan_hex_digit(*s);

		if (d < 0)
			return -EINVAL;
		if (v >> 60)
			return -ERANGE;
		v = v << 4 | (uint64_t)d;
	}
	return in_range(v, 0, max, ret);
}

int scan_duration_ns(const char *s, uint64_t min_ns, uint64_t max_ns, uint64_t *ret)
{
	uint64_t sum = 0;

	do {
		uint64_t v, f;
		int r = digits(&s, &v);

		if (r)
			return r;
		f = unit(&s, times, sizeof(times) / sizeof(times[0]));
		if (!f)
			return -EINVAL;
		if (__builtin_mul_overflow(v, f, &v) || __builtin_add_overflow(sum, v, &sum))
			return -ERANGE;
	} while (*s);
	return in_range(sum, min_ns, max_ns, ret);
}

/* @n digits at *s, which is moved behind them. */
static bool fixed(const char **s, unsigned int n, uint32_t max, uint32_t *ret)
{
	uint32_t v = 0;

	for (; n; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (uint32_t)(**s - '0');
	}
	*ret = v;
	return v <= max;
}

static bool sign(const char **s, const char *any_of)
{
	if (!**s || !strchr(any_of, **s))
		return false;
	(*s)++;
	return true;
}

/* Days from 1970-01-01, with years that begin in March. */
static int64_t days(uint32_t year, uint32_t month, uint32_t day)
{
	const uint32_t y = month > 2 ? year : year - 1;
	const uint32_t m = month > 2 ? month - 3 : month + 9;
	const uint32_t doy = (153 * m + 2) / 5 + day - 1;

	return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + doy - 719468;
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
	const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool scan_date(const char **s, int64_t *ret_days)
{
	uint32_t year, month, day;

	if (!fixed(s, 4, 9999, &year) || !sign(s, "-") || !fixed(s, 2, 12, &month) ||
	    !sign(s, "-") || !fixed(s, 2, 31, &day))
		return false;
	if (year < 1970 || !month || !day || day > month_days(year, month))
		return false;
	*ret_days = days(year, month, day);
	return true;
}

/* The fraction of a second: what is finer than a microsecond is cut. */
static bool fraction(const char **s, uint32_t *ret_us)
{
	uint32_t us = 0, unit_us = 100000;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, unit_us /= 10)
		us += (uint32_t)(**s - '0') * unit_us;
	*ret_us = us;
	return true;
}

static bool offset_s(const char **s, int64_t *ret)
{
	const bool minus = **s == '-';
	uint32_t h, m;

	*ret = 0;
	if (sign(s, "Zz"))
		return true;
	if (!sign(s, "+-") || !fixed(s, 2, 23, &h) || !sign(s, ":") || !fixed(s, 2, 59, &m))
		return false;
	*ret = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
	return true;
}

int scan_time_us(const char *s, uint64_t *ret)
{
	uint32_t h, m, sec, us = 0;
	int64_t day, offset, t;

	if (!scan_date(&s, &day) || !sign(&s, "Tt") || !fixed(&s, 2, 23, &h) || !sign(&s, ":") ||
	    !fixed(&s, 2, 59, &m) || !sign(&s, ":") || !fixed(&s, 2, 60, &sec))
		return -EINVAL;
	if (sign(&s, ".") && !fraction(&s, &us))
		return -EINVAL;
	if (!offset_s(&s, &offset) || *s)
		return -EINVAL;
	t = day * 86400 + h * 3600 + m * 60 + sec - offset;
	if (t < 0)
		return -ERANGE;
	*ret = (uint64_t)t * 1000000 + us;
	return 0;
}
