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

#include "collector/enrich/trie.h"
#include "common/scan.h"

#define FILE_MAX      (INT64_C(2) << 30)
#define PROBES	      256u /* lookups that a new database has to answer */
#define DATA_SEPARATE 16u  /* octets between tree and data */
#define DECODED	      (UINT64_C(1) << 32)

struct entry {
	uint64_t value; /* atomic; DECODED | what was read there; 0: nothing was yet */
	uint32_t at;	/* of the data */
};

struct mmdb {
	MMDB_s db;
	uint64_t errors; /* atomic */
	struct trie *trie;
	struct entry *entries; /* the first is not used */
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
	trie_free(m->trie);
	free(m->entries);
	free(m);
}

/* ---- the tree ---- */

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

/* ---- entries, by number ---- */

/* A bit where an entry begins that the tree leads to, and how many there are before each word of them. */
struct begins {
	const struct mmdb *m;
	uint64_t *bits;
	uint32_t *before;
	uint32_t words;
};

/* Where in the data @half leads. Return: false: it is a node, leads to nothing, or nowhere. */
static bool is_entry(const struct mmdb *m, uint32_t half, uint32_t *ret)
{
	const uint32_t n = m->db.metadata.node_count;

	if (half <= n || half - n < DATA_SEPARATE ||
	    half - n - DATA_SEPARATE >= m->db.data_section_size)
		return false;
	*ret = half - n - DATA_SEPARATE;
	return true;
}

static int find_begins(struct begins *b)
{
	const struct mmdb *m = b->m;
	uint32_t n = 0, at;

	b->words = m->db.data_section_size / 64 + 1;
	b->bits = calloc(b->words, sizeof(*b->bits));
	b->before = calloc(b->words, sizeof(*b->before));
	if (!b->bits || !b->before)
		return -ENOMEM;
	for (uint32_t node = 0; node < m->db.metadata.node_count; node++)
		for (unsigned int right = 0; right < 2; right++)
			if (is_entry(m, half_of(m, node, right), &at))
				b->bits[at / 64] |= UINT64_C(1) << at % 64;
	for (uint32_t i = 0; i < b->words; i++) {
		b->before[i] = n;
		n += (uint32_t)__builtin_popcountll(b->bits[i]);
	}
	return 0;
}

/* As trie_tree.half: values are an entry's number + 1; 0: the database has nothing there. */
static uint32_t half_numbered(const void *arg, uint32_t node, bool right)
{
	const struct begins *b = arg;
	const uint32_t n = b->m->db.metadata.node_count, half = half_of(b->m, node, right);
	uint32_t at;

	if (half <= n)
		return half;
	if (!is_entry(b->m, half, &at))
		return n + TRIE_BROKEN;
	return n + 1 + b->before[at / 64] +
	       (uint32_t)__builtin_popcountll(b->bits[at / 64] & ((UINT64_C(1) << at % 64) - 1));
}

static int number_entries(struct mmdb *m, const struct begins *b)
{
	const uint32_t last = b->words - 1;
	uint32_t n = b->before[last] + (uint32_t)__builtin_popcountll(b->bits[last]);

	m->entries = calloc(n + 1u, sizeof(*m->entries));
	if (!m->entries)
		return -ENOMEM;
	n = 0;
	for (uint32_t i = 0; i < b->words; i++)
		for (uint64_t bits = b->bits[i]; bits; bits &= bits - 1)
			m->entries[++n].at = i * 64 + (uint32_t)__builtin_ctzll(bits);
	return 0;
}

static int compile(struct mmdb *m)
{
	struct begins b = {.m = m};
	const struct trie_tree of = {.n = m->db.metadata.node_count,
				     .ip4 = m->db.metadata.ip_version == 4,
				     .arg = &b,
				     .half = half_numbered};
	int r = find_begins(&b);

	r = r ?: number_entries(m, &b);
	if (!r) {
		m->trie = trie_new(&of);
		r = m->trie ? 0 : -ENOMEM;
	}
	free(b.bits);
	free(b.before);
	return r;
}

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
	if (!r && (r = compile(m)))
		snprintf(error, FACTS_ERROR, "%s", strerror(-r));
	if (r)
		close_db(m);
	else
		*ret = m;
	return r;
}

/* ---- values ---- */

/* What @decode reads at entry @n; many addresses have the same. */
static uint32_t value_of(struct mmdb *m, uint32_t n, const struct facts_sink *to,
			 uint32_t (*decode)(MMDB_entry_s *entry, const struct facts_sink *to))
{
	MMDB_entry_s entry = {.mmdb = &m->db};
	uint64_t v;

	if (!n)
		return 0;
	if (n == TRIE_BROKEN) {
		__atomic_add_fetch(&m->errors, 1, __ATOMIC_RELAXED);
		return 0;
	}
	v = __atomic_load_n(&m->entries[n].value, __ATOMIC_RELAXED);
	if (v)
		return (uint32_t)v;
	entry.offset = m->entries[n].at;
	v = decode(&entry, to);
	__atomic_store_n(&m->entries[n].value, DECODED | v, __ATOMIC_RELAXED);
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

static void find_asn(const void *state, struct facts *f, uint32_t n, const struct facts_sink *to)
{
	uint32_t entries[FACTS_AT_ONCE];
	struct mmdb *m = (struct mmdb *)(uintptr_t)state;

	trie_find(m->trie, f->ip, sizeof(*f), n, entries);
	for (uint32_t i = 0; i < n; i++)
		f[i].as = f[i].as ?: value_of(m, entries[i], to, decode_asn);
}

static void find_country(const void *state, struct facts *f, uint32_t n,
			 const struct facts_sink *to)
{
	uint32_t entries[FACTS_AT_ONCE];
	struct mmdb *m = (struct mmdb *)(uintptr_t)state;

	trie_find(m->trie, f->ip, sizeof(*f), n, entries);
	for (uint32_t i = 0; i < n; i++)
		f[i].country = f[i].country
				       ?: (uint16_t)value_of(m, entries[i], to, decode_country);
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
