// SPDX-License-Identifier: Apache-2.0
/*
 * suggest.c - distance of two words: insertions, deletions, substitutions and swaps of neighbours
 * (optimal string alignment), row by row.
 */
#include "common/suggest.h"

#include <string.h>

#define FAR 1000u

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int rows[3][SUGGEST_WORD_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2];

	for (unsigned int j = 0; j <= b_len; j++)
		last[j] = j;
	for (unsigned int i = 1; i <= a_len; i++) {
		unsigned int *spare = before;

		row[0] = i;
		for (unsigned int j = 1; j <= b_len; j++) {
			const char x = lower(a[i - 1]), y = lower(b[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]) &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

void suggest_init(struct suggest *s, const char *word, size_t len)
{
	*s = (struct suggest){.word = word, .len = len, .distance = FAR};
}

static unsigned int near_enough(size_t len)
{
	return len < 6 ? 1 : (unsigned int)len / 3;
}

static void consider(struct suggest *s, const char *text, const char *known, unsigned int handicap)
{
	const size_t len = strlen(text);
	unsigned int d;

	if (len > SUGGEST_WORD_MAX)
		return;
	d = distance(s->word, s->len, text, len);
	/* A word all of whose letters are wrong is no suggestion, however short. */
	if (d > near_enough(s->len) || d >= s->len || d + handicap >= s->distance)
		return;
	s->best = known;
	s->distance = d + handicap;
}

void suggest_try(struct suggest *s, const char *known)
{
	const char *dot = strrchr(known, '.');

	if (!s->len || s->len > SUGGEST_WORD_MAX)
		return;
	consider(s, known, known, 0);
	if (dot)
		consider(s, dot + 1, known, 1);
}
