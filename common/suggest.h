/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.h - the known word nearest to one that is not known, for "did you mean".
 * No memory of its own, any thread.
 */
#ifndef WEIR_COMMON_SUGGEST_H
#define WEIR_COMMON_SUGGEST_H

#include <stddef.h>

#define SUGGEST_WORD_MAX 48u /* longer words get no suggestion */

struct suggest {
	const char *word;
	size_t len;
	const char *best; /* NULL: nothing near enough */
	unsigned int distance;
};

/* Look for something near @word, which need not be terminated and must stay. */
void suggest_init(struct suggest *s, const char *word, size_t len);

/**
 * suggest_try - one known word
 *
 * Near enough is a third of the word's letters wrong, missing, too many, or swapped with their
 * neighbour; 1 at least. Case does not count. Of two equally near ones the first stays. A dotted
 * word is also known by its last part alone ("sni" for "tls.sni").
 */
void suggest_try(struct suggest *s, const char *known);

#endif
