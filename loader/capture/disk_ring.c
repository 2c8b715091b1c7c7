// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/disk_ring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "common/log.h"
#include "common/scan.h"
#include "loader/capture/recorder_int.h"

#define NS_PER_S UINT64_C(1000000000)
#define AGAIN_NS NS_PER_S	 /* after the disk did not take something */
#define SAY_NS	 (60 * NS_PER_S) /* of one error, not more often */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void add(uint64_t *count, uint64_t n)
{
	__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

static void set(uint64_t *gauge, uint64_t v)
{
	__atomic_store_n(gauge, v, __ATOMIC_RELAXED);
}

static struct disk_cfg wanted(const struct disk_ring *d)
{
	const struct disk_cfg *c = &d->board->cfg;

	return (struct disk_cfg){.quota = __atomic_load_n(&c->quota, __ATOMIC_RELAXED),
				 .file_bytes = __atomic_load_n(&c->file_bytes, __ATOMIC_RELAXED),
				 .file_ns = __atomic_load_n(&c->file_ns, __ATOMIC_RELAXED)};
}

bool disk_ring_is_on(const struct disk_ring *d)
{
	return wanted(d).quota;
}

/* ---- what goes wrong ---- */

static void say(struct disk_ring *d, int r)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (d->said_ns && now - d->said_ns < SAY_NS)
		return;
	d->said_ns = now;
	log_error("disk", "packets can't be written to " DISK_DIR "/ of capture.dir: %s%s",
		  strerror(-r),
		  r == -ENOSPC || r == -EDQUOT ? " — capture.disk asks for more than there is"
					       : "");
}

/* ---- room ---- */

static uint64_t size_of_index(int dir, const char *id)
{
	char name[STORE_NAME];
	struct stat st;

	disk_index_name(id, name);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : (uint64_t)st.st_size;
}

/* The index first: a file without one can be read. */
static int remove_file(int dir, const char *id)
{
	char name[STORE_NAME];

	disk_index_remove(dir, id);
	store_name(id, false, name);
	return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
}

/* The oldest complete files go until @want fits under @quota, and @least of them. Return: 0, -errno. */
static int make_room(struct disk_ring *d, uint64_t quota, uint64_t want, size_t least)
{
	struct store_file *f = NULL;
	uint64_t sum = 0, oldest = 0;
	size_t n = 0, gone = 0, left;
	int r = store_list(d->dir, &f, &n);

	for (size_t i = 0; i < n; i++) {
		f[i].bytes += size_of_index(d->dir, f[i].id);
		sum += f[i].bytes;
	}
	for (left = n; !r && gone < n && !f[gone].part; gone++) {
		if (gone >= least && sum + want <= quota && left < DISK_FILES)
			break;
		r = remove_file(d->dir, f[gone].id);
		sum -= f[gone].bytes;
		left--;
		add(&d->board->removed, 1);
	}
	if (gone < n)
		scan_hex(f[gone].id, UINT64_MAX, &oldest);
	set(&d->board->kept_bytes, sum);
	set(&d->board->kept_files, n - gone);
	set(&d->board->oldest_ns, oldest);
	free(f);
	return r ?: sum + want > quota ? -ENOSPC : 0;
}

/* ---- a file ---- */

static int create(struct disk_ring *d)
{
	const uint64_t wall_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	char name[STORE_NAME];
	int r;

	d->file.blocks = (struct blocks){
		.table = d->table, .wall_ns = (int64_t)wall_ns, .snaplen = RECENT_LEN_MAX};
	r = disk_index_init(&d->index, d->max);
	if (r)
		return r;
	store_new_id(&d->last_id, d->id);
	store_name(d->id, true, name);
	r = packet_file_begin(&d->file, d->dir, name, NULL);
	if (r)
		disk_index_done(&d->index);
	else
		__atomic_store_n(&d->board->wall_ns, (int64_t)wall_ns, __ATOMIC_RELAXED);
	return r;
}

static int begin(struct disk_ring *d, uint64_t now_ns)
{
	int r;

	d->max = d->of.file_bytes < d->of.quota / DISK_SHARE ? d->of.file_bytes
							     : d->of.quota / DISK_SHARE;
	r = make_room(d, d->of.quota, d->max + disk_index_most(d->max), 0);
	r = r ?: create(d);
	if (r)
		return r;
	d->open = true;
	d->end_ns = now_ns + d->of.file_ns;
	d->lost_said = d->packets_counted = 0;
	add(&d->board->files, 1);
	return 0;
}

/* What became of packets, so far. */
static void count(struct disk_ring *d)
{
	const uint64_t lost = recent_lost(d->reader);
	uint64_t packets;

	add(&d->board->lost, lost - d->lost_counted);
	d->lost_counted = lost;
	if (!d->open)
		return;
	packets = packet_file_packets(&d->file) - d->file.waiting;
	add(&d->board->packets, packets - d->packets_counted);
	d->packets_counted = packets;
}

/* Packets that were taken and are in no file: the next that can says so. */
static void lose(struct disk_ring *d, uint64_t packets)
{
	d->unwritten += packets;
	add(&d->board->unwritten, packets);
}

/* Not at once again: the ring in memory has them meanwhile. On a full disk older packets give way. */
static void fail(struct disk_ring *d, int r)
{
	add(&d->board->failed, 1);
	d->again_ns = clock_ns(CLOCK_MONOTONIC) + AGAIN_NS;
	say(d, r);
	if (r == -ENOSPC || r == -EDQUOT)
		make_room(d, d->of.quota, 0, 1);
}

static uint64_t lost_here(const struct disk_ring *d)
{
	return recent_lost(d->reader) - d->lost_before + d->unwritten;
}

/* Its index and its name. */
static void settle(struct disk_ring *d, uint64_t packets, uint64_t lost)
{
	char part[STORE_NAME], whole[STORE_NAME];
	int64_t index = 0;

	store_name(d->id, true, part);
	store_name(d->id, false, whole);
	if (packets) {
		d->index.bytes = d->file.bytes;
		d->index.packets = packets;
		d->index.lost = lost;
		index = disk_index_save(d->dir, d->id, &d->index);
		add(&d->board->bytes, d->file.bytes + (index > 0 ? (uint64_t)index : 0));
	}
	if (packets ? renameat(d->dir, part, d->dir, whole) : unlinkat(d->dir, part, 0))
		say(d, -errno);
}

/* What is whole in it stays. @r: why it goes on no more, if something failed. */
static void finish(struct disk_ring *d, int r)
{
	const uint64_t lost = lost_here(d);
	uint64_t said;

	r = r ?: packet_file_account(&d->file, lost, clock_ns(CLOCK_REALTIME));
	said = r ? d->lost_said : lost;
	count(d);
	settle(d, d->packets_counted, said);
	d->lost_before = recent_lost(d->reader);
	d->unwritten = d->packets_counted ? lost - said : lost;
	if (r)
		lose(d, d->file.waiting);
	d->open = false;
	disk_index_done(&d->index);
	packet_file_done(&d->file);
	make_room(d, d->of.quota, 0, 0);
	if (r)
		fail(d, r);
}

/* ---- packets ---- */

static void put_index(struct disk_ring *d, const struct recent_packet *p)
{
	static const struct parse_cfg outer;
	struct pkt k = {};
	const bool parsed = !parse_frame(p->bytes, p->head.len, p->head.wire_len, &outer, &k);

	disk_index_add(&d->index, p->head.ns + (uint64_t)d->file.blocks.wall_ns,
		       parsed ? &k : NULL);
}

/* Into the file, or, where that is as long as it may be, into the next. */
static void take(struct disk_ring *d, const struct recent_packet *p, uint64_t now_ns)
{
	int r = 0;

	for (unsigned int i = 0; i < 2 && !r; i++) {
		if (i)
			finish(d, 0);
		r = d->open ? 0 : begin(d, now_ns);
		r = r ?: packet_file_put(&d->file, p, d->max);
	}
	if (r > 0) {
		put_index(d, p);
		return;
	}
	lose(d, 1);
	if (d->open)
		finish(d, r ?: -EFBIG);
	else
		fail(d, r);
}

/* The reader begins where the last file of this weir ends, whatever ended it. */
static bool is_ready(struct disk_ring *d, uint64_t now_ns)
{
	const int64_t wall_ns = __atomic_load_n(&d->board->wall_ns, __ATOMIC_RELAXED);
	uint64_t last = 0;
	int r;

	if (now_ns < d->again_ns)
		return false;
	if (d->reader)
		return true;
	if (!d->is_ours && flock(d->dir, LOCK_EX | LOCK_NB)) {
		if (!d->is_told)
			log_info("disk", "another weir writes there still");
		d->is_told = true;
		d->again_ns = now_ns + AGAIN_NS;
		return false;
	}
	d->is_ours = true;
	r = disk_ring_mend(d->dir, &last);
	if (r)
		say(d, r);
	r = recent_open(d->dp, last && wall_ns ? last - (uint64_t)wall_ns + 1 : 0, &d->reader);
	d->lost_before = d->lost_counted = 0;
	if (r)
		fail(d, r);
	return !r;
}

/* What the programs wrote over before it was read is said at once, in the file too. */
static int say_lost(struct disk_ring *d)
{
	const uint64_t lost = lost_here(d);
	const int r = lost == d->lost_said
			      ? 0
			      : packet_file_lost(&d->file, lost, clock_ns(CLOCK_REALTIME));

	if (!r)
		d->lost_said = lost;
	return r;
}

/* Another size, by a reload. */
static void change(struct disk_ring *d, const struct disk_cfg *want)
{
	if (d->open)
		finish(d, 0);
	d->of = *want;
	make_room(d, want->quota, 0, 0);
}

bool disk_ring_step(struct disk_ring *d, uint64_t now_ns)
{
	const struct disk_cfg want = wanted(d);
	struct recent_packet p;
	unsigned int n = 0;
	int r;

	if (!want.quota)
		disk_ring_stop(d);
	if (!want.quota || !is_ready(d, now_ns))
		return false;
	if (memcmp(&want, &d->of, sizeof(want)) != 0)
		change(d, &want);
	if (d->open && now_ns >= d->end_ns)
		finish(d, 0);
	while (n < RECORDER_LOOK && now_ns >= d->again_ns &&
	       recent_next(d->reader, now_ns - RECORDER_SETTLE_NS, &p)) {
		take(d, &p, now_ns);
		n++;
	}
	r = d->open ? say_lost(d) : 0;
	if (d->open && n < RECORDER_LOOK)
		r = r ?: packet_file_flush(&d->file);
	if (r)
		finish(d, r);
	count(d);
	return n == RECORDER_LOOK;
}

void disk_ring_stop(struct disk_ring *d)
{
	if (d->open)
		finish(d, 0);
	if (d->reader)
		d->unwritten = lost_here(d);
	d->reader = recent_close(d->reader);
}
