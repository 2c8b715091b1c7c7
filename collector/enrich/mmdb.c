// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/mmdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scan.h"

#define FILE_MAX      (INT64_C(2) << 30)
#define PROBES	      256u /* lookups that a new database has to answer */
#define DECODED	      65536u
#define DATA_SEPARATE 16u    /* octets between tree and data */
#define ROOTS	      65536u /* the tree below the first 16 bits of IPv4 */
#define IPV4_AT	      96u    /* where IPv4 begins in a tree of IPv6 */

struct mmdb {
	MMDB_s db;
	uint64_t errors;	   /* atomic */
	uint64_t decoded[DECODED]; /* atomic; entry + 1 << 32 | what was read there; 0: nothing */
	uint64_t roots[ROOTS];	   /* record and its type */
};

/* ---- opening ---- */

static int copy_into(int to, int from, off_t size)
{
	while (size > 0) {
		const ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)size, 0);
		char buf[65536];
		ssize_t got;

		if (n > 0) {
			size -= n;
			continue;
		}
		/* not between these file systems */
		got = read(from, buf, sizeof(buf));
		if (got <= 0)
			return got ? -errno : -EINVAL;
		for (ssize_t done = 0, w; done < got; done += w) {
			w = write(to, buf + done, (size_t)(got - done));
			if (w < 0)
				return -errno;
		}
		size -= got;
	}
	return 0;
}

/* A file of this process's own with what @path has. Return: descriptor, -errno. */
static int private_copy(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), copy = -1, r = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		r = -EFBIG;
	else if ((copy = memfd_create("mmdb", MFD_CLOEXEC)) < 0)
		r = -errno;
	r = r ?: copy_into(copy, fd, st.st_size);
	close(fd);
	if (!r)
		return copy;
	if (copy >= 0)
		close(copy);
	return r;
}

static MMDB_lookup_result_s lookup(const struct mmdb *m, const uint8_t *ip, int *ret_error)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
	struct sockaddr_in a4 = {.sin_family = AF_INET};

	if (!memcmp(ip, mapped, sizeof(mapped))) {
		memcpy(&a4.sin_addr, ip + 12, 4);
		return MMDB_lookup_sockaddr(&m->db, (const struct sockaddr *)&a4, ret_error);
	}
	if (m->db.metadata.ip_version == 4) {
		*ret_error = MMDB_SUCCESS;
		return (MMDB_lookup_result_s){.found_entry = false};
	}
	memcpy(&a6.sin6_addr, ip, 16);
	return MMDB_lookup_sockaddr(&m->db, (const struct sockaddr *)&a6, ret_error);
}

/* Addresses from all over: a database that was cut short or written over fails some. */
static int probe(const struct mmdb *m, char *error)
{
	for (unsigned int i = 0; i < PROBES; i++) {
		uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)i, [15] = 1};
		MMDB_entry_data_list_s *list = NULL;
		MMDB_lookup_result_s found;
		int e;

		if (i % 4 == 3 && m->db.metadata.ip_version == 6) {
			memset(ip, 0, sizeof(ip));
			ip[0] = 0x20 | (i >> 6);
			ip[1] = (uint8_t)i;
		}
		found = lookup(m, ip, &e);
		if (!e && found.found_entry)
			e = MMDB_get_entry_data_list(&found.entry, &list);
		MMDB_free_entry_data_list(list);
		if (e) {
			snprintf(error, FACTS_ERROR, "the database is damaged: %s",
				 MMDB_strerror(e));
			return -EINVAL;
		}
	}
	return 0;
}

static void close_db(void *state)
{
	struct mmdb *m = state;

	if (!m)
		return;
	MMDB_close(&m->db);
	free(m);
}

static void find_roots(struct mmdb *m);

static int open_db(const char *path, void **ret, char *error)
{
	struct mmdb *m = calloc(1, sizeof(*m));
	int fd = m ? private_copy(path) : -ENOMEM, e, r;
	char name[32];

	if (fd < 0) {
		snprintf(error, FACTS_ERROR, "%s", strerror(-fd));
		free(m);
		return fd;
	}
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	e = MMDB_open(name, MMDB_MODE_MMAP, &m->db);
	close(fd);
	if (e) {
		snprintf(error, FACTS_ERROR, "no database in MaxMind's format: %s",
			 MMDB_strerror(e));
		free(m);
		return -EINVAL;
	}
	r = probe(m, error);
	if (!r)
		find_roots(m);
	if (r)
		close_db(m);
	else
		*ret = m;
	return r;
}

/* ---- values ---- */

/* A record of the tree with its type, in 64 bits. */
static uint64_t record(uint64_t value, uint8_t type)
{
	return value << 8 | type;
}

/* One half of a node, whose records have 24, 28 or 32 bits: the specification of the format, version 2.0,
 * "Node Layout". The nodes are all in the file: MMDB_open() has looked.
 */
static uint32_t half_of(const struct mmdb *m, uint32_t node, bool right)
{
	const uint8_t *p = m->db.file_content + (size_t)node * m->db.full_record_byte_size;

	switch (m->db.full_record_byte_size) {
	case 6:
		p += right ? 3 : 0;
		return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
	case 7:
		if (right)
			return (uint32_t)(p[3] & 15) << 24 | (uint32_t)p[4] << 16 |
			       (uint32_t)p[5] << 8 | p[6];
		return (uint32_t)(p[3] >> 4) << 24 | (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 |
		       p[2];
	default:
		p += right ? 4 : 0;
		return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	}
}

/* As MMDB_read_node() and a choice, in the loop that it is needed in. */
static inline uint64_t step(const struct mmdb *m, uint64_t at, bool right)
{
	const uint32_t n = m->db.metadata.node_count, v = half_of(m, (uint32_t)(at >> 8), right);

	if (v < n)
		return record(v, MMDB_RECORD_TYPE_SEARCH_NODE);
	if (v == n)
		return record(v, MMDB_RECORD_TYPE_EMPTY);
	if (v - n >= DATA_SEPARATE && v - n - DATA_SEPARATE < m->db.data_section_size)
		return record(v, MMDB_RECORD_TYPE_DATA);
	return record(0, MMDB_RECORD_TYPE_INVALID);
}

static bool is_node(uint64_t at)
{
	return (uint8_t)at == MMDB_RECORD_TYPE_SEARCH_NODE;
}

/* Below the first 16 bits of every IPv4 address, so that a lookup has half the way. */
static void find_roots(struct mmdb *m)
{
	uint64_t top = record(0, MMDB_RECORD_TYPE_SEARCH_NODE);

	for (unsigned int i = 0; m->db.metadata.ip_version == 6 && i < IPV4_AT && is_node(top); i++)
		top = step(m, top, false);
	for (uint32_t i = 0; i < ROOTS; i++) {
		uint64_t at = top;

		for (unsigned int bit = 16; bit-- > 0 && is_node(at);)
			at = step(m, at, i >> bit & 1);
		m->roots[i] = at;
	}
}

/* The place of what a way through the tree has ended at + 1. 0: the database has nothing there. */
static uint32_t entry_at(struct mmdb *m, uint64_t at)
{
	if ((uint8_t)at == MMDB_RECORD_TYPE_DATA)
		return (uint32_t)((at >> 8) - m->db.metadata.node_count - DATA_SEPARATE) + 1;
	if ((uint8_t)at != MMDB_RECORD_TYPE_EMPTY)
		__atomic_add_fetch(&m->errors, 1, __ATOMIC_RELAXED);
	return 0;
}

static uint32_t entry_of(struct mmdb *m, const uint8_t *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t at = record(0, MMDB_RECORD_TYPE_SEARCH_NODE);

	if (!memcmp(ip, mapped, sizeof(mapped))) {
		at = m->roots[(uint32_t)ip[12] << 8 | ip[13]];
		for (unsigned int bit = 112; bit < 128 && is_node(at); bit++)
			at = step(m, at, ip[bit / 8] >> (7 - bit % 8) & 1);
		return entry_at(m, at);
	}
	if (m->db.metadata.ip_version == 4)
		return 0;
	for (unsigned int bit = 0; bit < 128 && is_node(at); bit++)
		at = step(m, at, ip[bit / 8] >> (7 - bit % 8) & 1);
	return entry_at(m, at);
}

/* What @decode reads at an address's place; many addresses have the same. */
static uint32_t value_of(const void *state, const uint8_t *ip, const struct facts_sink *to,
			 uint32_t (*decode)(MMDB_entry_s *entry, const struct facts_sink *to))
{
	struct mmdb *m = (struct mmdb *)(uintptr_t)state;
	const uint32_t at = entry_of(m, ip);
	uint64_t *slot = &m->decoded[(at * 2654435761u) >> 16], v;
	MMDB_entry_s entry = {.mmdb = &m->db, .offset = at - 1};

	if (!at)
		return 0;
	v = __atomic_load_n(slot, __ATOMIC_RELAXED);
	if (v >> 32 == at)
		return (uint32_t)v;
	v = (uint64_t)at << 32 | decode(&entry, to);
	__atomic_store_n(slot, v, __ATOMIC_RELAXED);
	return (uint32_t)v;
}

static bool get(MMDB_entry_s *entry, const char *const *path, uint32_t type, MMDB_entry_data_s *ret)
{
	return !MMDB_aget_value(entry, ret, path) && ret->has_data && ret->type == type;
}

/* "AS64496", which other makers have instead of a number. */
static uint32_t as_of_text(const MMDB_entry_data_s *v)
{
	char text[16];
	uint64_t n;

	if (v->data_size < 3 || v->data_size >= sizeof(text) || memcmp(v->utf8_string, "AS", 2))
		return 0;
	memcpy(text, v->utf8_string + 2, v->data_size - 2);
	text[v->data_size - 2] = 0;
	return scan_u64(text, 1, UINT32_MAX, &n) ? 0 : (uint32_t)n;
}

static uint32_t decode_asn(MMDB_entry_s *entry, const struct facts_sink *to)
{
	static const char *const number[] = {"autonomous_system_number", NULL};
	static const char *const text[] = {"asn", NULL};
	static const char *const names[][2] = {{"autonomous_system_organization", NULL},
					       {"as_name", NULL}};
	MMDB_entry_data_s v;
	uint32_t as = 0;

	if (get(entry, number, MMDB_DATA_TYPE_UINT32, &v))
		as = v.uint32;
	else if (get(entry, text, MMDB_DATA_TYPE_UTF8_STRING, &v))
		as = as_of_text(&v);
	for (unsigned int i = 0; as && to && i < sizeof(names) / sizeof(names[0]); i++) {
		if (!get(entry, names[i], MMDB_DATA_TYPE_UTF8_STRING, &v))
			continue;
		to->as(to->arg, as, v.utf8_string, v.data_size);
		break;
	}
	return as;
}

static uint32_t decode_country(MMDB_entry_s *entry, const struct facts_sink *to)
{
	static const char *const paths[][3] = {
		{"country", "iso_code", NULL},
		{"country_code", NULL},
		{"country", NULL},
		{"registered_country", "iso_code", NULL},
	};
	MMDB_entry_data_s v;

	(void)to;
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (get(entry, paths[i], MMDB_DATA_TYPE_UTF8_STRING, &v) && v.data_size == 2)
			return (uint32_t)((uint8_t)v.utf8_string[0] << 8 |
					  (uint8_t)v.utf8_string[1]);
	return 0;
}

static void find_asn(const void *state, const uint8_t ip[static 16], const struct facts_sink *to,
		     struct facts *f)
{
	if (!f->as)
		f->as = value_of(state, ip, to, decode_asn);
}

static void find_country(const void *state, const uint8_t ip[static 16],
			 const struct facts_sink *to, struct facts *f)
{
	if (!f->country)
		f->country = (uint16_t)value_of(state, ip, to, decode_country);
}

const struct facts_source mmdb_asn = {open_db, find_asn, close_db};
const struct facts_source mmdb_country = {open_db, find_country, close_db};

uint64_t mmdb_errors(const void *state)
{
	const struct mmdb *m = state;

	return __atomic_load_n(&m->errors, __ATOMIC_RELAXED);
}

uint64_t mmdb_built(const void *state)
{
	const struct mmdb *m = state;

	return m->db.metadata.build_epoch;
}
