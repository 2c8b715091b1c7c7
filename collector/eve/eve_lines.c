// SPDX-License-Identifier: Apache-2.0
#include "collector/eve/eve_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/eve/eve_line.h"

int eve_lines_init(struct eve_lines *l)
{
	*l = (struct eve_lines){.buf = malloc(EVE_LINE_MAX + 1)};
	return l->buf ? 0 : -ENOMEM;
}

void eve_lines_done(struct eve_lines *l)
{
	free(l->buf);
	l->buf = NULL;
}

char *eve_lines_room(struct eve_lines *l, size_t *ret_room)
{
	*ret_room = EVE_LINE_MAX + 1 - l->len;
	return l->buf + l->len;
}

static void take_line(struct eve_lines *l, const char *s, size_t len, const struct eve_sink *to)
{
	if (!l->skipping)
		to->line(to->arg, s, len);
	l->skipping = false;
}

void eve_lines_took(struct eve_lines *l, size_t n, const struct eve_sink *to)
{
	const char *s = l->buf, *look = l->buf + l->len, *end = look + n, *newline;

	while ((newline = memchr(look, '\n', (size_t)(end - look)))) {
		take_line(l, s, (size_t)(newline - s), to);
		s = look = newline + 1;
	}
	l->len = (size_t)(end - s);
	if (l->len > EVE_LINE_MAX || l->skipping) {
		if (!l->skipping)
			to->line(to->arg, NULL, l->len);
		l->skipping = true;
		l->len = 0;
	}
	if (l->len)
		memmove(l->buf, s, l->len);
}

void eve_lines_end(struct eve_lines *l, const struct eve_sink *to)
{
	if (l->len)
		take_line(l, l->buf, l->len, to);
	l->len = 0;
	l->skipping = false;
}
