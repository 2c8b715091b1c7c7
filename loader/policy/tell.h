/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tell.h - the worker's side of rules by name: what the kernel could not read, and what was said before
 * there was a rule, goes to the core, which knows the rules. One thread.
 */
#ifndef WEIR_LOADER_POLICY_TELL_H
#define WEIR_LOADER_POLICY_TELL_H

#include <stdint.h>

struct iface_table;
struct merge;
struct name_result;

/* Start zeroed, but for fd, table and merge. */
struct teller {
	int fd; /* to the core */
	const struct iface_table *table;
	struct merge *merge;
	uint64_t wanted; /* names_wanted that the flows known have been looked at for */
	uint32_t at;	 /* how far */
	uint64_t told;
	uint64_t lost; /* names that the core had no room for */
};

/* For drain_on_name(). @arg: struct teller */
void tell_name(void *arg, const struct name_result *name);

/* Some of the flows that are known, if there are new rules by name. Return: true: there are more. */
int tell_known(struct teller *t);

#endif
