// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox_core.c - what the core keeps once the worker runs: the capabilities to load, attach and pin,
 * and the system calls for that, for files of exports, for netlink and for its own sockets. The list
 * was taken from strace of every hook, of reload, pins, rotation and interfaces that come and go.
 */
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/sandbox.h"

static const int allowed[] = {
	/* maps, programs, links, pins */
	SCMP_SYS(bpf),
	SCMP_SYS(membarrier),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(flock),
	SCMP_SYS(kill), /* does the owner of a directory live? */
	/* settings, export files, sysfs, pins */
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(getdents64),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup3),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(umask),
	SCMP_SYS(fchmod),
	SCMP_SYS(fdatasync), /* policies that are remembered */
	/* messages, worker, service manager */
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(shutdown), /* health checks, at the end */
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(ioctl), /* ethtool, MTU */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	/* memory and clocks */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(prlimit64),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(memfd_create),
	/* the end */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Names of users and interfaces, netlink, the service manager; no packet sockets, none to elsewhere. */
static const int families[] = {AF_UNIX, AF_NETLINK, AF_INET};

static int filter_syscalls(bool netns)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!r && netns)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setns), 0);
	for (size_t i = 0; !r && i < sizeof(families) / sizeof(families[0]); i++) {
		/* not SCMP_A0(): it leaves a member out, which clang minds */
		const struct scmp_arg_cmp family = {
			.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)families[i]};

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &family);
	}
	/* rules may be built for a CPU that has no such call */
	r = r == -EDOM ? 0 : r;
	r = r ?: seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r;
}

static int keep_capabilities(uint64_t kept)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];

	/* the bounding set first: it takes a capability that goes with the others; without that one
	 * there is nothing to regain
	 */
	for (int cap = 0; cap < 64; cap++)
		if (!(kept >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break;
	if (syscall(SYS_capget, &hdr, have))
		return -errno;
	for (int i = 0; i < 2; i++) {
		have[i].permitted &= (uint32_t)(kept >> 32 * i);
		have[i].effective = have[i].permitted;
		have[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &hdr, have))
		return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

int sandbox_core(bool netns)
{
	int r = keep_capabilities(netns ? SANDBOX_CORE_CAPS | SANDBOX_NETNS_CAPS
					: SANDBOX_CORE_CAPS);

	return r ?: filter_syscalls(netns);
}

/* ---- what a process has ---- */

/* "Name:\tVALUE" of /proc/PID/status: the digits of VALUE as a number. */
static bool status_value(const char *text, const char *name, int base16, uint64_t *ret)
{
	const char *p = strstr(text, name);
	uint64_t v = 0;

	if (!p)
		return false;
	for (p += strlen(name); *p == ' ' || *p == '\t'; p++)
		;
	for (; *p; p++) {
		unsigned int digit = *p >= '0' && *p <= '9'   ? (unsigned int)(*p - '0')
				     : *p >= 'a' && *p <= 'f' ? (unsigned int)(*p - 'a' + 10)
							      : 16;

		if (digit >= (base16 ? 16u : 10u))
			break;
		v = v * (base16 ? 16 : 10) + digit;
	}
	*ret = v;
	return true;
}

int sandbox_read(pid_t pid, struct sandbox_state *ret)
{
	uint64_t uid, seccomp, no_new;
	char path[64], text[8192];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	if (!status_value(text, "\nUid:", 0, &uid) ||
	    !status_value(text, "\nCapEff:", 1, &ret->effective) ||
	    !status_value(text, "\nCapBnd:", 1, &ret->bounding) ||
	    !status_value(text, "\nSeccomp:", 0, &seccomp) ||
	    !status_value(text, "\nNoNewPrivs:", 0, &no_new))
		return -EBADMSG;
	ret->uid = (uint32_t)uid;
	ret->filtered = seccomp == 2;
	ret->no_new_privileges = no_new == 1;
	return 0;
}
