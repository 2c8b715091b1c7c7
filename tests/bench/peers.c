// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/peers.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.skel.h"
#include "filter.skel.h"
#include "peer.skel.h"
#include "weir.skel.h"

#define FILTER_DIR   "/usr/lib/x86_64-linux-gnu/bpf/"
#define FILTER_LISTS 1000u /* addresses that the filter has to look through */
#define CPUS_MAX     1024

const char *const peer_names[_PEER_MAX] = {"hash", "lru", "percpu"};

/* weir's settings come first in the object that includes its source. */
_Static_assert(offsetof(struct peer_bpf__rodata, cfg_seed) ==
		       offsetof(struct weir_bpf__rodata, cfg_seed),
	       "settings differ");
_Static_assert(offsetof(struct peer_bpf__rodata, peer_percpu) >=
		       offsetof(struct weir_bpf__rodata, cfg_geneve_port),
	       "settings differ");

static int configure(const struct lab *l, struct peer_bpf *p, enum peer_kind kind, uint32_t entries,
		     bool tunnels)
{
	static const enum bpf_map_type types[_PEER_MAX] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH,
							   BPF_MAP_TYPE_PERCPU_HASH};
	struct bpf_program *prog;
	int r;

	bpf_object__for_each_program(prog, p->obj)
		bpf_program__set_autoload(prog, !strncmp(bpf_program__name(prog), "peer_", 5));
	memcpy(p->rodata, lab_settings(l), offsetof(struct peer_bpf__rodata, peer_percpu));
	p->rodata->cfg_decap_depth = tunnels ? 4 : 0;
	p->rodata->peer_percpu = kind == PEER_PERCPU;
	p->rodata->peer_tunnels = tunnels;
	r = bpf_map__set_type(p->maps.peer_flows, types[kind]);
	r = r
		    ?: bpf_map__set_key_size(p->maps.peer_flows,
					     tunnels ? PEER_KEY_TUNNEL : PEER_KEY_PLAIN);
	r = r ?: bpf_map__set_max_entries(p->maps.peer_flows, entries);
	r = r ?: lab_share_maps(p->obj, l->dp.object[0].skel->obj);
	return r ?: lab_share_maps(p->obj, l->plain->obj);
}

int peer_open(const struct lab *l, enum peer_kind kind, uint32_t entries, bool tunnels,
	      struct peer_bpf **ret)
{
	struct peer_bpf *p = peer_bpf__open();
	int r;

	if (!p)
		return -errno;
	r = configure(l, p, kind, entries, tunnels);
	r = r ?: peer_bpf__load(p);
	if (r < 0) {
		peer_bpf__destroy(p);
		return r;
	}
	*ret = p;
	return 0;
}

void peer_close(struct peer_bpf *p)
{
	peer_bpf__destroy(p);
}

int peer_read_stats(const struct peer_bpf *p, struct peer_stats *ret)
{
	static struct peer_stats per_cpu[CPUS_MAX];
	const uint32_t zero = 0;
	int cpus = libbpf_num_possible_cpus();

	*ret = (struct peer_stats){};
	if (cpus < 1 || cpus > CPUS_MAX)
		return -E2BIG;
	if (bpf_map_lookup_elem(bpf_map__fd(p->maps.peer_stats), &zero, per_cpu))
		return -errno;
	for (int i = 0; i < cpus; i++) {
		ret->inserted += per_cpu[i].inserted;
		ret->lost += per_cpu[i].lost;
	}
	return 0;
}

/* The same per-CPU value everywhere: {counter, flags of the entry}, as xdp-filter lays it out. */
static int list_address(int fd, uint32_t number, int cpus)
{
	static uint64_t value[CPUS_MAX];
	uint32_t addr = htonl(0xcb007100 + number); /* from 203.0.113.0 (RFC 5737) on */

	for (int i = 0; i < cpus; i++)
		value[i] = 2; /* source, as its MAP_FLAG_SRC */
	return bpf_map_update_elem(fd, &addr, value, BPF_ANY) ? -errno : 0;
}

static int fill_lists(struct bpf_object *obj)
{
	int fd = bpf_object__find_map_fd_by_name(obj, "filter_ipv4");
	int cpus = libbpf_num_possible_cpus(), r = 0;

	if (fd < 0 || cpus < 1 || cpus > CPUS_MAX)
		return -ENOENT;
	for (uint32_t i = 0; i < FILTER_LISTS && !r; i++)
		r = list_address(fd, i, cpus);
	return r;
}

static int load_filter(bool deny, struct filter *f)
{
	const char *path = deny ? FILTER_DIR "xdpfilt_dny_all.o" : FILTER_DIR "xdpfilt_alw_all.o";
	struct bpf_program *prog;
	struct bpf_map *map;
	int r;

	if (access(path, R_OK))
		return -ENOENT;
	f->obj = bpf_object__open_file(path, NULL);
	if (!f->obj)
		return -errno;
	bpf_object__for_each_map(map, f->obj)
	{
		r = bpf_map__set_pin_path(map, NULL);
		if (r < 0)
			return r;
	}
	r = bpf_object__load(f->obj);
	if (r < 0)
		return r;
	prog = bpf_object__next_program(f->obj, NULL);
	f->prog_fd = prog ? bpf_program__fd(prog) : -ENOENT;
	return f->prog_fd < 0 ? f->prog_fd : fill_lists(f->obj);
}

static int load_front(int target_fd, struct filter_bpf **ret)
{
	const uint32_t zero = 0;
	struct filter_bpf *b = filter_bpf__open_and_load();
	int fd;

	if (!b)
		return -errno;
	*ret = b;
	fd = target_fd < 0 ? bpf_program__fd(b->progs.filter_none) : target_fd;
	return bpf_map_update_elem(bpf_map__fd(b->maps.next), &zero, &fd, BPF_ANY) ? -errno : 0;
}

int filter_open(bool deny, struct filter *ret)
{
	int r;

	*ret = (struct filter){.prog_fd = -EBADF};
	r = load_filter(deny, ret);
	r = r ?: load_front(ret->prog_fd, &ret->front);
	return r ?: load_front(-EBADF, &ret->empty);
}

void filter_close(struct filter *f)
{
	filter_bpf__destroy(f->front);
	filter_bpf__destroy(f->empty);
	bpf_object__close(f->obj);
	*f = (struct filter){.prog_fd = -EBADF};
}
