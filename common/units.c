// SPDX-License-Identifier: Apache-2.0
/*
 * units.c - see units.h.
 */
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>

const char *units_grouped(uint64_t v, char *buf)
{
	char text[UNITS_TEXT];
	const int n = snprintf(text, sizeof(text), "%" PRIu64, v);
	char *p = buf;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*p++ = ',';
		*p++ = text[i];
	}
	*p = 0;
	return buf;
}

const char *units_si(uint64_t v, char *buf)
{
	static const char prefixes[] = "kMGTPE";
	double x = (double)v;
	int i = -1;

	/* 999,950 is 1.0 M, not 1000.0 k */
	while (x >= (i < 0 ? 1000 : 999.95)) {
		x /= 1000;
		i++;
	}
	if (i < 0)
		snprintf(buf, UNITS_TEXT, "%" PRIu64, v);
	else
		snprintf(buf, UNITS_TEXT, "%.1f %c", x, prefixes[i]);
	return buf;
}

const char *units_duration(uint64_t ns, char *buf)
{
	const uint64_t s = ns / 1000000000, m = s / 60, h = m / 60, d = h / 24;

	if (d)
		snprintf(buf, UNITS_TEXT, "%" PRIu64 "d%" PRIu64 "h", d, h % 24);
	else if (h)
		snprintf(buf, UNITS_TEXT, "%" PRIu64 "h%02" PRIu64 "m", h, m % 60);
	else if (m)
		snprintf(buf, UNITS_TEXT, "%" PRIu64 "m%02" PRIu64 "s", m, s % 60);
	else
		snprintf(buf, UNITS_TEXT, "%" PRIu64 "s", s);
	return buf;
}
