// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/past.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/filter_tree.h"
#include "common/num_text.h"
#include "common/scan.h"
#include "common/units.h"
#include "loader/capture/disk_extract.h"
#include "loader/capture/disk_ring.h"
#include "loader/capture/files.h"
#include "loader/command.h"

int past_time(const char *text, uint64_t now_ns, uint64_t *ret)
{
	uint64_t v;
	int r;

	if (!strcmp(text, "now")) {
		*ret = now_ns;
		return 0;
	}
	r = text[0] == '-' ? scan_duration_ns(text + 1, 0, now_ns, &v) : scan_time_us(text, &v);
	if (!r && text[0] != '-' && v > UINT64_MAX / 1000)
		r = -ERANGE;
	if (!r)
		*ret = text[0] == '-' ? now_ns - v : v * 1000;
	return r;
}

static void tell(const char *id, enum disk_fate fate, uint64_t packets)
{
	static const char *const said[_DISK_FATES] = {
		[DISK_OUTSIDE] = "of another time",
		[DISK_PASSED] = "passed over: nothing of it is wanted, by its index",
		[DISK_READ] = "read",
		[DISK_DAMAGED] = "read as far as it is whole",
		[DISK_GONE] = "removed meanwhile",
	};

	fprintf(stderr, "weir: %s: %s", id, said[fate]);
	if (fate == DISK_READ || fate == DISK_DAMAGED)
		fprintf(stderr, ", %" PRIu64 " packets", packets);
	fputc('\n', stderr);
}

static uint64_t files_of(const struct disk_found *n)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < _DISK_FATES; i++)
		sum += n->files[i];
	return sum;
}

static void put_time(json_t *o, const char *key, uint64_t ns)
{
	char text[TIME_TEXT];

	if (ns) {
		time_text(ns, text);
		json_object_set_new(o, key, json_string(text));
	}
}

static void put_json(const struct past *p, const struct disk_found *n)
{
	FILE *out = strcmp(p->path, "-") ? stdout : stderr;
	json_t *o = json_pack("{s:s,s:I,s:I,s:I}", "file", p->path, "packets",
			      (json_int_t)n->packets, "bytes", (json_int_t)n->bytes, "lost",
			      (json_int_t)n->lost);
	json_t *files = json_object();

	put_time(o, "from", p->from_ns);
	put_time(o, "to", p->to_ns);
	put_time(o, "first", n->first_ns);
	put_time(o, "last", n->last_ns);
	for (unsigned int i = 0; i < _DISK_FATES; i++)
		json_object_set_new(files, disk_fate_words[i],
				    json_integer((json_int_t)n->files[i]));
	json_object_set_new(o, "files", files);
	json_dumpf(o, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(o);
}

static void put_text(const struct disk_found *n)
{
	const uint64_t opened = n->files[DISK_READ] + n->files[DISK_DAMAGED];
	char packets[UNITS_TEXT], lost[UNITS_TEXT];

	fprintf(stderr,
		"weir: %s packets out of %" PRIu64 " of %" PRIu64
		" files, %s are missing in the files of that time",
		units_grouped(n->packets, packets), opened, files_of(n),
		units_grouped(n->lost, lost));
	if (n->files[DISK_GONE])
		fprintf(stderr, ", %" PRIu64 " files were removed meanwhile", n->files[DISK_GONE]);
	if (n->files[DISK_DAMAGED])
		fprintf(stderr, ", %" PRIu64 " are damaged", n->files[DISK_DAMAGED]);
	fputc('\n', stderr);
}

static int extract(const struct past *p, int dir, const struct filter_tree *filter)
{
	const struct disk_ask ask = {
		.from_ns = p->from_ns,
		.to_ns = p->to_ns,
		.filter = *p->filter ? filter : NULL,
		.count = p->count,
		.snaplen = p->snaplen,
		.end = p->end,
		.tell = p->verbose ? tell : NULL,
	};
	struct disk_found found = {};
	FILE *out;
	int r, rc = files_create(p->path, &out);

	if (rc)
		return rc;
	r = disk_extract(dir, &ask, out, &found);
	if (fclose(out) && !r)
		r = -errno;
	if (r && r != -EPIPE) { /* our reader has enough: no error */
		fprintf(stderr, "weir: %s: %s\n", p->path, strerror(-r));
		return EXIT_FAILED;
	}
	if (p->json)
		put_json(p, &found);
	else
		put_text(&found);
	return found.files[DISK_GONE] || found.files[DISK_DAMAGED] ? EXIT_PARTLY : EXIT_OK;
}

int past_capture(const struct past *p)
{
	struct filter_tree filter = {};
	struct filter_error err;
	int dir, rc = files_dir_open(p->dir, p->config, DISK_DIR, &dir);

	if (rc)
		return rc;
	if (*p->filter && filter_parse_tree(p->filter, strlen(p->filter), NULL, &filter, &err))
		rc = EXIT_USAGE; /* it was checked: no memory is left */
	rc = rc ?: extract(p, dir, &filter);
	filter_tree_done(&filter);
	close(dir);
	return rc;
}
