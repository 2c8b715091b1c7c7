/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - who is at the other end of a unix socket, as the kernel says (unix(7), SO_PEERCRED). Any thread.
 */
#ifndef WEIR_COMMON_PEER_H
#define WEIR_COMMON_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#define PEER_NO_GROUP ((gid_t)-1)

/* Of a name; PEER_NO_GROUP: an empty one, or there is none. Not for a process that gave up its files. */
gid_t peer_group(const char *name);

/**
 * peer_may - is it root, @self, or in @group?
 * @self:    a user
 * @group:   PEER_NO_GROUP: none
 * @ret_uid: who it is, (uid_t)-1 if that can't be said; may be NULL
 */
bool peer_may(int fd, uid_t self, gid_t group, uid_t *ret_uid);

#endif
