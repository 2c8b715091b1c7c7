/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - takes privileges away. The worker keeps none: no root, no capability, no new
 * privileges, and a seccomp filter that leaves memory, clocks and the descriptors it was given. The
 * core keeps three capabilities, four with other network namespaces, and the system calls that go with them.
 */
#ifndef WEIR_LOADER_SANDBOX_H
#define WEIR_LOADER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF; older headers lack the last two. */
#define SANDBOX_CORE_CAPS (1ull << 12 | 1ull << 38 | 1ull << 39)
/* CAP_SYS_ADMIN, where other network namespaces are watched. */
#define SANDBOX_NETNS_CAPS (1ull << 21)

/**
 * sandbox_enter - the worker: give up all privileges for good
 *
 * Started as root it becomes the user `weir`, if there is one, else nobody. Call it when everything is
 * open and every library has loaded what it needs.
 * Return: 0 or -errno; after an error the process must end.
 */
int sandbox_enter(void);

/* The same, for the recorder: opens, renames and removes files that its user may. Return: as above. */
int sandbox_enter_files(void);

/* Whom those two become. */
void sandbox_ids(uid_t *ret_uid, gid_t *ret_gid);

/**
 * sandbox_core - the core: keep CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON as far as they are there
 * @netns: other network namespaces are watched, which takes CAP_SYS_ADMIN: keep that too
 *
 * The user stays: export files and pins are his. Call it when the worker has been started.
 * Return: 0 or -errno; after an error the process must end.
 */
int sandbox_core(bool netns);

/* What a process may do, from /proc/PID/status. */
struct sandbox_state {
	uint64_t effective; /* bit per capability */
	uint64_t bounding;
	uint32_t uid;
	bool filtered; /* a seccomp filter is in place */
	bool no_new_privileges;
};

/* 0 or -errno. */
int sandbox_read(pid_t pid, struct sandbox_state *ret);

#endif
