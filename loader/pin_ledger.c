// SPDX-License-Identifier: Apache-2.0
/*
 * pin_ledger.c - the ledger under the directory of --pin, and tables of another layout beside ours: which
 * there are, mapped to be read to the end. A ledger of another size begins as a copy and takes the old
 * one's place by rename(2), so that at any moment there is one.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/dropped.h"
#include "loader/merge.h"
#include "loader/pin.h"
#include "weir/policy_map.h"

__attribute__((format(printf, 3, 4))) static int say(struct pin *p, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, sizeof(p->error), fmt, ap);
	va_end(ap);
	return r;
}

/* ---- older tables ---- */

/* A pinned map and what it is. Return: descriptor or -errno. */
static int open_map(const struct pin_older *o, const char *name, size_t value,
		    struct bpf_map_info *info)
{
	uint32_t len = sizeof(*info);
	char path[320];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", o->path, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	*info = (struct bpf_map_info){};
	r = bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
	if (!r && info->value_size != value)
		r = -ESTALE;
	if (!r)
		return fd;
	close(fd);
	return r;
}

struct mapped {
	void *mem;
	size_t bytes;
	uint32_t n; /* elements */
};

static int map_array(const struct pin_older *o, const char *name, size_t value, int prot,
		     struct mapped *ret)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bpf_map_info info;
	int fd = open_map(o, name, value, &info), r = 0;

	if (fd < 0)
		return fd;
	ret->n = info.max_entries;
	ret->bytes = ((size_t)info.max_entries * ((value + 7) / 8 * 8) + page - 1) / page * page;
	ret->mem = mmap(NULL, ret->bytes, prot, MAP_SHARED, fd, 0);
	if (ret->mem == MAP_FAILED) {
		ret->mem = NULL;
		r = -errno;
	}
	close(fd);
	return r;
}

static int map_ring(const struct pin_older *o, const char *name, struct ring *ret)
{
	struct bpf_map_info info;
	int fd = open_map(o, name, 0, &info), r;

	if (fd < 0)
		return fd;
	r = ring_open(ret, fd, info.max_entries);
	close(fd);
	return r;
}

/* One element: tables without verdicts. */
static void unmap_unused(const struct mapped *m, const void *used)
{
	if (m->mem && !used)
		munmap(m->mem, m->bytes);
}

static int map_tables(struct pin_older *o)
{
	struct mapped flows = {}, cold = {}, counters = {}, control = {}, dropped = {}, drops = {};
	struct dataplane *dp = &o->dp;
	int r;

	r = map_array(o, "flows", sizeof(struct flow_set), PROT_READ, &flows);
	r = r ?: map_array(o, "flows_cold", sizeof(struct flow_cold_set), PROT_READ, &cold);
	r = r ?: map_array(o, "counters", sizeof(struct counter_row), PROT_READ, &counters);
	r = r ?: map_array(o, "control", sizeof(struct control), PROT_READ | PROT_WRITE, &control);
	r = r
		    ?: map_array(o, "flows_dropped", sizeof(struct flow_dropped) * WEIR_WAYS,
				 PROT_READ, &dropped);
	r = r ?: map_array(o, "policy_drops", sizeof(struct drop_row), PROT_READ, &drops);
	*dp = (struct dataplane){
		.flows = flows.mem,
		.cold = cold.mem,
		.counters = counters.mem,
		.control = control.mem,
		.cpus = (int)counters.n,
		.slots = (size_t)flows.n * WEIR_WAYS,
		.dropped = dropped.n == cold.n ? dropped.mem : NULL,
		.drops = drops.n == counters.n * DROP_ROWS ? drops.mem : NULL,
		.map_bytes = {flows.bytes, cold.bytes, counters.bytes, control.bytes, dropped.bytes,
			      drops.bytes},
	};
	unmap_unused(&dropped, dp->dropped);
	unmap_unused(&drops, dp->drops);
	r = r ?: map_ring(o, "evicted", &dp->evicted);
	r = r ?: map_ring(o, "events", &dp->events);
	return r ?: flows.n >= cold.n ? r : -ESTALE;
}

void pin_older_unmap(struct pin *p, unsigned int i)
{
	struct ledger_part *part = &p->part[i + 1];

	if (part->mem)
		munmap(part->mem, ledger_tables_bytes(part->slots, part->marks));
	part->mem = NULL;
	dataplane_done(&p->older[i].dp);
	p->older[i].path[0] = '\0';
}

void pin_older_done(struct pin *p, unsigned int i)
{
	struct pin_older *o = &p->older[i];

	if (o->path[0])
		pin_older_unmap(p, i);
	if (o->lock >= 0)
		close(o->lock);
	o->lock = -1;
}

static int add_older(struct pin *p, const char *path)
{
	struct pin_older *o = &p->older[p->olders];
	struct ledger_part *part = &p->part[p->olders + 1];
	struct pin_meta meta;
	size_t bytes;
	char name[320];
	void *mem;
	int r;

	if (p->olders == LEDGER_TABLES_MAX - 1)
		return say(
			p, -ENOSPC,
			"%s: there are more tables than can be read at one time; start weir with "
			"the --flows of one of them",
			path);
	snprintf(o->path, sizeof(o->path), "%s", path);
	p->olders++;
	o->lock = pin_tables_lock(path);
	r = o->lock < 0 ? o->lock : pin_meta_read(path, &meta);
	r = r ?: map_tables(o);
	if (r)
		return say(p, r, "%s: %s", path, strerror(-r));
	snprintf(name, sizeof(name), "%s/read", path);
	bytes = ledger_tables_bytes(o->dp.slots, dropped_marks(&o->dp));
	r = pin_map_memory(p, name, bytes, &mem, &bytes);
	*part = (struct ledger_part){
		.mem = mem, .slots = o->dp.slots, .marks = dropped_marks(&o->dp), .id = meta.id};
	return r;
}

static bool is_broken(const char *path)
{
	return !pin_is_complete(path);
}

static bool is_older(const char *path)
{
	return pin_is_complete(path) && !pin_is_foreign(path);
}

static const struct pin *looking; /* whose tables is_new() has not seen */

static bool is_new(const char *path)
{
	for (unsigned int i = 0; i < looking->olders; i++)
		if (!strcmp(looking->older[i].path, path))
			return false;
	return is_older(path);
}

static int find_older(struct pin *p)
{
	char path[256];
	int r = 0;

	while (pin_find_tables(p, is_broken, p->tables, path, sizeof(path))) {
		pin_remove_tables(path);
		if (!access(path, F_OK))
			break; /* not ours to remove */
	}
	looking = p;
	while (!r && pin_find_tables(p, is_new, p->tables, path, sizeof(path)))
		r = add_older(p, path);
	return r;
}

/* In p->older[], the tables at place @i, and the part of them, go. */
static void drop(struct pin *p, unsigned int i)
{
	char path[256];

	memcpy(path, p->older[i].path, sizeof(path));
	pin_older_unmap(p, i);
	pin_remove_tables(path);
	pin_older_done(p, i); /* who would begin there finds that they are gone */
}

void pin_older_drop(struct pin *p, uint32_t id)
{
	for (unsigned int i = 0; i < p->olders; i++)
		if (p->older[i].path[0] && p->part[i + 1].id == id)
			drop(p, i);
}

/* A weir was killed between the end of reading and the removal. */
static void drop_ended(struct pin *p, const struct ledger *l)
{
	for (unsigned int i = p->olders; i-- > 0;) {
		if (!ledger_has_ended(l, p->part[i + 1].id))
			continue;
		drop(p, i);
		p->olders--;
		memmove(&p->older[i], &p->older[i + 1], (p->olders - i) * sizeof(p->older[0]));
		memmove(&p->part[i + 1], &p->part[i + 2], (p->olders - i) * sizeof(p->part[0]));
	}
}

/* ---- the ledger ---- */

/* Another one with room for @flows, that begins where @from is, takes its place. */
static int move_ledger(struct pin *p, const char *path, uint32_t flows, const struct ledger *from)
{
	size_t bytes = ledger_bytes(flows);
	struct ledger to;
	char new[256];
	void *mem;
	int r;

	snprintf(new, sizeof(new), "%s/ledger-new", p->dir);
	(void)unlink(new); /* one whose making was cut short */
	r = pin_map_memory(p, new, bytes, &mem, &bytes);
	if (r)
		return r;
	ledger_move(&to, mem, flows, from);
	merge_move_flows(&to, from);
	ledger_moved(&to);
	if (rename(new, path)) {
		r = -errno;
		munmap(mem, bytes);
		return say(p, r, "%s: %s", path, strerror(-r));
	}
	munmap(p->ledger, p->ledger_bytes);
	p->ledger = mem;
	p->ledger_bytes = bytes;
	p->max_flows = flows;
	return 0;
}

bool pin_has_ended(struct pin *p, uint32_t id)
{
	char path[256];
	size_t bytes;
	void *mem;
	bool ended;

	snprintf(path, sizeof(path), "%s/ledger", p->dir);
	if (access(path, F_OK) || pin_map_memory(p, path, 0, &mem, &bytes))
		return false; /* pin_ledger() says what is wrong with it */
	ended = ledger_at_has_ended(mem, id);
	munmap(mem, bytes);
	return ended;
}

int pin_ledger(struct pin *p, uint32_t max_flows)
{
	char path[256];
	struct ledger l;
	uint32_t flows;
	int r = find_older(p);

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/ledger", p->dir);
	r = pin_map_memory(p, path, access(path, F_OK) ? ledger_bytes(max_flows) : 0, &p->ledger,
			   &p->ledger_bytes);
	if (r)
		return r;
	r = ledger_room(p->ledger, &p->max_flows);
	p->max_flows = p->max_flows ?: max_flows;
	r = r ?: ledger_bytes(p->max_flows) != p->ledger_bytes ? -ESTALE : 0;
	r = r ?: ledger_open(&l, p->ledger, p->max_flows, p->part, p->olders + 1);
	if (r)
		return say(
			p, r,
			"%s is of another version of weir, which alone can read it: start that version "
			"as it was and stop it; or 'weir detach --all' forgets it",
			path);
	drop_ended(p, &l);
	flows = merge_flows_in(&l);
	flows = flows > max_flows ? flows : max_flows;
	return flows == p->max_flows ? 0 : move_ledger(p, path, flows, &l);
}
