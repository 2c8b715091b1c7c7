// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_node.c - what says who this node is: rtnetlink, sock_diag, resolv.conf. The first byte is a choice.
 *
 * Covers: loader/policy/guard_node.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "loader/policy/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *arg, enum node_what what, const uint8_t addr[16])
{
	*(unsigned int *)arg += (unsigned int)what + addr[15];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n = 0;
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size); /* aligned, and no byte more */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] % 3 == 0)
		node_parse(copy, size - 1, count, &n);
	else if (data[0] % 3 == 1)
		sessions_parse(copy, size - 1, count, &n);
	else
		resolvers_parse((const char *)copy, size - 1, count, &n);
	free(copy);
	return 0;
}
