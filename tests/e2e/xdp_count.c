// SPDX-License-Identifier: Apache-2.0
/*
 * xdp_count.c - xdp_count IFACE: counts what reaches IFACE by XDP until SIGTERM or SIGINT, then
 * prints `FRAMES BYTES` and detaches. Prints "ready" once it counts.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "xdp_count.skel.h"

static int sum_over_cpus(int map_fd, uint32_t key, uint64_t *ret)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *v = calloc(cpus > 0 ? cpus : 1, sizeof(*v));
	int r = v ? bpf_map_lookup_elem(map_fd, &key, v) : -1;

	*ret = 0;
	for (int i = 0; !r && i < cpus; i++)
		*ret += v[i];
	free(v);
	return r;
}

static int count(struct xdp_count_bpf *skel, unsigned int ifindex, sigset_t *until)
{
	struct bpf_link *link = bpf_program__attach_xdp(skel->progs.xdp_count, ifindex);
	uint64_t frames, bytes;
	int sig, r;

	if (!link)
		return -1;
	puts("ready");
	fflush(stdout);
	sigwait(until, &sig);
	r = sum_over_cpus(bpf_map__fd(skel->maps.seen), 0, &frames);
	r = r ? r : sum_over_cpus(bpf_map__fd(skel->maps.seen), 1, &bytes);
	bpf_link__destroy(link);
	if (!r)
		printf("%llu %llu\n", (unsigned long long)frames, (unsigned long long)bytes);
	return r;
}

int main(int argc, char **argv)
{
	unsigned int ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0;
	struct xdp_count_bpf *skel;
	sigset_t until;
	int r;

	sigemptyset(&until);
	sigaddset(&until, SIGTERM);
	sigaddset(&until, SIGINT);
	sigprocmask(SIG_BLOCK, &until, NULL);
	if (!ifindex) {
		fputs("usage: xdp_count IFACE\n", stderr);
		return 2;
	}
	skel = xdp_count_bpf__open_and_load();
	r = skel ? count(skel, ifindex, &until) : -1;
	xdp_count_bpf__destroy(skel);
	if (r)
		perror("xdp_count");
	return r ? 1 : 0;
}
