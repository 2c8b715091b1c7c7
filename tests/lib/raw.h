/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - a packet socket that sends whole frames on one interface, for the tests' senders.
 */
#ifndef WEIR_TESTS_RAW_H
#define WEIR_TESTS_RAW_H

#include <stdbool.h>
#include <stdint.h>

/**
 * raw_open - open the socket
 * @bypass: straight to the driver: past the queueing discipline and TC egress
 *
 * Return: descriptor or -errno.
 */
int raw_open(const char *ifname, bool bypass);

/* Read "02:00:00:00:00:01". Return: 0 or -EINVAL. */
int raw_scan_mac(const char *s, uint8_t ret[static 6]);

#endif
