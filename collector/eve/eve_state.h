/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_state.h - from where a collector that comes back reads its files again: far enough back that no alert is
 * lost which waited, or was part of a record that was not durable yet. Those that a stored record has are told
 * apart by asking the store. One thread.
 */
#ifndef WEIR_COLLECTOR_EVE_STATE_H
#define WEIR_COLLECTOR_EVE_STATE_H

#include "collector/eve/eve_lines.h"
#include "collector/store/store.h"

#define EVE_POINTS 64u

/* A file's places of the last while, oldest first; time of the oldest alert read since. */
struct eve_points {
	struct eve_point {
		uint64_t at_ms;
		uint64_t oldest_us; /* UINT64_MAX: none */
		struct eve_position pos;
	} v[EVE_POINTS];
	uint32_t n;
};

/* An alert of @time_us was read. */
void eve_points_alert(struct eve_points *p, uint64_t time_us);

/*
 * The file is at @pos now; places older than @keep_ms go, but for the last of them. True: there is another first, or
 * another file.
 */
bool eve_points_add(struct eve_points *p, const struct eve_position *pos, uint64_t now_ms,
		    uint64_t keep_ms);

/* What the file of states says of one. */
struct eve_saved {
	struct eve_chain chain; /* none: the file was not there yet */
	uint64_t oldest_us;	/* 0: no alert */
};

/* Return: false: it says nothing of @source. */
bool eve_state_read(const char *path, const char *source, struct eve_saved *ret);

struct eve_state_row {
	const char *source;
	const struct eve_points *points;
};

/* Return: 0 or -errno: the file stays as it was. */
int eve_state_write(const char *path, const struct eve_state_row *rows, uint32_t n);

/**
 * eve_state_seen - alerts that records in the store have, of flows that ended at @from_us or later
 * @ret: hashes of eve_join_hash(), sorted; to be freed
 *
 * Return: 0, -ENOMEM, or what the store says.
 */
int eve_state_seen(struct store *s, int64_t from_us, char error[STORE_ERROR], uint64_t **ret,
		   size_t *ret_n);

#endif
