/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - memory for the most that there may be, of which what is touched is there.
 */
#ifndef WEIR_LOADER_PAGES_H
#define WEIR_LOADER_PAGES_H

#include <stddef.h>
#include <sys/mman.h>

/* Zeroed; NULL: no memory. */
static inline void *pages_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* NULL is fine. */
static inline void pages_unmap(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

#endif
