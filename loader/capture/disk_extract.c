// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/disk_extract.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/filter_tree.h"
#include "loader/capture/disk_file.h"
#include "loader/capture/disk_index.h"
#include "loader/capture/packet_match.h"
#include "weir/policy_map.h"

const char *const disk_fate_words[_DISK_FATES] = {
	[DISK_OUTSIDE] = "outside", [DISK_PASSED] = "passed_over", [DISK_READ] = "read",
	[DISK_DAMAGED] = "damaged", [DISK_GONE] = "gone",
};

/* An interface of the file that is written. */
struct iface {
	char name[IFACE_NAME_MAX];
	uint64_t seen, taken;
};

struct extract {
	const struct disk_ask *ask;
	struct disk_found *found;
	FILE *out;
	uint32_t ifaces;
	struct iface iface[BLOCKS_IFACES_MAX];
	struct disk_file file; /* the one that is read */
	uint8_t block[BLOCKS_ROOM];
};

static int write_block(struct extract *e, size_t len)
{
	if (fwrite(e->block, 1, len, e->out) != len)
		return -errno;
	e->found->bytes += len;
	return 0;
}

/* Number of the interface of that name in what is written. Return: -E2BIG: there are too many. */
static int iface_of(struct extract *e, const char *name)
{
	uint32_t i = 0;
	int r;

	while (i < e->ifaces && strcmp(e->iface[i].name, name) != 0)
		i++;
	if (i < e->ifaces)
		return (int)i;
	if (i == BLOCKS_IFACES_MAX)
		return -E2BIG;
	e->iface[i] = (struct iface){};
	memcpy(e->iface[i].name, name, IFACE_NAME_MAX);
	e->ifaces++;
	r = write_block(e, pcapng_interface(e->block, name, e->ask->snaplen ?: RECENT_LEN_MAX));
	return r ?: (int)i;
}

static bool is_wanted(const struct extract *e, const struct pcapng_packet *p)
{
	const struct packet_seen s = {
		.bytes = p->bytes,
		.len = p->len,
		.wire_len = p->wire_len,
		.iface = e->file.iface[p->iface],
		.verdict = p->comment	   ? VERDICT_RESET
			   : p->verdict_by ? VERDICT_DROP
					   : VERDICT_PASS,
	};

	return packet_match(e->ask->filter ? e->ask->filter->filter : NULL, &s);
}

/* One of the time that is wanted. Return: 1: written; 0: not wanted; -errno. */
static int take(struct extract *e, const struct pcapng_packet *p)
{
	struct disk_found *n = e->found;
	struct pcapng_packet out = *p;
	int i = iface_of(e, e->file.iface[p->iface]), r;

	if (i < 0)
		return i;
	e->iface[i].seen++;
	if (!is_wanted(e, p))
		return 0;
	out.iface = (uint32_t)i;
	if (e->ask->snaplen && out.len > e->ask->snaplen)
		out.len = e->ask->snaplen;
	r = write_block(e, pcapng_packet(e->block, &out));
	if (r)
		return r;
	e->iface[i].taken++;
	n->first_ns = !n->packets || p->ns < n->first_ns ? p->ns : n->first_ns;
	n->last_ns = p->ns > n->last_ns ? p->ns : n->last_ns;
	n->packets++;
	return 1;
}

static bool is_enough(const struct extract *e)
{
	return (e->ask->count && e->found->packets == e->ask->count) ||
	       (e->ask->end && *e->ask->end);
}

/* All of it that is wanted. Return: 1: some was of that time; 0; -errno. */
static int read_file(struct extract *e)
{
	struct pcapng_packet p;
	int r = 0, any = 0;

	while (!is_enough(e) && (r = disk_file_next(&e->file, &p)) > 0) {
		if (p.ns < e->ask->from_ns || p.ns >= e->ask->to_ns)
			continue;
		any = 1;
		r = take(e, &p);
		if (r < 0)
			break;
	}
	return r < 0 ? r : any;
}

static int read_id(struct extract *e, int dir, const char *id, enum disk_fate *ret)
{
	const int fd = store_open_file(dir, id);
	int r;

	*ret = DISK_GONE;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = disk_file_open(&e->file, fd);
	if (!r) {
		r = read_file(e);
		*ret = e->file.damaged ? DISK_DAMAGED : r ? DISK_READ : DISK_OUTSIDE;
		e->found->lost += r > 0 ? e->file.lost : 0;
		disk_file_close(&e->file);
	}
	close(fd);
	return r < 0 ? r : 0;
}

/* What its index says of it; true: it has to be read. One that is being written has none. */
static bool is_to_be_read(struct extract *e, int dir, const struct store_file *f,
			  enum disk_fate *ret)
{
	const struct disk_ask *a = e->ask;
	struct disk_index x;
	bool read = true;

	if (f->part || disk_index_load(dir, f->id, &x))
		return true;
	if (x.bytes == f->bytes) {
		read = x.first_ns < a->to_ns && x.last_ns >= a->from_ns;
		*ret = DISK_OUTSIDE;
		if (read && a->filter && !disk_index_may(&x, &a->filter->ast)) {
			read = false;
			*ret = DISK_PASSED;
			e->found->lost += x.lost;
		}
	}
	disk_index_done(&x);
	return read;
}

static int visit(struct extract *e, int dir, const struct store_file *f)
{
	const uint64_t before = e->found->packets;
	enum disk_fate fate = DISK_OUTSIDE;
	int r = is_to_be_read(e, dir, f, &fate) ? read_id(e, dir, f->id, &fate) : 0;

	e->found->files[fate]++;
	if (e->ask->tell)
		e->ask->tell(f->id, fate, e->found->packets - before);
	return r;
}

static int put_totals(struct extract *e)
{
	struct timespec ts;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	for (uint32_t i = 0; i < e->ifaces && !r; i++) {
		const struct pcapng_totals t = {
			.iface = i,
			.ns = (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec,
			.received = e->iface[i].seen,
			.dropped = i ? 0 : e->found->lost,
			.taken = e->iface[i].taken,
		};

		r = write_block(e, pcapng_totals(e->block, &t));
	}
	return r;
}

int disk_extract(int dir, const struct disk_ask *ask, FILE *out, struct disk_found *ret)
{
	struct extract *e = calloc(1, sizeof(*e));
	struct store_file *f = NULL;
	size_t n = 0;
	int r = e ? store_list(dir, &f, &n) : -ENOMEM;

	*ret = (struct disk_found){};
	if (!r) {
		e->ask = ask;
		e->found = ret;
		e->out = out;
		r = write_block(e, pcapng_section(e->block, "weir " WEIR_VERSION, "Linux", NULL));
	}
	for (size_t i = 0; !r && i < n && !is_enough(e); i++)
		r = visit(e, dir, &f[i]);
	r = r ?: put_totals(e);
	if (!r && fflush(out))
		r = -errno;
	free(f);
	free(e);
	return r;
}
