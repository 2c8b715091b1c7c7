// SPDX-License-Identifier: Apache-2.0
/*
 * kernel.c - see kernel.h.
 */
#include "loader/mirror/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "loader/policy/table.h"
#include "mirror.skel.h"

#define LOCK_NAME "weir-mirror"
/* What is in the pair's queue comes out within a softirq or two. */
#define DRAIN_TRIES 50
#define DRAIN_NS    2000000

__attribute__((format(printf, 3, 4))) static int fail(struct mirror_kernel *k, int r,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->error, sizeof(k->error), fmt, ap);
	va_end(ap);
	return r;
}

/* ---- one at a time, and nothing left over ---- */

/* A socket of an abstract name (unix(7)), of which each network namespace has its own. It goes with us. */
static int lock(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	memcpy(a.sun_path + 1, LOCK_NAME, strlen(LOCK_NAME));
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	r = errno == EADDRINUSE ? -EBUSY : -errno;
	close(fd);
	return r;
}

static void remove_filters(unsigned int ifindex)
{
	for (int egress = 0; egress < 2; egress++) {
		const struct tc_place at = {
			.ifindex = ifindex, .egress = egress, .priority = TC_MIRROR_PRIORITY};

		tc_filter_remove(&at);
	}
}

/* Filters of a kernel without TCX outlive who put them there. */
static int sweep(void)
{
	struct if_nameindex *list = if_nameindex();
	int n = mirror_pair_remove();

	for (struct if_nameindex *i = list; i && i->if_index; i++)
		remove_filters(i->if_index);
	if (list)
		if_freenameindex(list);
	return n;
}

int mirror_sweep(void)
{
	int fd = lock(), n;

	if (fd < 0)
		return fd;
	n = sweep();
	close(fd);
	return n;
}

void mirror_kernel_init(struct mirror_kernel *k, const struct dataplane *dp)
{
	*k = (struct mirror_kernel){
		.dp = dp, .lock = -1, .end = {{.link_fd = -1}, {.link_fd = -1}}};
	(void)mirror_sweep(); /* another weir's are that one's matter */
}

/* ---- load ---- */

/* Tables of the flows' programs that come with their parser and are not used here. */
static bool is_used(const char *name)
{
	static const char *const used[] = {"parser",	    "fragments",    "control",
					   "scratch",	    "counters",	    "verdict_works",
					   "mirror_rules",  "mirror_table", "mirror_counts",
					   "mirror_totals", "mirror_works"};

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		if (!strcmp(name, used[i]))
			return true;
	return false;
}

static int choose_maps(struct mirror_kernel *k)
{
	struct bpf_map *map;
	int r = 0;

	bpf_object__for_each_map(map, k->skel->obj) if (!r && !bpf_map__is_internal(map) &&
							!is_used(bpf_map__name(map)))
		r = bpf_map__set_autocreate(map, false);
	r = r ?: bpf_map__set_max_entries(k->skel->maps.counters, (uint32_t)k->cpus);
	r = r
		    ?: bpf_map__set_max_entries(k->skel->maps.mirror_counts,
						(uint32_t)k->cpus * MIRROR_SESSIONS);
	return r ?: bpf_map__reuse_fd(k->skel->maps.mirror_totals, dataplane_counters_fd(k->dp));
}

static int load(struct mirror_kernel *k)
{
	int r;

	k->cpus = libbpf_num_possible_cpus();
	k->skel = mirror_bpf__open();
	if (!k->skel)
		return -errno;
	k->skel->rodata->cfg_mirror_pair = k->pair[0];
	for (size_t i = 0; i < sizeof(k->skel->rodata->cfg_seed) / 8; i++)
		if (getrandom((void *)(uintptr_t)&k->skel->rodata->cfg_seed[i], 8, 0) != 8)
			return -EIO;
	r = choose_maps(k);
	return r ?: mirror_bpf__load(k->skel);
}

static size_t map_bytes(const struct bpf_map *map)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return ((size_t)bpf_map__max_entries(map) * bpf_map__value_size(map) + page - 1) / page *
	       page;
}

static void *map_in(const struct bpf_map *map)
{
	void *p =
		mmap(NULL, map_bytes(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

static int map_all(struct mirror_kernel *k)
{
	k->table = map_in(k->skel->maps.mirror_table);
	k->rules = map_in(k->skel->maps.mirror_rules);
	k->counts = map_in(k->skel->maps.mirror_counts);
	return k->table && k->rules && k->counts ? 0 : -ENOMEM;
}

static int hold_ends(struct mirror_kernel *k)
{
	const struct tc_place near = {.ifindex = k->pair[0],
				      .egress = true,
				      .priority = TC_MIRROR_PRIORITY},
			      far = {.ifindex = k->pair[1], .priority = TC_MIRROR_PRIORITY};
	int r = tc_hold(&near, bpf_program__fd(k->skel->progs.mirror_near), &k->end[0]);

	return r ?: tc_hold(&far, bpf_program__fd(k->skel->progs.mirror_far), &k->end[1]);
}

int mirror_kernel_open(struct mirror_kernel *k)
{
	int r;

	if (k->skel)
		return 0;
	k->lock = lock();
	if (k->lock < 0)
		return fail(k, k->lock, "another weir mirrors in this network namespace");
	sweep();
	r = mirror_pair_make(k->pair);
	if (r)
		fail(k, r, "the private pair of veth devices: %s", strerror(-r));
	if (!r) {
		r = load(k);
		r = r ?: map_all(k);
		r = r ?: hold_ends(k);
		if (r)
			fail(k, r, "load the mirror's programs: %s", strerror(-r));
	}
	if (r)
		mirror_kernel_close(k);
	return r;
}

/* ---- interfaces ---- */

static struct tc_place seat_place(unsigned int ifindex, int egress)
{
	/* behind the flows' programs: what policy drops is not mirrored */
	return (struct tc_place){
		.ifindex = ifindex, .egress = egress, .priority = TC_MIRROR_PRIORITY};
}

static void leave_seat(struct mirror_kernel *k, unsigned int i)
{
	for (int egress = 0; egress < 2; egress++) {
		const struct tc_place at = seat_place(k->seat[i].ifindex, egress);

		tc_let_go(&at, &k->seat[i].held[egress]);
	}
	k->seat[i] = k->seat[--k->seats];
}

static int take_seat(struct mirror_kernel *k, unsigned int ifindex)
{
	const int prog[2] = {bpf_program__fd(k->skel->progs.mirror_in),
			     bpf_program__fd(k->skel->progs.mirror_out)};
	struct mirror_seat *more = reallocarray(k->seat, k->seats + 1, sizeof(*more));
	struct mirror_seat *s;
	int r = 0;

	if (!more)
		return -ENOMEM;
	k->seat = more;
	s = &k->seat[k->seats++];
	*s = (struct mirror_seat){.ifindex = ifindex, .held = {{.link_fd = -1}, {.link_fd = -1}}};
	for (int egress = 0; egress < 2 && !r; egress++) {
		const struct tc_place at = seat_place(ifindex, egress);

		r = tc_hold(&at, prog[egress], &s->held[egress]);
	}
	if (r)
		leave_seat(k, k->seats - 1);
	return r;
}

static bool is_among(unsigned int ifindex, const unsigned int *all, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (all[i] == ifindex)
			return true;
	return false;
}

static bool has_seat(const struct mirror_kernel *k, unsigned int ifindex)
{
	for (unsigned int i = 0; i < k->seats; i++)
		if (k->seat[i].ifindex == ifindex)
			return true;
	return false;
}

int mirror_kernel_seats(struct mirror_kernel *k, const unsigned int *ifindex, unsigned int n)
{
	int r = 0, one;

	for (unsigned int i = k->seats; i-- > 0;)
		if (!is_among(k->seat[i].ifindex, ifindex, n))
			leave_seat(k, i);
	for (unsigned int i = 0; i < n; i++) {
		if (has_seat(k, ifindex[i]))
			continue;
		one = take_seat(k, ifindex[i]);
		if (one && !r)
			r = fail(k, one, "attach to interface %u: %s", ifindex[i], strerror(-one));
	}
	return r;
}

void mirror_kernel_close(struct mirror_kernel *k)
{
	const struct tc_place near = {.ifindex = k->pair[0],
				      .egress = true,
				      .priority = TC_MIRROR_PRIORITY},
			      far = {.ifindex = k->pair[1], .priority = TC_MIRROR_PRIORITY};

	while (k->seats)
		leave_seat(k, k->seats - 1);
	free(k->seat);
	k->seat = NULL;
	if (k->pair[0]) {
		tc_let_go(&near, &k->end[0]);
		tc_let_go(&far, &k->end[1]);
		mirror_pair_remove();
	}
	if (k->table)
		munmap(k->table, map_bytes(k->skel->maps.mirror_table));
	if (k->rules)
		munmap(k->rules, map_bytes(k->skel->maps.mirror_rules));
	if (k->counts)
		munmap(k->counts, map_bytes(k->skel->maps.mirror_counts));
	mirror_bpf__destroy(k->skel);
	if (k->lock >= 0)
		close(k->lock);
	k->skel = NULL;
	k->table = NULL;
	k->rules = NULL;
	k->counts = NULL;
	k->pair[0] = k->pair[1] = 0;
	k->lock = -1;
}

/* ---- sessions ---- */

void mirror_kernel_put(struct mirror_kernel *k, unsigned int element,
		       const struct mirror_session *s, const struct policy_rule *rules)
{
	for (int cpu = 0; cpu < k->cpus; cpu++)
		k->counts[(unsigned int)cpu * MIRROR_SESSIONS + element] = (struct mirror_count){};
	for (uint32_t i = 0; i < s->rules; i++) {
		struct policy_version *v = &k->rules[element * MIRROR_RULES + i];

		*v = (struct policy_version){.action = rules[i].action,
					     .direction = rules[i].direction,
					     .number = rules[i].number};
		policy_version_match(&rules[i].match, v);
	}
	k->table->session[element] = *s;
}

void mirror_kernel_order(struct mirror_kernel *k, const unsigned int *element, unsigned int n)
{
	uint64_t order = 0;

	while (n-- > 0)
		order = order << 4 | (element[n] + 1);
	__atomic_store_n(&k->table->order, order, __ATOMIC_RELEASE);
}

void mirror_kernel_count(const struct mirror_kernel *k, unsigned int element,
			 struct mirror_count *ret)
{
	*ret = (struct mirror_count){};
	for (int cpu = 0; cpu < k->cpus; cpu++) {
		const struct mirror_count *c =
			&k->counts[(unsigned int)cpu * MIRROR_SESSIONS + element];

#define MIRROR_COUNT(member, counter, help) \
	ret->member += __atomic_load_n(&c->member, __ATOMIC_RELAXED);
#include "weir/mirror_counts.def"
#undef MIRROR_COUNT
		/* in this order: what came out has been put in */
		ret->dequeued += __atomic_load_n(&c->dequeued, __ATOMIC_ACQUIRE);
		ret->queued += __atomic_load_n(&c->queued, __ATOMIC_RELAXED);
	}
}

void mirror_kernel_end(struct mirror_kernel *k, unsigned int element)
{
	const struct timespec pause = {.tv_nsec = DRAIN_NS};
	struct mirror_count c;

	__atomic_store_n(&k->table->session[element].rules, 0, __ATOMIC_RELEASE);
	policy_grace(); /* programs that saw it end */
	for (int i = 0; i < DRAIN_TRIES; i++) {
		mirror_kernel_count(k, element, &c);
		if (c.queued == c.dequeued)
			break;
		nanosleep(&pause, NULL);
	}
	k->table->session[element].to = 0;
}
