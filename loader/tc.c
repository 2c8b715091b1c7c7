// SPDX-License-Identifier: Apache-2.0
#include "loader/tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Kernel 6.6, include/uapi/linux/bpf.h; older headers lack them. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define FLAG_BEFORE	   (1u << 3)

int tc_link(const struct tc_place *at, int prog_fd)
{
	union bpf_attr attr = {};
	int fd;

	attr.link_create.prog_fd = prog_fd;
	attr.link_create.target_ifindex = at->ifindex;
	attr.link_create.attach_type = at->egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS;
	attr.link_create.flags = at->first ? FLAG_BEFORE : 0;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

static enum bpf_tc_attach_point point(const struct tc_place *at)
{
	return at->egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

int tc_filter_put(const struct tc_place *at, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)at->ifindex, .attach_point = point(at));
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = TC_FILTER_HANDLE,
		    .priority = at->priority);
	int r = bpf_tc_hook_create(&hook);

	if (r && r != -EEXIST)
		return r;
	/* one of ours that nobody holds: left by a weir that was killed, or to be gone on with */
	opts.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&hook, &opts);
}

void tc_filter_remove(const struct tc_place *at)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)at->ifindex, .attach_point = point(at));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_FILTER_HANDLE, .priority = at->priority);

	if (!bpf_tc_query(&hook, &opts)) {
		opts.prog_fd = opts.prog_id = opts.flags = 0;
		(void)bpf_tc_detach(&hook, &opts); /* it has gone meanwhile */
	}
}

int tc_hold(const struct tc_place *at, int prog_fd, struct tc_held *ret)
{
	int r = tc_link(at, prog_fd);

	*ret = (struct tc_held){.link_fd = -1};
	if (r >= 0) {
		ret->link_fd = r;
		tc_filter_remove(at);
		return 0;
	}
	/* a kernel without TCX does not know the attach type */
	r = tc_filter_put(at, prog_fd);
	ret->filter = !r;
	return r;
}

void tc_let_go(const struct tc_place *at, struct tc_held *held)
{
	if (held->filter)
		tc_filter_remove(at);
	if (held->link_fd >= 0)
		close(held->link_fd);
	*held = (struct tc_held){.link_fd = -1};
}
