/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - how a weir takes the place of another one that is at work under the same directory
 * (--pin DIR --replace), whatever the versions of the two: the new one, its programs loaded, asks the old
 * one to leave; that lets go of its interfaces and says so, while its pinned programs go on counting; the new
 * one puts its own in their place and says that; the old one then reads its tables to the end, writes
 * its last records and ends. Over a Unix socket of an abstract name. Core only, blocking.
 */
#ifndef WEIR_LOADER_HANDOVER_H
#define WEIR_LOADER_HANDOVER_H

#include <stdbool.h>

/* Those that may ask: a socket for poll(); -errno. @dir: the directory, open. */
int handover_listen(int dir);

/**
 * handover_accept - somebody has connected
 * @listening: of handover_listen()
 *
 * Return: descriptor of who asks us to leave, and may; -EAGAIN: nobody does.
 */
int handover_accept(int listening, int *ret_pid);

/* We have let go of the interfaces. */
void handover_left(int fd);

/**
 * handover_wait - until the other one's programs are in place
 * @tables: name of our tables, without the directory
 *
 * Return: true: our tables get no packets any more. False: it has the same ones, or has failed.
 */
bool handover_wait(int fd, const char *tables);

/* ---- the new one ---- */

bool handover_is_there(int dir); /* is somebody at work who can be asked? */

/* Ask to leave, and wait until the interfaces are free. Return: descriptor or -errno. */
int handover_ask(int dir);

/* Our programs are in place. @tables: where they count, as handover_wait(). Closes @fd. */
void handover_done(int fd, const char *tables);

#endif
