/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - what a file of packets that the recorder wrote says of itself at its two ends: when its packets
 * came, how many they are. A few reads, however long it is. Any thread.
 * Source: draft-ietf-opsawg-pcapng, section 4: a block's length stands at its end, too.
 */
#ifndef WEIR_LOADER_ACCOUNT_H
#define WEIR_LOADER_ACCOUNT_H

#include <stdint.h>

struct capture_account {
	uint64_t first_ns, last_ns; /* since 1970; 0: no packet was found there */
	uint64_t packets, dropped;  /* 0 packets: nobody has ended it */
	uint64_t head;		    /* octets up to its first packet; all it has if there is none */
};

/**
 * account_read - of an open file
 *
 * What is not as the recorder writes it is passed over. Return: 0, -errno.
 */
int account_read(int fd, struct capture_account *ret);

#endif
