// SPDX-License-Identifier: Apache-2.0
#include "loader/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

/* What no later program may regain; needs CAP_SETPCAP, without which there is little to regain. */
static void drop_bounding_set(void)
{
	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return;
}

void sandbox_ids(uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *pw = geteuid() ? NULL : getpwnam("weir");

	*ret_uid = geteuid() ?: NOBODY;
	*ret_gid = geteuid() ? getegid() : NOBODY;
	if (pw && pw->pw_uid) {
		*ret_uid = pw->pw_uid;
		*ret_gid = pw->pw_gid;
	}
}

static int drop_ids(void)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return 0;
	sandbox_ids(&uid, &gid);
	/* root of a container with our three capabilities alone: it stays 0, with none of them */
	if (setgroups(0, NULL) && errno == EPERM)
		return 0;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno;
	if (syscall(SYS_capset, &hdr, none))
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(sched_yield),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(mprotect),
	SCMP_SYS(ftruncate),
	/* the sink thread: its start, its sockets */
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(connect),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(shutdown),
	/* clients of the control socket and of the metrics */
	SCMP_SYS(accept4),
	SCMP_SYS(listen), /* health.refuse: again, on a socket that the core made */
	/* glibc's qsort() asks how much memory there is before it takes any */
	SCMP_SYS(sysinfo),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
};

/* Of the recorder, beside those above: files in its directories; the end of the process that writes them. */
static const int files[] = {
	SCMP_SYS(openat),     SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(getdents64), SCMP_SYS(fcntl),	  SCMP_SYS(flock),    SCMP_SYS(wait4),
};

/* TCP, TLS and UDP to a collector: sockets of these families and no other. */
static int allow_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(families) / sizeof(families[0]); i++) {
		/* not SCMP_A0(): it leaves a member out, which clang minds */
		const struct scmp_arg_cmp family = {
			.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)families[i]};

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &family);
	}
	return r;
}

static int filter_syscalls(bool with_files)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; with_files && !r && i < sizeof(files) / sizeof(files[0]); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, files[i], 0);
	/* terminals answer isatty() by ioctl; an error is a fine answer */
	r = r ?: seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0);
	if (!with_files)
		r = r ?: allow_sockets(ctx);
	r = r ?: seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r;
}

static int enter(bool with_files)
{
	int r;

	drop_bounding_set();
	r = drop_ids();
	r = r ?: drop_capabilities();
	return r ?: filter_syscalls(with_files);
}

int sandbox_enter(void)
{
	return enter(false);
}

int sandbox_enter_files(void)
{
	return enter(true);
}
