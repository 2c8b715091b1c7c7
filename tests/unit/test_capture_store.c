// SPDX-License-Identifier: Apache-2.0
/* The directory of captures: what is listed, what goes for room, what is mended. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/capture/pcapng.h"
#include "loader/capture/store.h"

static char path[] = "/tmp/weir-store-XXXXXX";
static int dir = -1;

static void begin(void)
{
	cr_assert(mkdtemp(path) != NULL);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void end(void)
{
	char command[80];

	close(dir);
	snprintf(command, sizeof(command), "%s", path);
	for (const char *const *n =
		     (const char *const[]){"0000000000000001.pcapng", "0000000000000002.pcapng",
					   "0000000000000003.pcapng", "0000000000000003.part",
					   "other", NULL};
	     *n; n++) {
		char file[120];

		snprintf(file, sizeof(file), "%s/%s", path, *n);
		unlink(file);
	}
	rmdir(command);
}

TestSuite(capture_store, .init = begin, .fini = end);

static void put(const char *name, const void *data, size_t len)
{
	const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert(fd >= 0);
	cr_assert(eq(int, (int)write(fd, data, len), (int)len));
	close(fd);
}

static void three(void)
{
	static const char bytes[1000];

	put("0000000000000002.pcapng", bytes, 300);
	put("0000000000000001.pcapng", bytes, 200);
	put("0000000000000003.part", bytes, 1000);
	put("other", bytes, 1000);
}

static size_t count(uint64_t *ret_bytes)
{
	struct store_file *f = NULL;
	size_t n = 0;

	cr_assert(eq(int, store_list(dir, &f, &n), 0));
	*ret_bytes = 0;
	for (size_t i = 0; i < n; i++)
		*ret_bytes += f[i].bytes;
	free(f);
	return n;
}

Test(capture_store, lists_its_own_oldest_first)
{
	struct store_file *f = NULL;
	size_t n = 0;

	three();
	cr_assert(eq(int, store_list(dir, &f, &n), 0));
	cr_assert(eq(sz, n, 3));
	cr_expect(eq(str, f[0].id, "0000000000000001"));
	cr_expect(eq(u64, f[1].bytes, 300));
	cr_expect(f[2].part && !f[0].part);
	free(f);
}

Test(capture_store, room_is_made_of_the_oldest_and_no_more)
{
	uint64_t removed = 0, bytes;

	three();
	/* 500 are there, and 1000 may be written */
	cr_expect(eq(int, store_room(dir, 2000, 1000, 500, &removed), 0));
	cr_expect(eq(u64, removed, 0));
	cr_expect(eq(int, store_room(dir, 2000, 1000, 501, &removed), 0));
	cr_expect(eq(u64, removed, 1));
	cr_expect(eq(sz, count(&bytes), 2));
	cr_expect(eq(int, store_room(dir, 2000, 1000, 1000, &removed), 0));
	cr_expect(eq(u64, removed, 2));
	cr_expect(eq(sz, count(&bytes), 1), "what is being written stays");
}

Test(capture_store, no_room_beside_what_is_being_written)
{
	uint64_t removed = 0, bytes;

	three();
	cr_expect(eq(int, store_room(dir, 2000, 1500, 501, &removed), -ENOSPC));
	cr_expect(eq(int, store_room(dir, 2000, 0, 2001, &removed), -ENOSPC));
	cr_expect(eq(u64, removed, 0));
	cr_expect(eq(sz, count(&bytes), 3));
}

Test(capture_store, mends_what_nobody_ended)
{
	struct store_file *f = NULL;
	size_t n = 0;

	three();
	cr_assert(eq(int, store_mend(dir), 0));
	cr_assert(eq(int, store_list(dir, &f, &n), 0));
	cr_assert(eq(sz, n, 3));
	cr_expect(zero(int, f[2].part));
	cr_expect(eq(u64, f[2].bytes, 1000));
	free(f);
}

Test(capture_store, tells_what_the_first_block_says)
{
	const struct store_file f = {.id = "0000000000000001"};
	uint8_t block[PCAPNG_BLOCK_MAX];
	const size_t len = pcapng_section(block, "weir", "Linux", "{\"rule\":\"one\"}");
	json_t *o;

	put("0000000000000001.pcapng", block, len);
	o = store_tell(dir, &f);
	cr_assert(o != NULL);
	cr_expect(eq(str, (char *)(uintptr_t)json_string_value(json_object_get(o, "rule")), "one"));
	json_decref(o);
	/* cut anywhere, or no file of ours: nothing is said, and nothing is read that is not there */
	for (size_t n = 0; n < len; n++) {
		put("0000000000000001.pcapng", block, n);
		o = store_tell(dir, &f);
		json_decref(o);
	}
	block[0] ^= 1;
	put("0000000000000001.pcapng", block, len);
	cr_expect(store_tell(dir, &f) == NULL);
	put("0000000000000001.pcapng", block, pcapng_section(block, "weir", "Linux", "no object"));
	cr_expect(store_tell(dir, &f) == NULL);
}

Test(capture_store, ids_are_nothing_else)
{
	cr_expect(store_is_id("0123456789abcdef"));
	cr_expect(zero(int, store_is_id("0123456789abcde")));
	cr_expect(zero(int, store_is_id("0123456789abcdefa")));
	cr_expect(zero(int, store_is_id("0123456789ABCDEF")));
	cr_expect(zero(int, store_is_id("../../etc/passwd")));
}
