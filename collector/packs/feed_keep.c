// SPDX-License-Identifier: Apache-2.0
/*
 * feed_keep.c - the last good values of feeds and what is known of them, each a file that is replaced as a whole.
 * Values are written first: state that is older than its values costs one fetch more, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/packs/feed.h"
#include "common/scan.h"

#define VALUES "feeds"
#define STATE  "feed-state"
#define LINE   1200u

static int replace(const char *dir, const char *below, const char *name, const char *text,
		   size_t len)
{
	char path[4096], next[4110], parent[4096];
	FILE *out;
	int r = 0;

	snprintf(parent, sizeof(parent), "%s/%s", dir, below);
	if (snprintf(path, sizeof(path), "%s/%s/%s", dir, below, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	snprintf(next, sizeof(next), "%s.next", path);
	if (mkdir(parent, 0755) && errno != EEXIST)
		return -errno;
	out = fopen(next, "we");
	if (!out || fwrite(text, 1, len, out) != len || fflush(out) || fsync(fileno(out)))
		r = -errno ?: -EIO;
	if (out && fclose(out) && !r)
		r = -EIO;
	return r ?: rename(next, path) ? -errno : 0;
}

int feed_values_write(const char *dir, const char *name, const char *text, size_t len)
{
	return replace(dir, VALUES, name, text, len);
}

void feed_values_drop(const char *dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/" VALUES "/%s", dir, name);
	(void)unlink(path); /* it may be gone */
	snprintf(path, sizeof(path), "%s/" STATE "/%s", dir, name);
	(void)unlink(path); /* the same */
}

int feed_state_write(const char *dir, const char *name, const struct feed_state *st)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return -ENOMEM;
	fprintf(out, "source %s\ngood %lld\nvalues %llu\netag %s\nmodified %s\n", st->source,
		(long long)st->good_us, (unsigned long long)st->n, st->etag, st->modified);
	r = fclose(out) ? -ENOMEM : replace(dir, STATE, name, text, len);
	free(text);
	return r;
}

static void read_line(struct feed_state *st, char *line)
{
	char *value = strchr(line, ' ');
	uint64_t v;

	line[strcspn(line, "\n")] = 0;
	if (!value)
		return;
	*value++ = 0;
	if (!strcmp(line, "source"))
		snprintf(st->source, sizeof(st->source), "%s", value);
	else if (!strcmp(line, "etag"))
		snprintf(st->etag, sizeof(st->etag), "%s", value);
	else if (!strcmp(line, "modified"))
		snprintf(st->modified, sizeof(st->modified), "%s", value);
	else if (!strcmp(line, "good") && !scan_u64(value, 0, INT64_MAX, &v))
		st->good_us = (int64_t)v;
	else if (!strcmp(line, "values") && !scan_u64(value, 0, LIST_ENTRIES_MAX, &v))
		st->n = v;
}

void feed_state_read(const char *dir, const char *name, const char *source, struct feed_state *ret)
{
	char path[4096], line[LINE];
	FILE *in;

	*ret = (struct feed_state){};
	snprintf(path, sizeof(path), "%s/" STATE "/%s", dir, name);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		read_line(ret, line);
	if (in)
		fclose(in);
	if (strcmp(ret->source, source) != 0)
		*ret = (struct feed_state){};
	snprintf(ret->source, sizeof(ret->source), "%s", source);
}

char *feed_values_read(const char *dir, const struct pack_list *l, int64_t now_us)
{
	struct list_parse p = {.names = l->names, .max_entries = LIST_ENTRIES_MAX};
	struct feed_state st;
	char path[4096], *text = NULL;
	struct stat info;
	FILE *in;

	feed_state_read(dir, l->name, feed_source(&l->feed), &st);
	if (!st.good_us || feed_expired(&l->feed, &st, now_us))
		return NULL;
	snprintf(path, sizeof(path), "%s/" VALUES "/%s", dir, l->name);
	in = fopen(path, "re");
	if (in && !fstat(fileno(in), &info) && info.st_size >= 0 && info.st_size <= LIST_BYTES_MAX)
		text = malloc((size_t)info.st_size + 1);
	/* read as it was written: what somebody has put into the file is no way around a judge */
	if (text && fread(text, 1, (size_t)info.st_size, in) == (size_t)info.st_size &&
	    !list_parse(text, (size_t)info.st_size, &p) && !p.bad) {
		free(text);
		text = p.text;
	} else {
		free(text);
		list_parse_done(&p);
		text = NULL;
	}
	if (in)
		fclose(in);
	return text;
}
