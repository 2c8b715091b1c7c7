// SPDX-License-Identifier: Apache-2.0
/*
 * outlet_lines.c - syslog and lines, to files and in datagrams.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/notify/outlet_int.h"

#define REFUSAL_MS 300 /* in which a datagram's refusal has come back */

char *outlet_text(const struct outlet *o, const struct notice *v, uint32_t n, size_t *ret_len)
{
	char *text = NULL, *one;
	FILE *out = open_memstream(&text, ret_len), *line;
	size_t len;

	for (uint32_t i = 0; out && i < n; i++) {
		if (o->cfg->scheme != SCHEME_SYSLOG_TCP && o->cfg->scheme != SCHEME_SYSLOG_TLS) {
			notice_line(out, o->cfg->format, o->from, &v[i]);
			putc('\n', out);
			continue;
		}
		line = open_memstream(&one, &len);
		if (!line)
			break;
		notice_syslog(line, o->cfg->format, o->from, &v[i]);
		if (!fclose(line)) {
			fprintf(out, "%zu ", len);
			fwrite(one, 1, len, out);
		}
		free(one);
	}
	return out && !fclose(out) ? text : NULL;
}

/* ---- files ---- */

/* What a crash has cut off stays a line of its own. */
static int end_line(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size || pread(fd, &last, 1, st.st_size - 1) != 1 ||
	    last == '\n')
		return 0;
	return write(fd, "\n", 1) == 1 ? 0 : -errno;
}

static int append(int fd, const char *text, size_t len)
{
	int r = end_line(fd);

	while (len && !r) {
		const ssize_t k = write(fd, text, len);

		if (k < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		text += k;
		len -= (size_t)k;
	}
	if (!r && fsync(fd) && errno != EINVAL) /* a pipe has no disk */
		r = -errno;
	return r;
}

int outlet_file(struct outlet *o, const struct notice *v, uint32_t n)
{
	size_t len;
	char *text = outlet_text(o, v, n, &len);
	int fd, r;

	if (!text)
		return outlet_say(o, -ENOMEM, "out of memory");
	fd = open(o->cfg->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
	r = fd < 0 ? -errno : append(fd, text, len);
	if (fd >= 0)
		close(fd);
	free(text);
	return r ? outlet_say(o, r, "%.150s: %s", o->cfg->path, strerror(-r))
		 : outlet_say(o, 0, "%u lines are on the disk", n);
}

/* ---- datagrams ---- */

static int connect_udp(struct outlet *o, int *ret)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	char port[8];
	int fd = -1, r;

	snprintf(port, sizeof(port), "%u", o->cfg->port);
	r = getaddrinfo(o->cfg->host, port, &hints, &list);
	if (r)
		return outlet_say(o, -EIO, "%.150s: %s", o->cfg->host, gai_strerror(r));
	r = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || !connect(fd, a->ai_addr, a->ai_addrlen))
			continue;
		r = -errno;
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	if (fd < 0)
		return outlet_say(o, r, "%.150s: %s", o->cfg->host, strerror(-r));
	*ret = fd;
	return 0;
}

static int send_one(struct outlet *o, int fd, const struct notice *n)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	ssize_t sent;
	int r;

	if (!out)
		return outlet_say(o, -ENOMEM, "out of memory");
	notice_syslog(out, o->cfg->format, o->from, n);
	if (fclose(out))
		return outlet_say(o, -ENOMEM, "out of memory");
	sent = send(fd, text, len, MSG_NOSIGNAL);
	r = sent >= 0 ? 0 : errno == EMSGSIZE ? -EBADMSG : -errno;
	if (r)
		outlet_say(o, r, "%s", strerror(errno));
	free(text);
	return r;
}

int outlet_udp(struct outlet *o, const struct notice *v, uint32_t n)
{
	struct pollfd p = {.events = POLLIN};
	int r = connect_udp(o, &p.fd), refused = 0;
	socklen_t len = sizeof(refused);

	if (r)
		return r;
	for (uint32_t i = 0; i < n && !r; i++)
		r = send_one(o, p.fd, &v[i]);
	if (!r && poll(&p, 1, REFUSAL_MS) > 0 &&
	    !getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &refused, &len) && refused)
		r = outlet_say(o, -refused, "%s: nobody listens there", strerror(refused));
	close(p.fd);
	return r ?: outlet_say(o, 0, "%u datagrams sent; whether they arrive nobody says", n);
}
