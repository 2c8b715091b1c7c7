/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc.h - what core and worker say to each other: fixed-size records over a SOCK_SEQPACKET pair,
 * one a message. The core trusts nothing in them but the numbers it prints.
 */
#ifndef WEIR_LOADER_IPC_H
#define WEIR_LOADER_IPC_H

#include <stdint.h>
#include "loader/summary.h"

enum ipc_type {
	/* core -> worker: the programs are detached; read the rest and end. Again: and wait for nobody */
	IPC_STOP = 1,
	IPC_RELOAD = 4,	 /* core -> worker: timeouts are new; open files again */
	IPC_ALONE = 5,	 /* core -> worker: no packet is counted in older tables any more */
	IPC_READY = 2,	 /* worker -> core: sandboxed, draining */
	IPC_ENDED = 6,	 /* worker -> core: tables .tables have been read to the end */
	IPC_SUMMARY = 3, /* worker -> core: all records are written; the worker ends */
};

struct ipc_msg {
	uint32_t type;	 /* enum ipc_type */
	uint32_t size;	 /* sizeof(struct ipc_msg): both are the same program */
	uint32_t tables; /* IPC_ENDED: id; IPC_STOP: 1 = ours get no packets any more */
	uint32_t pad;
	struct summary summary;
};

/* Return: 0 or -errno. */
int ipc_send(int fd, const struct ipc_msg *m);

/* Return: 1 a message, 0 the other side is gone, -EAGAIN nothing there (@wait not set), -errno. */
int ipc_recv(int fd, struct ipc_msg *ret, int wait);

#endif
