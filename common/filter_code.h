/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_code.h - a compiled filter: tests in a row, each with the place to go on at when it is
 * true and when it is false, as in a BPF socket filter. Sets are sorted tables without overlaps.
 */
#ifndef WEIR_COMMON_FILTER_CODE_H
#define WEIR_COMMON_FILTER_CODE_H

#include "common/filter_int.h"

/* Places to go on at that are no tests. */
#define FILTER_TRUE  0xffffu
#define FILTER_FALSE 0xfffeu

enum filter_test_type {
	TEST_EXISTS,
	TEST_RANGE,   /* lo <= number <= hi */
	TEST_BITS,    /* number & lo */
	TEST_NUMBERS, /* in numbers[first, first + n) */
	TEST_VERSION, /* lo <= rank of a TLS version <= hi */
	TEST_IP,      /* == ip */
	TEST_IPS,     /* in ips[first, first + n) */
	TEST_STRING,  /* == strings[first] */
	TEST_STRINGS, /* in strings[first, first + n), sorted */
	TEST_PREFIX,
	TEST_SUFFIX,
	TEST_CONTAINS,
	TEST_ID, /* community_id in strings[first, first + n) */
};

struct filter_numbers {
	uint64_t lo;
	uint64_t hi;
};

/* Addresses as numbers, the high half first. */
struct filter_ips {
	uint64_t lo[2];
	uint64_t hi[2];
};

struct filter_test {
	uint8_t type;	  /* enum filter_test_type */
	uint8_t field;	  /* enum flow_field */
	uint8_t data;	  /* enum flow_type of the field */
	uint8_t negate;	  /* of a present field */
	uint8_t nocase;	  /* strings; those in the table are in lower case then */
	uint8_t divide;	  /* times: compare microseconds */
	uint16_t if_true; /* index of the next test, or FILTER_TRUE, FILTER_FALSE */
	uint16_t if_false;
	uint16_t pad;
	uint32_t offset; /* of the member */
	union {
		struct filter_numbers range;
		uint64_t ip[2];
		struct {
			uint32_t first;
			uint32_t n;
		};
	};
};

struct filter {
	struct filter_test *tests;
	struct filter_numbers *numbers;
	struct filter_ips *ips;
	struct flow_str *strings;
	char *bytes; /* what strings point to */
	struct community *community;
	uint32_t n_tests;
	uint16_t entry;
};

/* Place of a TLS or DTLS version in the order of what they are based on (RFC 6347, RFC 9147). */
uint64_t filter_version_rank(uint64_t version);

/* Order of strings in the table: by bytes, shorter first. */
int filter_string_order(struct flow_str a, struct flow_str b);

/* One test alone: does it hold for this record? */
bool filter_test(const struct filter *f, const struct filter_test *t, const struct flow_record *r);
/* The same for a value of its field, before negation; addresses as in struct filter_ips. */
bool filter_test_number(const struct filter *f, const struct filter_test *t, uint64_t v);
bool filter_test_ip(const struct filter *f, const struct filter_test *t, const uint64_t ip[2]);
bool filter_test_string(const struct filter *f, const struct filter_test *t, struct flow_str s);

static inline char filter_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#endif
