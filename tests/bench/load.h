/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - messages of a made-up exporter, prepared once and sent many times: hosts, services and names
 * with realistic skew; each time they are sent, ports and counts are others. Knows exactly what is in
 * what it gives out.
 */
#ifndef WEIR_TESTS_LOAD_H
#define WEIR_TESTS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_format {
	LOAD_IPFIX, /* as weir writes it, both directions, names */
	LOAD_V9,
	LOAD_V5,
	_LOAD_FORMATS
};

struct load_sums {
	uint64_t messages;
	uint64_t octets;
	uint64_t flows;
	uint64_t packets; /* both directions */
	uint64_t bytes;
	uint64_t names;
};

struct load;

struct load_cfg {
	enum load_format format;
	uint32_t octets;   /* of a message at most */
	uint32_t messages; /* prepared */
	uint64_t seed;
	int64_t now_us; /* since 1970: IPFIX's flows ended within the second before */
};

/* NULL: no memory. */
struct load *load_new(const struct load_cfg *cfg);
struct load *load_free(struct load *l);

/**
 * load_next - the next message, numbered and dated, and added to @sums
 * @now_us: since 1970
 *
 * The octets live until as many messages as were prepared have been taken. Return: them.
 */
const uint8_t *load_next(struct load *l, int64_t now_us, uint32_t *ret_len, struct load_sums *sums);

/* The message of templates, 0: there are none; does not count. */
uint32_t load_templates(struct load *l, int64_t now_us, const uint8_t **ret);

#endif
