/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output_int.h - what the formats share. A format function writes one record into a buffer of
 * OUTPUT_LINE_MAX bytes and returns its length, or -ENOSPC.
 */
#ifndef WEIR_COMMON_OUTPUT_INT_H
#define WEIR_COMMON_OUTPUT_INT_H

#include <sys/types.h>
#include "common/community_id.h"
#include "common/output.h"

struct output {
	int fd;
	int error; /* sticky */
	ssize_t (*format)(struct output *o, const struct flow_record *r, char *buf);
	struct community *community;
	char *buf; /* OUTPUT_LINE_MAX * 3 */
	size_t len;
	bool added;		    /* csv: columns of what the collector adds */
	uint8_t group_len[_FF_MAX]; /* json: length of "tls" in "tls.sni" */
	bool color;
	unsigned int columns;
	bool terminal;		  /* table: no line may be longer than that */
	bool wide;		  /* table: names are not cut */
	unsigned int ends_width;  /* table: widest pair of endpoints so far, bounded */
	unsigned int proto_width; /* the same of protocols */
	unsigned int name_width;
};

ssize_t output_json(struct output *o, const struct flow_record *r, char *buf);
ssize_t output_eve(struct output *o, const struct flow_record *r, char *buf);
ssize_t output_csv(struct output *o, const struct flow_record *r, char *buf);
size_t output_csv_header(const struct output *o, char *buf);
ssize_t output_table(struct output *o, const struct flow_record *r, char *buf);

/**
 * text_clean - copy bytes as valid UTF-8 without control characters
 * @to, @cap: bytes written at most
 *
 * What can't stay becomes U+FFFD. Stops before a character that would not fit.
 * Return: bytes written.
 */
size_t text_clean(struct flow_str s, char *to, size_t cap);

#endif
