/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - files for a worker that may open none: it asks by numbers (which export, what of it), the
 * core does it with the paths of its own configuration and hands the descriptor back (SCM_RIGHTS).
 * Fixed-size messages over a SOCK_SEQPACKET pair of their own, so that the sink thread can wait for an
 * answer while the drain goes on.
 */
#ifndef WEIR_LOADER_BROKER_H
#define WEIR_LOADER_BROKER_H

#include <stdint.h>
#include "loader/export/sink.h"

/**
 * broker_ask - one file's worth of work, as export_file() does it. Worker; sink thread
 * @fd: the worker's end
 *
 * Return: descriptor, 0, or -errno; -EPIPE: the core is gone.
 */
int broker_ask(int fd, unsigned int sink, uint32_t what, uint32_t n);

/**
 * broker_answer - do what has been asked for. Core, when @fd can be read
 * @cfgs: @n exports, the same as the worker's
 *
 * A request that no worker of ours makes is refused. Return: 0, or -EPIPE: the worker is gone.
 */
int broker_answer(int fd, const struct export_cfg *cfgs, unsigned int n);

#endif
