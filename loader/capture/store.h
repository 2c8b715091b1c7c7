/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the directory of captures: a file each, ID.pcapng, while it is written ID.part. Everything that is
 * to be known of one is in the file itself, as JSON in the comment of its first block: whatever ends weir, what
 * is there can be read. Ids grow with time. Any thread.
 */
#ifndef WEIR_LOADER_STORE_H
#define WEIR_LOADER_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_ID	16u /* hexadecimal digits: nanoseconds since 1970 */
#define STORE_NAME	32u
#define STORE_FILES_MAX 65536u

struct store_file {
	char id[STORE_ID + 1];
	bool part;	  /* being written, or nobody ended it */
	uint64_t bytes;	  /* as the file is now */
	int64_t ended_us; /* last written, since 1970 */
};

/* "0123456789abcdef" and nothing else? */
bool store_is_id(const char *text);

/* One for a file that begins now, greater than @last, which it becomes. */
void store_new_id(uint64_t *last, char ret[STORE_ID + 1]);

void store_name(const char *id, bool part, char ret[STORE_NAME]);

/**
 * store_list - the files, the oldest first; others in the directory are left alone
 * @ret: to be freed
 *
 * Return: 0, -ENOMEM, -errno.
 */
int store_list(int dir, struct store_file **ret, size_t *ret_n);

/* What an earlier weir did not end is ended now. Return: 0 or -errno. */
int store_mend(int dir);

/**
 * store_room - see to it that @want bytes fit under @quota, beside @held that others may grow to
 * @removed: counted up
 *
 * The oldest files go; those being written (*.part) count for nothing here, since they are in @held.
 * Return: 0; -ENOSPC; -errno.
 */
int store_room(int dir, uint64_t quota, uint64_t held, uint64_t want, uint64_t *removed);

/* The file, to be read, whether it is written still or not. Return: a descriptor, -errno. */
int store_open_file(int dir, const char *id);

/* Not one that is being written. Return: 0, -EBUSY, -ENOENT, -errno. */
int store_remove_file(int dir, const char *id);

/* What its first block says of it; NULL: it is none of ours, or cannot be read (errno). */
json_t *store_tell(int dir, const struct store_file *f);

#endif
