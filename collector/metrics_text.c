// SPDX-License-Identifier: Apache-2.0
#include "collector/metrics_text.h"

#include <inttypes.h>

void metrics_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_one(FILE *out, const char *name, const char *type, const char *help, uint64_t v)
{
	metrics_head(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, v);
}

void metrics_label(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' || *s == '"')
			putc('\\', out);
		if (*s == '\n')
			fputs("\\n", out);
		else
			putc(*s, out);
	}
}
