// SPDX-License-Identifier: Apache-2.0
#include "common/term.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

unsigned int term_columns(int fd, unsigned int otherwise)
{
	struct winsize ws;

	if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &ws) || !ws.ws_col)
		return otherwise;
	return ws.ws_col;
}

/* Bytes of a line of @len that fit into @columns, up to the last space there is. */
static size_t that_fit(const char *line, size_t len, unsigned int columns)
{
	unsigned int width = 0;
	size_t space = 0, i;

	for (i = 0; i < len; i++) {
		if (((unsigned char)line[i] & 0xc0) == 0x80)
			continue;
		if (line[i] == ' ' && i && line[i - 1] != ' ')
			space = i;
		if (width++ == columns)
			break;
	}
	if (i == len)
		return len;
	while (!space && i < len) { /* one long word: to its end */
		if (line[i] == ' ')
			space = i;
		i++;
	}
	return space ?: len;
}

static void wrap_line(FILE *f, const char *line, size_t len, unsigned int columns,
		      unsigned int indent)
{
	const unsigned int hang = indent < columns / 2 ? indent : 0;
	bool first = true;

	while (len) {
		const size_t n = that_fit(line, len, columns - (first ? 0 : hang));

		fprintf(f, "%*s%.*s\n", first ? 0 : (int)hang, "", (int)n, line);
		first = false;
		line += n;
		len -= n;
		while (len && *line == ' ') {
			line++;
			len--;
		}
	}
	if (first)
		fputc('\n', f);
}

void term_wrap(FILE *f, const char *text, unsigned int columns, unsigned int indent)
{
	if (!columns) {
		fputs(text, f);
		return;
	}
	while (*text) {
		const size_t len = strcspn(text, "\n");

		wrap_line(f, text, len, columns, indent);
		text += len + (text[len] == '\n');
	}
}
