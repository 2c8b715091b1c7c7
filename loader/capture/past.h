/* SPDX-License-Identifier: Apache-2.0 */
/*
 * past.h - `weir capture --from --to`: packets out of the disk ring, whether a weir runs or not.
 */
#ifndef WEIR_LOADER_PAST_H
#define WEIR_LOADER_PAST_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct past {
	const char *filter; /* checked; "": every packet */
	const char *path;   /* "-": standard output */
	const char *dir, *config;
	uint64_t from_ns, to_ns; /* since 1970 */
	uint64_t count;
	uint32_t snaplen;
	bool verbose, json;
	const volatile sig_atomic_t *end;
};

/**
 * past_time - "2026-09-01T12:41:08Z", "-10m", "now"
 * @now_ns: since 1970
 *
 * Return: 0, -EINVAL, -ERANGE.
 */
int past_time(const char *text, uint64_t now_ns, uint64_t *ret);

/* Return: enum exit_code; what went wrong has been said. */
int past_capture(const struct past *p);

#endif
