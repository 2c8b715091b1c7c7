/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscalls.h - how many system calls this thread makes, by the tracepoint raw_syscalls:sys_enter.
 */
#ifndef WEIR_BENCH_SYSCALLS_H
#define WEIR_BENCH_SYSCALLS_H

#include <stdint.h>

/* Return: a counter for this thread, or -errno. May give the process a mount namespace of its own. */
int syscalls_open(void);

/* System calls so far, this very one included. */
uint64_t syscalls_read(int fd);

#endif
