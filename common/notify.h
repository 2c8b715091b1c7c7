/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - tells the service manager how it goes: datagrams to $NOTIFY_SOCKET as in sd_notify(3).
 * Without one nothing is sent. One thread.
 */
#ifndef WEIR_COMMON_NOTIFY_H
#define WEIR_COMMON_NOTIFY_H

#include <stdint.h>

/**
 * notify_open - take the socket and the watchdog's period from the environment
 * @ret_watchdog_ns: WATCHDOG_USEC, 0 = nobody watches
 *
 * Return: descriptor, -ENOENT nobody listens, or another -errno.
 */
int notify_open(uint64_t *ret_watchdog_ns);

/* Send "NAME=VALUE" lines. @fd below 0: nothing. A manager that does not answer is no error. */
void notify_send(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
