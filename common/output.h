/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - writes flow records to a file descriptor as NDJSON, CSV or a table for people.
 * Lines are gathered and written together; output_flush() writes what there is. One thread.
 */
#ifndef WEIR_COMMON_OUTPUT_H
#define WEIR_COMMON_OUTPUT_H

#include <sys/types.h>
#include "common/flow.h"

#define OUTPUT_FORMATS "table, json, eve, csv"

/* A record with all its lists full: 32 queries of 1,300 bytes, 32 answers of 1,330, 18 hosts of 1,540, and the
 * rest.
 */
#define OUTPUT_LINE_MAX (192u << 10)

struct output;

/**
 * output_new - start writing
 * @format: one of OUTPUT_FORMATS
 * @fd:     stays the caller's
 *
 * json:  one object a line, members as in weir/fields.def; always valid UTF-8, always parses.
 * eve:   events as Suricata writes them: tls, http, dns where names are known, and flow, which comes
 *        last; each an object on a line of its own.
 * csv:   RFC 4180: a header, CRLF; every member that is no list; absent = empty. Bytes that are no
 *        UTF-8 and control characters become U+FFFD, so a record is a line.
 * table: one line a flow, as wide as the terminal, elsewhere COLUMNS or 100; colour on a terminal
 *        only, and not with NO_COLOR set.
 *
 * Call it before system calls are given up: it asks about the terminal and loads libcrypto's SHA-1.
 * Return: 0, -EINVAL (no such format), -ENOMEM, -EIO (no SHA-1).
 */
int output_new(const char *format, int fd, struct output **ret);

/* Writes nothing more: call output_flush() before. NULL is fine. */
void output_free(struct output *o);

/* CSV with the members that the collector adds too. Before the first record. */
void output_added(struct output *o);

/* Overrule what output_new() found: colour, and columns (0 = leave). Table only. */
void output_style(struct output *o, bool color, unsigned int columns);

/* Lines as long as they need to be, nothing of a name is cut. Table only. */
void output_wide(struct output *o);

/**
 * output_flow - write one record
 *
 * Return: 0, or the error that stopped writing for good, as from write(2): -EPIPE when the reader
 *         has gone, -ENOSPC when the disk is full. Records after it are passed over.
 */
int output_flow(struct output *o, const struct flow_record *r);

/* Write what has been gathered. Return: as output_flow(). */
int output_flush(struct output *o);

/**
 * output_text - one record as text, into memory instead of the descriptor
 * @buf: OUTPUT_LINE_MAX bytes
 *
 * Return: bytes; -ENOSPC: longer than that even without its lists.
 */
ssize_t output_text(struct output *o, const struct flow_record *r, char *buf);

/* What a new file starts with. @buf: OUTPUT_LINE_MAX bytes. Return: bytes, 0 = nothing. */
size_t output_header(const struct output *o, char *buf);

#endif
