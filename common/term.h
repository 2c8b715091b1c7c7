/* SPDX-License-Identifier: Apache-2.0 */
/*
 * term.h - text for people at the width of their terminal. No state; any thread.
 */
#ifndef WEIR_COMMON_TERM_H
#define WEIR_COMMON_TERM_H

#include <stdio.h>

/* Columns of the terminal behind @fd. @otherwise: where that is none, or does not say. */
unsigned int term_columns(int fd, unsigned int otherwise);

/**
 * term_wrap - print lines, each broken at spaces so that none is wider than @columns
 * @columns: 0: lines stay as they are
 * @indent:  of what follows a break; ignored where it leaves less than half of the line
 *
 * A word that is wider than a line stays whole. UTF-8; wide characters are taken for one column.
 */
void term_wrap(FILE *f, const char *text, unsigned int columns, unsigned int indent);

#endif
