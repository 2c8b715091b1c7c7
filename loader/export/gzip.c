// SPDX-License-Identifier: Apache-2.0
#include "loader/export/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "loader/export/sink_int.h"

#define IN_BYTES  (256u << 10)
#define OUT_BYTES (64u << 10)
#define LEVEL	  6
#define GZIP_BITS (15 + 16) /* largest window, gzip header */

struct gzip {
	struct sink *s;
	z_stream z;
	int in, out;
	uint8_t in_buf[IN_BYTES];
	uint8_t out_buf[OUT_BYTES];
};

struct gzip *gzip_free(struct gzip *g)
{
	if (!g)
		return NULL;
	deflateEnd(&g->z);
	if (g->in >= 0)
		close(g->in);
	if (g->out >= 0)
		close(g->out);
	free(g);
	return NULL;
}

int gzip_new(struct sink *s, struct gzip **ret)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->s = s;
	g->in = sink_file(s, XF_OLD_READ, 0);
	g->out = g->in < 0 ? -1 : sink_file(s, XF_OLD_GZIP, 0);
	if (g->in < 0 || g->out < 0 ||
	    deflateInit2(&g->z, LEVEL, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		gzip_free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

static int put(struct gzip *g, int flush)
{
	do {
		size_t len, done = 0;

		g->z.next_out = g->out_buf;
		g->z.avail_out = OUT_BYTES;
		deflate(&g->z, flush);
		len = OUT_BYTES - g->z.avail_out;
		while (done < len) {
			ssize_t n = write(g->out, g->out_buf + done, len - done);

			if (n < 0)
				return -errno;
			done += (size_t)n;
		}
	} while (!g->z.avail_out);
	return 0;
}

int gzip_step(struct gzip *g)
{
	ssize_t n = read(g->in, g->in_buf, IN_BYTES);
	int r = n < 0 ? -errno : 0;

	if (!r) {
		g->z.next_in = g->in_buf;
		g->z.avail_in = (uInt)n;
		r = put(g, n ? Z_NO_FLUSH : Z_FINISH);
	}
	if (!r && n)
		return -EAGAIN;
	if (!r)
		r = sink_file(g->s, XF_OLD_UNLINK, 0);
	if (r)
		sink_error(g->s, "compress", -r);
	return r;
}
