/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - takes every privilege from the worker: no root, no capability, no new privileges, and
 * a seccomp filter that leaves memory, clocks and the descriptors it was given.
 */
#ifndef WEIR_LOADER_SANDBOX_H
#define WEIR_LOADER_SANDBOX_H

/**
 * sandbox_enter - give up all privileges for good
 *
 * Call it when everything is open and every library has loaded what it needs.
 * Return: 0 or -errno; after an error the process must end.
 */
int sandbox_enter(void);

#endif
