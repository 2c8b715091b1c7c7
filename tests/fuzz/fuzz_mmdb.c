/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_mmdb.c - a file as a database of autonomous systems and of countries: it is refused, or every lookup
 * ends, reads nothing beyond it, and a lookup that is made again says the same.
 *
 * The last 64 octets of an input are addresses too, so that what the tree branches on is in reach.
 *
 * Covers: collector/enrich/mmdb.c collector/enrich/trie.c
 * Options: -max_len=16384
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/enrich/mmdb.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

#define ADDRESSES 4u

static int fd = -1;
static char path[32];
static uint32_t named;

/* The library (1.7.1) forgets what it read of metadata when it refuses the rest of them. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libmaxminddb";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fd = memfd_create("mmdb", MFD_CLOEXEC);
	if (fd < 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return 0;
}

/* Every octet of the name is read. */
static void name(void *arg, uint32_t number, const char *text, uint32_t len)
{
	(void)arg;
	for (uint32_t i = 0; i < len; i++)
		number = number * 31 + (uint8_t)text[i];
	named += number;
}

static void look(const struct facts_source *source, const void *db, const uint8_t *ip)
{
	const struct facts_sink to = {name, NULL};
	struct facts a = {0}, b[2] = {0};
	const uint64_t errors = mmdb_errors(db);

	memcpy(a.ip, ip, sizeof(a.ip));
	memcpy(b[1].ip, ip, sizeof(a.ip));
	source->find(db, &a, 1, &to);
	source->find(db, b, 2, NULL);
	if (a.as != b[1].as || a.country != b[1].country || mmdb_errors(db) < errors)
		abort();
}

static void look_all(const struct facts_source *source, const void *db, const uint8_t *data,
		     size_t size)
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	for (unsigned int i = 0; i < 256; i++) {
		ip[12] = (uint8_t)i;
		ip[13] = (uint8_t)(i * 7);
		ip[15] = (uint8_t)(255 - i);
		look(source, db, ip);
	}
	for (unsigned int i = 0; i < ADDRESSES && size >= 16 * (i + 1); i++) {
		memcpy(ip, data + size - 16 * (i + 1), 16);
		look(source, db, ip);
		memcpy(ip, (uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12);
		look(source, db, ip);
	}
}

static void try_as(const struct facts_source *source, const uint8_t *data, size_t size)
{
	char error[FACTS_ERROR];
	void *db = NULL;

	*error = 0;
	if (source->open(path, &db, error)) {
		if (!*error)
			abort(); /* nobody would know what is wrong */
		return;
	}
	(void)mmdb_built(db);
	look_all(source, db, data, size);
	source->close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	try_as(&mmdb_asn, data, size);
	try_as(&mmdb_country, data, size);
	return 0;
}
