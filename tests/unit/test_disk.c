// SPDX-License-Identifier: Apache-2.0
/*
 * The disk ring's files: an index that never says no to what is there, files that are read up to where they are
 * whole, packets of a time and a filter exactly once. Who writes them live is tested by e2e/test_capture_disk.sh.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "common/filter_tree.h"
#include "loader/capture/disk_extract.h"
#include "loader/capture/disk_file.h"
#include "loader/capture/disk_ring.h"
#include "loader/capture/past.h"
#include "packets.h"

#define FILE_BYTES (1u << 20)
#define START_NS   UINT64_C(1790000000000000000)
#define MS	   UINT64_C(1000000)

static char path[] = "/tmp/weir-disk-XXXXXX";
static int dir = -1;
static struct iface_table *table;

static void begin(void)
{
	cr_assert(mkdtemp(path) != NULL);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	table = iface_table_new();
}

static void end(void)
{
	DIR *d = fdopendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dir, e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
	iface_table_free(table);
}

TestSuite(disk, .init = begin, .fini = end);

/* From 10.1.0.0 + @src, port 1000, to 10.2.0.0 + @dst, port @port. */
static void build(struct packet *p, uint32_t src, uint32_t dst, uint16_t port)
{
	*p = (struct packet){};
	pk_eth(p);
	pk_ip4(p, IP4(10, 1, 0, 0) + src, IP4(10, 2, 0, 0) + dst);
	pk_udp(p, 1000, port);
	pk_payload(p, 20);
	pk_end(p);
}

static void add(struct disk_index *x, uint64_t ns, const struct packet *p)
{
	static const struct parse_cfg outer;
	struct pkt k = {};

	cr_assert(zero(int, parse_frame(p->b, p->len, p->len, &outer, &k)));
	disk_index_add(x, ns, &k);
}

static bool may(const struct disk_index *x, const char *text)
{
	struct filter_tree t = {};
	struct filter_error err;
	bool r;

	cr_assert(zero(int, filter_parse_tree(text, strlen(text), NULL, &t, &err)), "%s: %s", text,
		  err.message);
	r = disk_index_may(x, &t.ast);
	filter_tree_done(&t);
	return r;
}

static const uint8_t *ip(uint32_t host)
{
	static uint8_t a[16] = {[10] = 0xff, [11] = 0xff};

	for (unsigned int i = 0; i < 4; i++)
		a[12 + i] = (uint8_t)(host >> (24 - 8 * i));
	return a;
}

/* ---- the index ---- */

Test(disk, an_index_never_says_no_to_what_is_there)
{
	/* from an almost empty filter, which is folded, to one that is nearly full */
	for (uint32_t n = 1; n <= 40000; n = n * 8 + 3) {
		struct disk_index x, y;
		struct packet p;

		cr_assert(zero(int, disk_index_init(&x, FILE_BYTES)));
		for (uint32_t i = 0; i < n; i++) {
			build(&p, i * 7, i, (uint16_t)(2000 + i % 30000));
			add(&x, START_NS + i, &p);
		}
		x.bytes = n;
		cr_assert(disk_index_save(dir, "0000000000000001", &x) > 0);
		cr_assert(zero(int, disk_index_load(dir, "0000000000000001", &y)));
		for (uint32_t i = 0; i < n; i++) {
			cr_assert(disk_index_has(&y, DISK_ADDR, ip(IP4(10, 1, 0, 0) + i * 7), 0));
			cr_assert(
				disk_index_has(&y, DISK_NET, ip((IP4(10, 2, 0, 0) + i) | 0xff), 0));
			cr_assert(
				disk_index_has(&y, DISK_PORT, NULL, (uint16_t)(2000 + i % 30000)));
		}
		cr_expect(eq(u64, y.packets, n));
		cr_expect(eq(u64, y.bytes, n));
		cr_expect(eq(u64, y.first_ns, START_NS));
		cr_expect(eq(u64, y.last_ns, START_NS + n - 1));
		disk_index_done(&x);
		disk_index_done(&y);
	}
}

Test(disk, it_says_no_to_most_others_and_is_small)
{
	unsigned int wrong = 0;
	struct disk_index x;
	struct packet p;

	cr_assert(zero(int, disk_index_init(&x, 64 * FILE_BYTES)));
	cr_expect(eq(u32, x.size, FILE_BYTES));
	for (uint32_t i = 0; i < 500; i++) {
		build(&p, i, i, 53);
		add(&x, START_NS, &p);
	}
	cr_assert(disk_index_save(dir, "0000000000000001", &x) > 0);
	cr_expect(x.size <= 8192, "%u", x.size);
	for (uint32_t i = 0; i < 10000; i++)
		wrong += disk_index_has(&x, DISK_ADDR, ip(IP4(192, 0, 0, 0) + i), 0);
	cr_expect(wrong < 200, "%u of 10000", wrong);
	disk_index_done(&x);
}

Test(disk, any_octet_that_is_another_is_found)
{
	struct disk_index x, y;
	uint8_t bytes[DISK_INDEX_HEAD + DISK_INDEX_LEAST + 1];
	struct packet p;
	int fd;

	cr_assert(zero(int, disk_index_init(&x, 1000)));
	build(&p, 1, 2, 53);
	add(&x, START_NS, &p);
	cr_assert(eq(int, (int)disk_index_save(dir, "0000000000000001", &x), sizeof(bytes) - 1));
	fd = openat(dir, "0000000000000001.index", O_RDWR | O_CLOEXEC);
	cr_assert(eq(int, (int)pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes) - 1));
	for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
		const uint8_t other = bytes[i] ^ 0x10;

		cr_assert(eq(int, (int)pwrite(fd, &other, 1, (off_t)i), 1));
		cr_expect(eq(int, disk_index_read(fd, &y), -EBADMSG), "octet %zu", i);
		cr_assert(eq(int, (int)pwrite(fd, &bytes[i], 1, (off_t)i), 1));
	}
	for (off_t n = sizeof(bytes) - 2; n >= 0; n -= 7) {
		cr_assert(zero(int, ftruncate(fd, n)));
		cr_expect(eq(int, disk_index_read(fd, &y), -EBADMSG), "cut to %d", (int)n);
	}
	close(fd);
	disk_index_done(&x);
}

Test(disk, filters_are_held_against_it)
{
	static const struct {
		const char *filter;
		bool may;
	} cases[] = {
		{"host 10.1.0.1", true},
		{"host 10.1.0.2", false},
		{"src.ip == 10.2.0.9", true}, /* which side it was is not in it */
		{"host {10.1.0.7, 10.1.0.1}", true},
		{"host {10.1.0.7, 10.1.0.8}", false},
		{"net 10.1.0.0/24", true},
		{"net 10.1.0.1/32", true},
		{"net 10.1.9.0/24", false},
		{"net 10.0.0.0/8", true}, /* wider than what it knows */
		{"net 11.0.0.0/8", true},
		{"src.ip in ::ffff:0:0/96", true},
		{"src.ip in ::/64", true},
		{"src.ip in 2001:db8::/64", false},
		{"src.ip in 2001:db8::/32", true},
		{"port 53", true},
		{"port 54", false},
		{"port 54-60", true},
		{"dst.port != 54", true},
		{"dst.port > 54", true},
		{"host 10.1.0.1 and port 54", false},
		{"host 10.1.0.2 or port 53", true},
		{"host 10.1.0.2 or port 54", false},
		{"not host 10.1.0.2", true},
		{"not (host 10.1.0.2 or port 54)", true},
		{"proto tcp", true},
		{"proto tcp and host 10.9.9.9", false},
		{"bytes > 1000 or host 10.9.9.9", true},
	};
	struct disk_index x;
	struct packet p;

	cr_assert(zero(int, disk_index_init(&x, FILE_BYTES)));
	build(&p, 1, 9, 53);
	add(&x, START_NS, &p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect(eq(int, may(&x, cases[i].filter), cases[i].may), "%s", cases[i].filter);
	disk_index_done(&x);
}

/* ---- files ---- */

/* A packet each millisecond from @from on: the source is 10.1.0.0 + @src, the port 5000 and up. */
static void write_file(const char *id, unsigned int from, unsigned int n, uint32_t src, bool whole)
{
	struct packet_file f = {.blocks = {.table = table,
					   .wall_ns = (int64_t)START_NS,
					   .snaplen = RECENT_LEN_MAX}};
	struct disk_index x;
	char part[STORE_NAME], name[STORE_NAME];
	struct packet p;

	store_name(id, true, part);
	store_name(id, false, name);
	cr_assert(zero(int, packet_file_begin(&f, dir, part, NULL)));
	cr_assert(zero(int, disk_index_init(&x, FILE_BYTES)));
	for (unsigned int i = from; i < from + n; i++) {
		struct recent_packet r = {.head = {.ns = i * MS, .ifindex = 1 + i % 2}};

		build(&p, src, 1, (uint16_t)(5000 + i));
		r.head.len = (uint16_t)p.len;
		r.head.wire_len = p.len;
		r.bytes = p.b;
		cr_assert(eq(int, packet_file_put(&f, &r, FILE_BYTES), 1));
		add(&x, START_NS + i * MS, &p);
	}
	cr_assert(zero(int, whole ? packet_file_account(&f, 3, START_NS) : packet_file_flush(&f)));
	x.bytes = f.bytes;
	x.lost = 3;
	if (whole) {
		cr_assert(disk_index_save(dir, id, &x) > 0);
		cr_assert(zero(int, renameat(dir, part, dir, name)));
	}
	disk_index_done(&x);
	packet_file_done(&f);
}

/* 300 packets in three files, of which nobody ended the last. */
static void three(void)
{
	write_file("0000000000000001", 0, 100, 1, true);
	write_file("0000000000000002", 100, 100, 2, true);
	write_file("0000000000000003", 200, 100, 3, false);
}

static unsigned int read_back(int fd, uint16_t *ret_first)
{
	struct disk_file *f = calloc(1, sizeof(*f));
	struct pcapng_packet p;
	unsigned int n = 0;

	cr_assert(zero(int, disk_file_open(f, fd)));
	while (disk_file_next(f, &p) == 1) {
		if (!n++)
			*ret_first = (uint16_t)(p.bytes[36] << 8 | p.bytes[37]);
		cr_assert(p.iface < f->ifaces);
	}
	cr_expect(zero(int, f->damaged));
	disk_file_close(f);
	free(f);
	return n;
}

/* Of a time in milliseconds; what came is counted, and read back. */
static struct disk_found ask_for(const char *filter, unsigned int from, unsigned int to,
				 unsigned int count)
{
	struct filter_tree t = {};
	struct filter_error err;
	struct disk_ask ask = {
		.from_ns = START_NS + from * MS, .to_ns = START_NS + to * MS, .count = count};
	struct disk_found found;
	FILE *out = tmpfile();
	uint16_t first = 0;

	if (filter) {
		cr_assert(zero(int, filter_parse_tree(filter, strlen(filter), NULL, &t, &err)));
		ask.filter = &t;
	}
	cr_assert(zero(int, disk_extract(dir, &ask, out, &found)));
	cr_expect(eq(u64, read_back(fileno(out), &first), found.packets));
	if (found.packets && found.first_ns == ask.from_ns)
		cr_expect(eq(u32, first, 5000 + from));
	cr_expect(eq(u64, (uint64_t)ftell(out), found.bytes));
	fclose(out);
	filter_tree_done(&t);
	return found;
}

Test(disk, packets_of_a_time_exactly_once)
{
	struct disk_found n;

	three();
	n = ask_for(NULL, 0, 1000, 0);
	cr_expect(eq(u64, n.packets, 300));
	cr_expect(eq(u64, n.files[DISK_READ], 3));
	cr_expect(eq(u64, n.lost, 6), "of the two that say so");
	n = ask_for(NULL, 50, 150, 0);
	cr_expect(eq(u64, n.packets, 100));
	cr_expect(eq(u64, n.first_ns, START_NS + 50 * MS));
	cr_expect(eq(u64, n.last_ns, START_NS + 149 * MS));
	cr_expect(eq(u64, n.files[DISK_READ], 2));
	n = ask_for(NULL, 100, 200, 0);
	cr_expect(eq(u64, n.packets, 100));
	cr_expect(eq(u64, n.lost, 3), "of that time alone");
	n = ask_for(NULL, 0, 1000, 7);
	cr_expect(eq(u64, n.packets, 7));
	n = ask_for(NULL, 400, 1000, 0);
	cr_expect(eq(u64, n.packets, 0));
	cr_expect(eq(u64, n.files[DISK_OUTSIDE], 3));
}

Test(disk, what_the_index_rules_out_is_not_opened)
{
	struct disk_found n;

	three();
	n = ask_for("host 10.1.0.2", 0, 1000, 0);
	cr_expect(eq(u64, n.packets, 100));
	cr_expect(eq(u64, n.files[DISK_PASSED], 1));
	cr_expect(eq(u64, n.files[DISK_READ], 2), "its own, and the one without an index");
	n = ask_for("port 5150", 0, 1000, 0);
	cr_expect(eq(u64, n.packets, 1));
	n = ask_for("iface == \"2\" and host 10.1.0.1", 0, 1000, 0);
	cr_expect(eq(u64, n.packets, 50));
	/* an index of a file that has gone on knows not enough */
	cr_assert(zero(int, unlinkat(dir, "0000000000000001.index", 0)));
	n = ask_for("host 10.1.0.1", 0, 1000, 0);
	cr_expect(eq(u64, n.packets, 100));
	cr_expect(eq(u64, n.files[DISK_PASSED], 1));
}

Test(disk, what_nobody_ended_is_mended_at_every_length)
{
	uint64_t last;
	struct stat st;
	int fd;

	write_file("0000000000000003", 0, 8, 1, false);
	fd = openat(dir, "0000000000000003.part", O_RDWR | O_CLOEXEC);
	cr_assert(zero(int, fstat(fd, &st)));
	close(fd);
	for (off_t len = st.st_size; len >= 0; len -= 5) {
		struct disk_found n;
		unsigned int left;

		fd = openat(dir, "0000000000000003.part", O_RDWR | O_CLOEXEC);
		cr_assert(zero(int, ftruncate(fd, len)));
		close(fd);
		left = (unsigned int)ask_for(NULL, 0, 1000, 0).packets;
		cr_assert(zero(int, disk_ring_mend(dir, &last)));
		n = ask_for(NULL, 0, 1000, 0);
		cr_expect(eq(u64, n.packets, left));
		cr_expect(eq(u64, last, left ? START_NS + (left - 1) * MS : 0));
		cr_expect(eq(u64, ask_for("host 10.1.0.7", 0, 1000, 0).files[DISK_PASSED],
			     left ? 1 : 0));
		if (!left)
			break;
		cr_assert(zero(int, renameat(dir, "0000000000000003.pcapng", dir,
					     "0000000000000003.part")));
	}
	cr_expect(faccessat(dir, "0000000000000003.part", F_OK, 0) != 0, "without packets it goes");
	cr_expect(faccessat(dir, "0000000000000003.index", F_OK, 0) != 0, "and so does its index");
}

/* ---- times ---- */

Test(disk, times_as_people_write_them)
{
	const uint64_t now = START_NS;
	uint64_t t = 0;

	cr_assert(zero(int, past_time("now", now, &t)));
	cr_expect(eq(u64, t, now));
	cr_assert(zero(int, past_time("-10m", now, &t)));
	cr_expect(eq(u64, t, now - UINT64_C(600) * 1000 * MS));
	cr_assert(zero(int, past_time("-1h30m", now, &t)));
	cr_expect(eq(u64, t, now - UINT64_C(5400) * 1000 * MS));
	cr_assert(zero(int, past_time("2026-09-01T12:41:08.5Z", now, &t)));
	cr_expect(eq(u64, t, UINT64_C(1788266468500000000)));
	cr_assert(zero(int, past_time("2026-09-01T14:41:08.5+02:00", now, &t)));
	cr_expect(eq(u64, t, UINT64_C(1788266468500000000)));
	cr_expect(past_time("10m", now, &t) < 0);
	cr_expect(past_time("-10", now, &t) < 0);
	cr_expect(past_time("yesterday", now, &t) < 0);
	cr_expect(past_time("", now, &t) < 0);
}
