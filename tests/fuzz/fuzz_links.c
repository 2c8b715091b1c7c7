// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_links.c - netlink messages about interfaces, as a buffer of them comes from the kernel.
 *
 * Whatever is in it: the position moves on and ends at the end, each event has a name that ends and an
 * index, and a second reading says the same.
 *
 * Covers: loader/links_parse.c loader/nic_parse.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "loader/links.h"
#include "loader/nic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct link_event *e)
{
	if (e->what != LINK_SEEN && e->what != LINK_GONE && e->what != LINK_DUMPED)
		abort();
	if (strnlen(e->name, sizeof(e->name)) == sizeof(e->name))
		abort();
	if (e->what == LINK_DUMPED)
		return;
	if (!e->ifindex || (e->what == LINK_SEEN && !e->name[0]))
		abort();
}

/* Return: events in the buffer. */
static unsigned int read_all(const void *buf, size_t size)
{
	struct link_event e;
	unsigned int n = 0;
	size_t pos = 0, before = 0;

	for (; links_parse(buf, size, &pos, &e); n++) {
		if (pos <= before)
			abort();
		before = pos;
		check(&e);
	}
	if (pos != size)
		abort();
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of its size to the byte, and aligned as a message is */
	void *buf = malloc(size ? size : 1);

	if (!buf)
		return 0;
	memcpy(buf, data, size);
	if (read_all(buf, size) != read_all(buf, size))
		abort();
	for (uint16_t type = 0; type < 8; type++) {
		uint64_t a = 0, b = 0;

		if (nic_answer_get(buf, size, type, &a) != nic_answer_get(buf, size, type, &b) ||
		    a != b)
			abort();
	}
	free(buf);
	return 0;
}
