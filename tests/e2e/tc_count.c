// SPDX-License-Identifier: Apache-2.0
/*
 * tc_count.c - another TC program on the interface, and what is attached there.
 *   tc_count IFACE show                            one line `ingress|egress NAME` for each TCX program
 *   tc_count IFACE tcx|clsact ingress|egress       attach a counting program; on SIGTERM or SIGINT
 *                                                  print the packets it saw, and take it off
 * Prints "ready" once it counts. The kernel's TCX is asked for by number: headers may be older.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tc_count.skel.h"

#define TCX_INGRESS 46 /* linux/bpf.h of kernel 6.6: BPF_TCX_INGRESS, BPF_TCX_EGRESS */
#define TCX_EGRESS  47
#define PROGS_MAX   64

static void print_name(const char *where, uint32_t id)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		printf("%s %u\n", where, id);
	else
		printf("%s %s\n", where, info.name);
	if (fd >= 0)
		close(fd);
}

static int show(unsigned int ifindex)
{
	static const char *const name[] = {"ingress", "egress"};

	for (int i = 0; i < 2; i++) {
		uint32_t ids[PROGS_MAX];
		union bpf_attr attr = {};

		attr.query.target_fd = ifindex;
		attr.query.attach_type = i ? TCX_EGRESS : TCX_INGRESS;
		attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
		attr.query.prog_cnt = PROGS_MAX;
		if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)))
			return errno == EINVAL ? 0 : -errno; /* a kernel without TCX has none */
		for (uint32_t n = 0; n < attr.query.prog_cnt; n++)
			print_name(name[i], ids[n]);
	}
	return 0;
}

static int attach_tcx(int prog_fd, unsigned int ifindex, bool egress)
{
	union bpf_attr attr = {};

	attr.link_create.prog_fd = prog_fd;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = egress ? TCX_EGRESS : TCX_INGRESS;
	return syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int clsact(int prog_fd, unsigned int ifindex, bool egress, bool attach)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int r;

	if (!attach)
		return bpf_tc_detach(&hook, &opts);
	opts.prog_fd = prog_fd;
	r = bpf_tc_hook_create(&hook);
	return r && r != -EEXIST ? r : bpf_tc_attach(&hook, &opts);
}

static int count(unsigned int ifindex, bool tcx, bool egress, sigset_t *until)
{
	struct tc_count_bpf *skel = tc_count_bpf__open_and_load();
	int fd = skel ? bpf_program__fd(skel->progs.tc_count) : -1, sig, r = skel ? 0 : -errno;
	uint32_t zero = 0;
	uint64_t seen;

	if (!r)
		r = tcx ? attach_tcx(fd, ifindex, egress) : clsact(fd, ifindex, egress, true);
	if (!r) {
		puts("ready");
		fflush(stdout);
		sigwait(until, &sig);
		r = bpf_map_lookup_elem(bpf_map__fd(skel->maps.seen), &zero, &seen);
		if (!r)
			printf("%llu\n", (unsigned long long)seen);
		if (!tcx)
			clsact(fd, ifindex, egress, false);
	}
	tc_count_bpf__destroy(skel);
	return r;
}

int main(int argc, char **argv)
{
	unsigned int ifindex = argc > 2 ? if_nametoindex(argv[1]) : 0;
	sigset_t until;
	int r;

	sigemptyset(&until);
	sigaddset(&until, SIGTERM);
	sigaddset(&until, SIGINT);
	sigprocmask(SIG_BLOCK, &until, NULL);
	if (ifindex && argc == 3 && !strcmp(argv[2], "show")) {
		r = show(ifindex);
	} else if (ifindex && argc == 4) {
		r = count(ifindex, !strcmp(argv[2], "tcx"), !strcmp(argv[3], "egress"), &until);
	} else {
		fputs("usage: tc_count IFACE show | tcx|clsact ingress|egress\n", stderr);
		return 2;
	}
	if (r)
		fprintf(stderr, "tc_count: %s: %s\n", argv[1], strerror(-r));
	return r ? 1 : 0;
}
