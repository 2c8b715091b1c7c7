/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - listening sockets of a program's own clients: a local socket with an owner and
 * permissions, and TCP. What goes wrong is said in the log. Main thread, at start.
 */
#ifndef WEIR_COMMON_LISTEN_H
#define WEIR_COMMON_LISTEN_H

#include <stdbool.h>

#include "common/address.h"

#define LISTEN_PATH_MAX 108u /* of sockaddr_un */

struct listen_local {
	const char *path;
	const char *group;  /* that owns it; "" the program's own */
	unsigned int mode;  /* permissions */
	bool datagrams;	    /* SOCK_DGRAM; else SOCK_STREAM */
	const char *option; /* that names another path, for the messages */
};

/**
 * listen_local - make a local socket
 *
 * A socket file whose program is gone is replaced; one that answers is somebody else's. A missing
 * directory is made, if only the last one is missing.
 * Return: 0; -EADDRINUSE another one listens there; -errno.
 */
int listen_local(const struct listen_local *l, int *ret);

/**
 * listen_tcp - make a TCP socket
 * @setting: that says where, for the messages
 *
 * Return: 0 or -errno.
 */
int listen_tcp(const struct address *a, const char *setting, int *ret);

#endif
