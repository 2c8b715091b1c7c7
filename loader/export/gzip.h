/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip.h - compresses the newest old file of a rotated output, a piece at a time, between other
 * work of the sink thread.
 */
#ifndef WEIR_LOADER_EXPORT_GZIP_H
#define WEIR_LOADER_EXPORT_GZIP_H

struct sink;
struct gzip;

/* Start with PATH.1. Return: 0, -ENOMEM or -errno. */
int gzip_new(struct sink *s, struct gzip **ret);

/**
 * gzip_step - read, compress and write up to 256 KiB
 *
 * Return: -EAGAIN: there is more; 0: PATH.1.gz is complete and PATH.1 gone; or -errno, said in the
 *         sink's last error: PATH.1 stays as it is.
 */
int gzip_step(struct gzip *g);

/* NULL is fine. Return: NULL. */
struct gzip *gzip_free(struct gzip *g);

#endif
