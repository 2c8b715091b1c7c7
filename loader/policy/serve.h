/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - the core's own socket, for the commands that show and change policies (wire.h). Requests have
 * a fixed size; who asks is what the kernel says of the other end. The core's; one thread.
 */
#ifndef WEIR_LOADER_POLICY_SERVE_H
#define WEIR_LOADER_POLICY_SERVE_H

#include <poll.h>
#include "loader/control/control.h"
#include "loader/policy/enforce.h"

#define SERVE_CLIENTS 8u
#define SERVE_FDS     (1 + SERVE_CLIENTS)

struct mirror_host;

struct serve {
	struct enforce *e;
	struct mirror_host *mirror;
	const struct enforce_cfg *cfg;
	int listening; /* -1: none */
	int clients[SERVE_CLIENTS];
	uint64_t came[SERVE_CLIENTS]; /* in this order */
	uint64_t n_came;
	char path[CONTROL_PATH_MAX + 16];
};

/**
 * serve_open - listen beside the control socket
 * @control: its path, mode and group; no path: no socket
 *
 * Return: 0, -errno, said on standard error. A failure leaves it closed, which serve_poll() bears.
 */
int serve_open(struct serve *s, const struct control_cfg *control);
void serve_close(struct serve *s);

/* Descriptors to wait for. @p: SERVE_FDS of them. */
void serve_poll(const struct serve *s, struct pollfd *p);

/* What @p says can be done. */
void serve_work(struct serve *s, const struct pollfd *p);

#endif
