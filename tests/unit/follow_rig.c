// SPDX-License-Identifier: Apache-2.0
#include "follow_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/policy.h"
#include "common/scan.h"
#include "loader/policy/wire.h"

#define QUESTION_MAX 16384u

/* ---- the core ---- */

/* With what comes along. Return: false: the other side is gone. */
static bool receive(int fd, struct policy_request *q, struct policy_header *image)
{
	char room[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = {q, sizeof(*q)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof(room)};
	const struct cmsghdr *c;
	int memory;

	if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != sizeof(*q))
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return true;
	memcpy(&memory, CMSG_DATA(c), sizeof(memory));
	cr_assert(eq(i64, pread(memory, image, sizeof(*image), 0), sizeof(*image)));
	close(memory);
	return true;
}

static struct policy_reply reply_to(struct fake_core *c, const struct policy_request *q,
				    const struct policy_header *image)
{
	const struct policy_reply done = {.version = POLICY_WIRE_VERSION};

	if (q->ask == ASK_HELD)
		return c->held;
	if (q->ask == ASK_HITS) /* nothing was hit */
		return done;
	c->last = *q;
	if (q->ask == ASK_CONFIRM) {
		c->confirmed++;
		return done;
	}
	c->applied++;
	if (!c->apply.r) {
		c->held.held = c->held.highest = image->generation;
		c->held.why = HELD_AS_APPLIED;
	}
	return c->apply;
}

static void *core_run(void *arg)
{
	struct fake_core *c = arg;
	int fd;

	while ((fd = accept(c->listener, NULL, NULL)) >= 0) {
		struct policy_header image = {};
		struct policy_request q;
		struct policy_reply r;

		while (receive(fd, &q, &image)) {
			pthread_mutex_lock(&c->lock);
			r = reply_to(c, &q, &image);
			pthread_mutex_unlock(&c->lock);
			(void)send(fd, &r, sizeof(r), MSG_NOSIGNAL);
		}
		close(fd);
	}
	return NULL;
}

void fake_core_open(struct fake_core *c, const char *dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	*c = (struct fake_core){.held.version = POLICY_WIRE_VERSION,
				.apply.version = POLICY_WIRE_VERSION};
	snprintf(c->socket, sizeof(c->socket), "%.40s/weir.sock", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", c->socket, POLICY_SOCKET_SUFFIX);
	c->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	cr_assert(eq(int, bind(c->listener, (const struct sockaddr *)&a, sizeof(a)), 0));
	cr_assert(eq(int, listen(c->listener, 4), 0));
	pthread_mutex_init(&c->lock, NULL);
	cr_assert(eq(int, pthread_create(&c->thread, NULL, core_run, c), 0));
}

void fake_core_close(struct fake_core *c)
{
	char path[sizeof(c->socket) + sizeof(POLICY_SOCKET_SUFFIX)];

	shutdown(c->listener, SHUT_RDWR);
	pthread_join(c->thread, NULL);
	close(c->listener);
	snprintf(path, sizeof(path), "%s%s", c->socket, POLICY_SOCKET_SUFFIX);
	(void)unlink(path);
}

void fake_core_hold(struct fake_core *c, uint64_t generation, enum policy_held why)
{
	pthread_mutex_lock(&c->lock);
	c->held.held = generation;
	if (generation > c->held.highest)
		c->held.highest = generation;
	c->held.why = (uint8_t)why;
	pthread_mutex_unlock(&c->lock);
}

static unsigned int read_locked(struct fake_core *c, const unsigned int *n)
{
	unsigned int v;

	pthread_mutex_lock(&c->lock);
	v = *n;
	pthread_mutex_unlock(&c->lock);
	return v;
}

unsigned int fake_core_applied(struct fake_core *c)
{
	return read_locked(c, &c->applied);
}

unsigned int fake_core_confirmed(struct fake_core *c)
{
	return read_locked(c, &c->confirmed);
}

/* ---- the collector ---- */

static void write_pem(const char *path, const X509 *x, EVP_PKEY *key)
{
	BIO *b = BIO_new_file(path, "w");

	cr_assert(ne(ptr, b, NULL), "%s", path);
	if (x)
		PEM_write_bio_X509(b, x);
	else
		PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	BIO_free(b);
}

/* One certificate, that signs itself, is everybody's: of whom it is, is tested elsewhere. */
static void make_certificate(struct fake_collector *c)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 23);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)RIG_ISSUER, -1, -1,
				   0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	write_pem(c->e.ca, x, NULL);
	write_pem(c->e.cert, x, NULL);
	write_pem(c->e.key, NULL, key);
	X509_free(x);
	EVP_PKEY_free(key);
}

void fake_collector_open(struct fake_collector *c, const char *dir)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);

	*c = (struct fake_collector){.end = eventfd(0, EFD_CLOEXEC)};
	enrolment_init(&c->e, dir, RIG_ISSUER);
	cr_assert(eq(int, enrolment_mkdir(c->e.dir, 0700), 0));
	make_certificate(c);
	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(eq(int, bind(c->listener, (const struct sockaddr *)&a, sizeof(a)), 0));
	cr_assert(eq(int, listen(c->listener, 4), 0));
	cr_assert(eq(int, getsockname(c->listener, (struct sockaddr *)&a, &len), 0));
	snprintf(c->e.url, sizeof(c->e.url), "https://127.0.0.1:%u", ntohs(a.sin_port));
	cr_assert(eq(int, https_url(c->e.url, &c->e.host, &c->e.port), 0));
}

/* The whole of a question into @text. Return: its body, or NULL: the other side has hung up. */
static char *read_question(SSL *ssl, char text[QUESTION_MAX])
{
	char *body = NULL;
	const char *length;
	char number[24];
	uint64_t want = 0;
	size_t have = 0;

	while (!body || strlen(body) < want) {
		const int n = SSL_read(ssl, text + have, (int)(QUESTION_MAX - 1 - have));

		if (n <= 0)
			return NULL;
		have += (size_t)n;
		text[have] = '\0';
		body = strstr(text, "\r\n\r\n");
		if (!body)
			continue;
		body += 4;
		length = strstr(text, "Content-Length: ");
		snprintf(number, sizeof(number), "%.*s",
			 length ? (int)strcspn(length + 16, "\r") : 0, length ? length + 16 : "");
		if (scan_u64(number, 0, QUESTION_MAX, &want))
			return NULL;
	}
	return body;
}

/* Return: false: it is none, which c->wrong says. */
static bool note_question(struct fake_collector *c, const char *text, const char *body)
{
	struct fake_question *q = &c->asked[c->questions++];

	if (strncmp(text, "POST ", 5) != 0)
		snprintf(c->wrong, sizeof(c->wrong), "%.60s", text);
	else
		snprintf(q->path, sizeof(q->path), "%.*s", (int)strcspn(text + 5, " "), text + 5);
	if (!strcmp(q->path, NODE_PATH_SYNC))
		(void)node_message_read(NODE_REPORT, body, strlen(body), &q->said, c->wrong);
	return !c->wrong[0];
}

static bool at_end(const struct fake_collector *c)
{
	return c->questions == c->n || c->wrong[0];
}

/* Return: false: the connection is at its end. */
static bool answer_one(struct fake_collector *c, SSL *ssl)
{
	const struct fake_answer *a = &c->script[c->questions];
	char text[QUESTION_MAX], head[128];
	const char *body = read_question(ssl, text);

	if (!body)
		return false;
	if (!note_question(c, text, body))
		return false;
	if (a->before)
		a->before(c->arg);
	if (!a->status)
		return at_end(c) || SSL_read(ssl, text, 1) > 0;
	snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", a->status,
		 a->len);
	SSL_write(ssl, head, (int)strlen(head));
	if (a->len)
		SSL_write(ssl, a->body, (int)a->len);
	return true;
}

static void serve(struct fake_collector *c, SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, fd);
	c->connections++;
	if (SSL_accept(ssl) == 1)
		while (!at_end(c) && answer_one(c, ssl))
			;
	if (at_end(c)) {
		char rest;

		(void)eventfd_write(c->end, 1);
		(void)SSL_read(ssl, &rest, 1); /* until it hangs up, so that it asks nobody else */
	}
	SSL_free(ssl);
	close(fd);
}

static void *collector_run(void *arg)
{
	struct fake_collector *c = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int fd;

	SSL_CTX_use_certificate_chain_file(ctx, c->e.ca);
	SSL_CTX_use_PrivateKey_file(ctx, c->e.key, SSL_FILETYPE_PEM);
	while (!at_end(c) && (fd = accept(c->listener, NULL, NULL)) >= 0)
		serve(c, ctx, fd);
	SSL_CTX_free(ctx);
	return NULL;
}

void fake_collector_start(struct fake_collector *c, const struct fake_answer *script,
			  unsigned int n)
{
	c->script = script;
	c->n = n;
	cr_assert(le(u32, n, RIG_QUESTIONS));
	cr_assert(eq(int, pthread_create(&c->thread, NULL, collector_run, c), 0));
	c->started = true;
}

void fake_collector_wait(struct fake_collector *c)
{
	if (c->started)
		pthread_join(c->thread, NULL);
	c->started = false;
}

void fake_collector_close(struct fake_collector *c)
{
	fake_collector_wait(c);
	close(c->listener);
	close(c->end);
	(void)unlink(c->e.ca);
	(void)unlink(c->e.cert);
	(void)unlink(c->e.key);
	(void)rmdir(c->e.dir);
}
