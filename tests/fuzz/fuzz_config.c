/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config.c - any bytes as a configuration file. What comes out is whole: entries belong to
 * sections, sections and entries are in the order of the file, and a text that was read without an
 * error is the same when its entries are written and read again.
 *
 * Covers: common/config.c
 * Options: -max_len=8192
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
	if (!ok)
		abort();
}

static void check_whole(const struct config *c)
{
	uint32_t next = 0, line = 0;

	for (uint32_t s = 0; s < c->n_sections; s++) {
		const struct config_section *sec = &c->sections[s];

		require(sec->kind && sec->first == next && sec->line > line);
		line = sec->line;
		for (next = sec->first; next < sec->first + sec->entries; next++) {
			const struct config_entry *e = &c->entries[next];

			require(e->section == s && e->key && e->value && e->line > line);
			require(e->key_col && e->value_col > e->key_col);
			line = e->line;
		}
	}
	require(next == c->n_entries);
}

static void put_quoted(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '\n')
			fputs("\\n", out);
		else if (*s == '\t')
			fputs("\\t", out);
		else
			fprintf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
	}
	fputs("\"\n", out);
}

/* Quoting can make a line longer than a line may be. */
static int fits(const struct config *c)
{
	for (uint32_t i = 0; i < c->n_entries; i++)
		if (strlen(c->entries[i].key) + 2 * strlen(c->entries[i].value) + 8 >
		    CONFIG_LINE_MAX)
			return 0;
	for (uint32_t i = 0; i < c->n_sections; i++)
		if (c->sections[i].name &&
		    2 * strlen(c->sections[i].name) + strlen(c->sections[i].kind) + 8 >
			    CONFIG_LINE_MAX)
			return 0;
	return 1;
}

static void check_again(const struct config *c)
{
	struct config_errors errs = {};
	struct config *again = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	require(out != NULL);
	for (uint32_t s = 0; s < c->n_sections; s++) {
		const struct config_section *sec = &c->sections[s];

		fprintf(out, "[%s", sec->kind);
		if (sec->name) {
			fputc(' ', out);
			put_quoted(out, sec->name);
			fseeko(out, -1, SEEK_CUR); /* the line's end */
		}
		fputs("]\n", out);
		for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
			fprintf(out, "%s = ", c->entries[i].key);
			put_quoted(out, c->entries[i].value);
		}
	}
	fclose(out);
	require(!config_parse(text, len, &again, &errs));
	require(again->n_entries == c->n_entries && again->n_sections == c->n_sections);
	for (uint32_t i = 0; i < c->n_entries; i++) {
		require(!strcmp(again->entries[i].key, c->entries[i].key));
		require(!strcmp(again->entries[i].value, c->entries[i].value));
	}
	config_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errs = {};
	struct config *c = NULL;
	int r = config_parse((const char *)data, size, &c, &errs);

	if (r == -ENOMEM)
		return 0;
	require((r == -EINVAL) == (errs.count > 0));
	config_errors_sort(&errs);
	check_whole(c);
	if (!r && fits(c))
		check_again(c);
	config_free(c);
	return 0;
}
