// SPDX-License-Identifier: Apache-2.0
#include "common/scan.h"

#include <errno.h>
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
	{"ms", 1000000},	 {"s", 1000000000},	   {"m", 60000000000},
	{"h", 3600000000000ull}, {"d", 86400000000000ull},
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
