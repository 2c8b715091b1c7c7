/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.h - what the two processes of a running weir may really do, as the kernel says in /proc;
 * for those who ask over the control socket. One thread.
 */
#ifndef WEIR_LOADER_CONTROL_PRIVILEGES_H
#define WEIR_LOADER_CONTROL_PRIVILEGES_H

#include <stddef.h>
#include <stdint.h>
#include "loader/sandbox.h"

enum { PRIVILEGES_CORE, PRIVILEGES_WORKER, _PRIVILEGES_MAX };

struct privileges {
	pid_t pid;
	struct sandbox_state is;
};

#define PRIVILEGES_TEXT 512

/* "core", "worker" */
extern const char *const privileges_process[_PRIVILEGES_MAX];

/**
 * privileges_read - the core is who made the listening socket, the worker its child
 * @fd: connected to the control socket
 *
 * Return: 0 or -errno: /proc is not to be seen, or they have just ended.
 */
int privileges_read(int fd, struct privileges ret[_PRIVILEGES_MAX]);

/* The @i-th capability of a set, as capabilities(7) without "CAP_" in lower case; NULL: there are no more. */
const char *privileges_capability(uint64_t set, unsigned int i);

/* "net_admin perfmon bpf, seccomp", "none, no seccomp". Return: @buf of PRIVILEGES_TEXT. */
const char *privileges_text(const struct privileges *p, char *buf);

/**
 * privileges_excess - what is more than weir(8) says: a capability that the process should not have, no
 * filter, new privileges to be had
 *
 * Return: a few words, static memory; NULL: it is as stated.
 */
const char *privileges_excess(const struct privileges p[_PRIVILEGES_MAX]);

#endif
