// SPDX-License-Identifier: Apache-2.0
/*
 * client.c - see client.h.
 */
#include "loader/policy/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/filter_int.h"
#include "loader/control/control.h"
#include "loader/mirror/want.h"

#define ANSWER_MS 30000

void policy_request_init(struct policy_request *q, enum policy_ask ask)
{
	*q = (struct policy_request){.version = POLICY_WIRE_VERSION, .ask = ask};
}

static int cannot_connect(const char *control, int err)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 16];

	snprintf(path, sizeof(path), "%.100s%s", control, POLICY_SOCKET_SUFFIX);
	if (err == EACCES || err == EPERM) {
		fprintf(stderr,
			"weir: %s: not permitted — be root, or in the group that owns the socket "
			"(control.group)\n",
			path);
		return EXIT_PERM;
	}
	fprintf(stderr,
		"weir: no weir is running here that could block (%s: %s) — 'weir run' starts one; --socket "
		"names another\n",
		path, strerror(err));
	return EXIT_PEER;
}

/* @path: of the control socket. Return: a socket or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) + strlen(POLICY_SOCKET_SUFFIX) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s%s", path, POLICY_SOCKET_SUFFIX);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a))) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* ---- messages ---- */

union fd_room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* Memory that cannot change any more: the core takes no other. */
static int seal(const void *bytes, size_t len)
{
	int fd = memfd_create("weir-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const uint8_t *at = bytes;

	while (fd >= 0 && len) {
		ssize_t n = write(fd, at, len);

		if (n <= 0) {
			close(fd);
			return -1;
		}
		at += n;
		len -= (size_t)n;
	}
	if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool send_request(int fd, const struct policy_request *q, int memory)
{
	struct iovec iov = {(void *)(uintptr_t)q, sizeof(*q)};
	union fd_room room = {};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (memory >= 0) {
		struct cmsghdr *c;

		m.msg_control = &room;
		m.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &memory, sizeof(memory));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) == sizeof(*q);
}

/* Bytes of one of what is asked for. */
static size_t size_of(uint32_t ask)
{
	switch (ask) {
	case ASK_DECIDED:
		return sizeof(struct policy_decided);
	case ASK_MIRROR_SHOW:
		return sizeof(struct mirror_shown);
	case ASK_HITS:
		return sizeof(struct policy_hit);
	default:
		return sizeof(struct policy_shown);
	}
}

static bool map_answer(int memory, uint32_t ask, struct policy_result *ret)
{
	struct stat st;
	void *at;

	ret->bytes = ret->reply.n * size_of(ask);
	if (memory < 0 || fstat(memory, &st) || (uint64_t)st.st_size < ret->bytes)
		return !ret->reply.n;
	if (!ret->bytes)
		return true;
	at = mmap(NULL, ret->bytes, PROT_READ, MAP_PRIVATE, memory, 0);
	if (at == MAP_FAILED)
		return false;
	if (ask == ASK_DECIDED)
		ret->decided = at;
	else if (ask == ASK_MIRROR_SHOW)
		ret->mirrors = at;
	else if (ask == ASK_HITS)
		ret->hits = at;
	else
		ret->shown = at;
	return true;
}

static bool receive_reply(int fd, uint32_t ask, struct policy_result *ret)
{
	struct iovec iov = {&ret->reply, sizeof(ret->reply)};
	union fd_room room;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &room,
			   .msg_controllen = sizeof(room)};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct cmsghdr *c;
	int memory = -1;
	bool ok;

	if (poll(&p, 1, ANSWER_MS) != 1 || recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != sizeof(ret->reply))
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&memory, CMSG_DATA(c), sizeof(memory));
	ok = map_answer(memory, ask, ret);
	if (memory >= 0)
		close(memory);
	return ok;
}

static int refused(const struct policy_reply *r)
{
	fprintf(stderr, "weir: refused%s%s: %s\n", r->guard[0] ? " by the guard " : "", r->guard,
		r->text[0] ? r->text : strerror(-r->r));
	return r->r == -EACCES ? EXIT_PERM : EXIT_FAILED;
}

int policy_call(const char *path, const struct policy_request *q, const void *image, size_t len,
		struct policy_result *ret)
{
	int fd = connect_to(path), memory = -1, r = 0;

	*ret = (struct policy_result){};
	if (fd < 0)
		return fd;
	if (image)
		memory = seal(image, len);
	if ((image && memory < 0) || !send_request(fd, q, memory) ||
	    !receive_reply(fd, q->ask, ret))
		r = -EPIPE;
	if (memory >= 0)
		close(memory);
	close(fd);
	return r;
}

int policy_ask(const struct client_where *where, const struct policy_request *q, const void *image,
	       size_t len, struct policy_result *ret)
{
	const char *path;
	int rc = client_path(where, &path), r;

	*ret = (struct policy_result){};
	if (rc)
		return rc;
	r = policy_call(path, q, image, len, ret);
	if (r == -EPIPE) {
		fputs("weir: the running weir did not answer\n", stderr);
		return EXIT_PEER;
	}
	if (r)
		return cannot_connect(path, -r);
	if (!ret->reply.r)
		return 0;
	rc = refused(&ret->reply);
	policy_result_done(ret);
	return rc;
}

void policy_result_done(struct policy_result *r)
{
	if (r->shown)
		munmap(r->shown, r->bytes);
	if (r->decided)
		munmap(r->decided, r->bytes);
	if (r->mirrors)
		munmap(r->mirrors, r->bytes);
	r->shown = NULL;
	r->decided = NULL;
	r->mirrors = NULL;
}

/* ---- files and filters ---- */

char *policy_read_file(const char *path, size_t *ret_len, const char **ret_why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;
	char *text;

	*ret_why = strerror(errno);
	if (fd < 0)
		return NULL;
	text = !fstat(fd, &st) && st.st_size < (off_t)POLICY_BYTES_MAX
		       ? malloc((size_t)st.st_size + 1)
		       : NULL;
	*ret_why = "too large";
	while (text && n > 0 && len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (text && n < 0) {
		*ret_why = strerror(errno);
		free(text);
		return NULL;
	}
	if (text)
		text[len] = '\0';
	*ret_len = len;
	return text;
}

char *policy_normal_filter(const char *text)
{
	struct filter_ast ast = {};
	struct filter_error err = {};
	struct filter_parser p = {
		.text = text, .len = (uint32_t)strlen(text), .ast = &ast, .err = &err};
	char message[FILTER_ERROR_TEXT], *normal = NULL;
	size_t len;
	FILE *out;

	if (p.len > FILTER_TEXT_MAX || filter_parse_ast(&p)) {
		fprintf(stderr, "weir: filter: %s — see weir-filter(5)\n",
			p.len > FILTER_TEXT_MAX ? "too long" : filter_error_text(&err, message));
		return NULL;
	}
	out = open_memstream(&normal, &len);
	if (out) {
		filter_ast_print(&ast, out);
		fclose(out);
	}
	filter_ast_done(&ast);
	return normal;
}

/* "192.0.2.1", "192.0.2.0/24": what people type first. */
static bool is_address(const char *text, bool *ret_net)
{
	char copy[64];
	uint8_t ip[16];
	char *slash;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	slash = strchr(copy, '/');
	*ret_net = slash;
	if (slash)
		*slash = '\0';
	return inet_pton(AF_INET, copy, ip) == 1 || inet_pton(AF_INET6, copy, ip) == 1;
}

int policy_operand(struct cli *c, const char *words, const char *iface, char **ret)
{
	char *text = malloc(2 * FILTER_TEXT_MAX);
	bool net;
	int n;

	iface = iface ?: "";
	if (!words[0]) {
		free(text);
		return cli_error(c, "what? give a filter, or an address");
	}
	if (!text)
		return EXIT_FAILED;
	if (strchr(iface, '"'))
		n = -1;
	else if (is_address(words, &net))
		n = snprintf(text, 2 * FILTER_TEXT_MAX, "%s %s", net ? "net" : "host", words);
	else
		n = snprintf(text, 2 * FILTER_TEXT_MAX, *iface ? "(%s)" : "%s", words);
	if (n > 0 && *iface)
		snprintf(text + n, 2 * FILTER_TEXT_MAX - (size_t)n, " and iface == \"%s\"", iface);
	*ret = policy_normal_filter(text);
	free(text);
	return *ret ? 0 : EXIT_USAGE;
}

/* ---- what it would have matched ---- */

/* src and dst change places: what the filter says of packets the other way. */
static char *turned(const char *filter)
{
	static const uint8_t other[_FF_MAX] = {
		[FF_SRC_IP] = FF_DST_IP,
		[FF_DST_IP] = FF_SRC_IP,
		[FF_SRC_PORT] = FF_DST_PORT,
		[FF_DST_PORT] = FF_SRC_PORT,
	};
	struct filter_ast ast = {};
	struct filter_error err;
	struct filter_parser p = {
		.text = filter, .len = (uint32_t)strlen(filter), .ast = &ast, .err = &err};
	char *text = NULL;
	size_t len;
	FILE *out;

	if (filter_parse_ast(&p))
		return NULL;
	for (uint32_t i = 1; i < ast.n_nodes; i++)
		if ((ast.nodes[i].type == FN_CMP || ast.nodes[i].type == FN_EXISTS) &&
		    ast.nodes[i].field != other[ast.nodes[i].field] &&
		    (ast.nodes[i].field == FF_SRC_IP || ast.nodes[i].field == FF_DST_IP ||
		     ast.nodes[i].field == FF_SRC_PORT || ast.nodes[i].field == FF_DST_PORT))
			ast.nodes[i].field = other[ast.nodes[i].field];
	out = open_memstream(&text, &len);
	if (out) {
		filter_ast_print(&ast, out);
		fclose(out);
	}
	filter_ast_done(&ast);
	return text;
}

static void add_record(const json_t *line, const char *way, struct policy_matched *m)
{
	const json_t *side = json_object_get(line, way);
	const uint64_t packets = (uint64_t)json_integer_value(json_object_get(side, "packets"));

	m->packets += packets;
	m->bytes += (uint64_t)json_integer_value(json_object_get(side, "bytes"));
	m->flows += packets > 0;
}

static int ask_flows(const struct client_where *where, json_t *request, const char *way,
		     struct policy_matched *m)
{
	struct control_client client = {};
	bool more = true;
	int rc = client_open(where, &client);

	if (rc) {
		json_decref(request);
		return rc;
	}
	rc = client_ask(&client, request);
	while (!rc && more) {
		json_t *line;
		int r = client_next(&client, true, &line);

		if (r < 0) {
			rc = client_lost(r);
			break;
		}
		if (!strcmp(client_type(line), "error"))
			rc = client_refused(line);
		else if (!*client_type(line))
			add_record(line, way, m);
		more = strcmp(client_type(line), "end") != 0;
		if (!more && json_integer_value(json_object_get(line, "lost")))
			m->more = true;
		json_decref(line);
	}
	client_close(&client);
	return rc;
}

static int ask_way(const struct client_where *where, const char *filter, const char *way,
		   struct policy_matched *m)
{
	int rc = ask_flows(where,
			   json_pack("{s:i,s:s,s:s,s:I}", "v", (int)CONTROL_VERSION, "command",
				     "flows", "filter", filter, "since_ns",
				     (json_int_t)60 * 1000000000),
			   way, m);

	return rc
		       ?: ask_flows(where,
				    json_pack("{s:i,s:s,s:s,s:b,s:i}", "v", (int)CONTROL_VERSION,
					      "command", "flows", "filter", filter, "live", 1,
					      "limit", 1000),
				    way, m);
}

int policy_matches(const struct client_where *where, const char *filter, struct policy_matched *ret)
{
	char *other = turned(filter);
	int rc;

	*ret = (struct policy_matched){};
	rc = ask_way(where, filter, "out", ret);
	if (!rc && other)
		rc = ask_way(where, other, "in", ret);
	free(other);
	return rc;
}
