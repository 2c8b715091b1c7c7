/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud.h - flow logs of clouds into rows: lines of AWS VPC flow logs (versions 2 to 5, with or without
 * their header line), records of Azure's NSG (version 2) and VNet flow logs, entries of Google's VPC
 * flow logs. Pure but for the block: no files, no compression.
 *
 * A log's exporter has the unspecified address; its name is the account, resource or project, its
 * domain a hash of that.
 */
#ifndef WEIR_COLLECTOR_INGEST_CLOUD_H
#define WEIR_COLLECTOR_INGEST_CLOUD_H

#include <stddef.h>
#include <stdint.h>

struct decoder;

#define CLOUD_FIELDS 64u /* of a header line of AWS */

/* One log being read. */
struct cloud {
	struct decoder *d;
	int64_t now_us;
	uint32_t aws_n; /* columns; 0: no header line came, those of version 2 */
	uint8_t aws[CLOUD_FIELDS];
	char name[CLOUD_FIELDS][32];
	/* a file that may be read again: rows before @skip were taken then; else epoch is 0 */
	uint32_t stream;
	uint64_t epoch;
	uint64_t skip;
	uint64_t number; /* of the next row */
	/* what came of it */
	uint64_t lines;
	uint64_t rows;
	uint64_t malformed;
	uint64_t skipped; /* lines that say that records are missing (SKIPDATA) */
};

void cloud_init(struct cloud *c, struct decoder *d, int64_t now_us);

/* One line of AWS, without its end. Return: 0 (a header, no flow, or a row), or -EBADMSG: counted. */
int cloud_aws_line(struct cloud *c, const char *s, size_t len);

/* One record of Azure's "records", or one entry of Google's: a JSON object of @len octets. Return: as above. */
int cloud_json(struct cloud *c, const char *s, size_t len);

/**
 * cloud_object - where the next JSON object of a list, or of lines, is
 * @s, @len: from there on
 * @ret_at, @ret_len: the object
 *
 * Only braces and quotes are looked at. Return: 0; -EAGAIN: it is not all there; -ENODATA: there is
 *         none; -EBADMSG: something else is there.
 */
int cloud_object(const char *s, size_t len, size_t *ret_at, size_t *ret_len);

#endif
