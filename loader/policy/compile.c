// SPDX-License-Identifier: Apache-2.0
/*
 * compile.c - `weir policy compile`, `sign`, `keygen`, and files read for the others.
 */
#include "loader/policy/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPT_KEY = 1, OPT_OUT };

static int cmd_compile(int argc, char **argv);
static int cmd_sign(int argc, char **argv);
static int cmd_keygen(int argc, char **argv);

static const struct cli_option compile_options[] = {
	{OPT_OUT, 'w', "write", "FILE", CLI_FILE, "standard output", "where the records go"},
	{},
};

static const struct cli_option sign_options[] = {
	{OPT_KEY, 0, "key", "FILE", CLI_FILE, NULL, "private key, as keygen made it; required"},
	{OPT_OUT, 'w', "write", "FILE", CLI_FILE, "standard output", "where the signed records go"},
	{},
};

static const struct cli_option no_options[] = {{}};

const struct cli_command command_policy_compile = {
	.name = "compile",
	.help = "text of a policy to records",
	.operands = "FILE",
	.words = CLI_FILE,
	.options = compile_options,
	.examples = "weir policy compile intel.policy -w intel.bin\n",
	.run = cmd_compile,
};

const struct cli_command command_policy_sign = {
	.name = "sign",
	.help = "sign a policy (ed25519), text or records",
	.operands = "FILE",
	.words = CLI_FILE,
	.options = sign_options,
	.examples = "weir policy sign intel.policy --key keys/private.pem -w intel.bin\n",
	.run = cmd_sign,
};

const struct cli_command command_policy_keygen = {
	.name = "keygen",
	.help = "a pair of keys: DIR/private.pem to sign with, DIR/public.pem for policy.keys",
	.operands = "DIR",
	.words = CLI_DIR,
	.options = no_options,
	.examples = "weir policy keygen keys\n",
	.run = cmd_keygen,
};

/* ---- reading ---- */

struct reader {
	char dir[4096]; /* lists stand beside the policy */
	char path[8192];
};

static char *read_list(void *arg, const char *path, size_t *ret_len, const char **ret_why)
{
	struct reader *r = arg;

	if (path[0] == '/')
		snprintf(r->path, sizeof(r->path), "%s", path);
	else
		snprintf(r->path, sizeof(r->path), "%s/%s", r->dir, path);
	return policy_read_file(r->path, ret_len, ret_why);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int say_error(const char *path, const struct policy_source_error *e)
{
	if (e->file[0])
		fprintf(stderr, "%s:%u: %s\n", e->file, e->line, e->text);
	else
		fprintf(stderr, "%s:%u:%u: %s\n", path, e->line, e->column, e->text);
	return EXIT_FAILED;
}

static int compile(const char *path, const char *text, size_t text_len, uint8_t **ret,
		   size_t *ret_len)
{
	struct reader reader;
	struct policy_source src = {.now = (uint64_t)time(NULL), .read = read_list, .arg = &reader};
	struct policy_source_error err;
	struct policy_draft d;
	char origin[64], copy[4096];
	int r;

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(reader.dir, sizeof(reader.dir), "%s", dirname(copy));
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(origin, sizeof(origin), "file:%.50s", basename(copy));
	src.origin = origin;
	if (policy_compile(text, text_len, &src, &d, &err))
		return say_error(path, &err);
	/* what does not say is newer than whatever was before, and called by its file */
	d.head.generation = d.head.generation ?: now_ms();
	if (!d.head.issuer[0])
		snprintf((char *)d.head.issuer, sizeof(d.head.issuer), "%.31s", basename(copy));
	r = policy_image(&d, ret, ret_len);
	policy_draft_done(&d);
	return r ? EXIT_FAILED : 0;
}

int policy_load(const char *path, uint8_t **ret, size_t *ret_len)
{
	const char *why;
	size_t len;
	char *text = policy_read_file(path, &len, &why);
	int rc;

	if (!text) {
		fprintf(stderr, "weir: %s: %s\n", path, why);
		return EXIT_FAILED;
	}
	if (len >= 8 && !memcmp(text, POLICY_MAGIC, 8)) {
		*ret = (uint8_t *)text;
		*ret_len = len;
		return 0;
	}
	rc = compile(path, text, len, ret, ret_len);
	free(text);
	return rc;
}

/* ---- writing ---- */

static int write_out(const char *path, const uint8_t *bytes, size_t len)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : STDOUT_FILENO;

	while (fd >= 0 && len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		bytes += n;
		len -= (size_t)n;
	}
	if (fd < 0 || len) {
		fprintf(stderr, "weir: %s: %s\n", path ?: "standard output", strerror(errno));
		return EXIT_FAILED;
	}
	if (path)
		close(fd);
	return 0;
}

struct words {
	const char *file, *out, *key;
};

/* Return: -1 go on, else what to return. */
static int parse(struct cli *c, struct words *w)
{
	int id;

	c->path = "policy";
	while ((id = cli_next(c)) > 0 || id == CLI_OPERAND) {
		if (id == OPT_KEY)
			w->key = c->arg;
		else if (id == OPT_OUT)
			w->out = c->arg;
		else if (w->file)
			return cli_error(c, "'%s': one at a time", c->arg);
		else
			w->file = c->arg;
	}
	if (id == CLI_STOP)
		return c->status;
	return w->file ? -1 : cli_error(c, "which one?");
}

static int check(const char *path, const uint8_t *image, size_t len)
{
	const struct policy_bounds bounds = {.now = (uint64_t)time(NULL),
					     .expires_max = UINT64_MAX};
	struct policy_error err;
	struct policy p;

	if (!policy_check(image, len, &bounds, &p, &err))
		return 0;
	fprintf(stderr, "weir: %s: %s\n", path, err.text);
	return EXIT_FAILED;
}

static int refuse_terminal(const struct words *w)
{
	if (w->out || !isatty(STDOUT_FILENO))
		return 0;
	fputs("weir: records are nothing for a terminal: -w FILE, or a pipe\n", stderr);
	return EXIT_USAGE;
}

static int cmd_compile(int argc, char **argv)
{
	struct cli c = {.cmd = &command_policy_compile, .argc = argc, .argv = argv};
	struct words w = {};
	uint8_t *image = NULL;
	size_t len = 0;
	int rc = parse(&c, &w);

	if (rc >= 0)
		return rc;
	rc = refuse_terminal(&w);
	rc = rc ?: policy_load(w.file, &image, &len);
	rc = rc ?: check(w.file, image, len);
	rc = rc ?: write_out(w.out, image, len);
	free(image);
	return rc;
}

static int read_key(const char *path, uint8_t key[POLICY_KEY])
{
	const char *why;
	size_t len;
	char *pem = policy_read_file(path, &len, &why);
	int rc = 0;

	if (!pem) {
		fprintf(stderr, "weir: %s: %s\n", path, why);
		return EXIT_FAILED;
	}
	if (policy_read_private(pem, len, key)) {
		fprintf(stderr, "weir: %s: no ed25519 private key in PEM\n", path);
		rc = EXIT_FAILED;
	}
	explicit_bzero(pem, len);
	free(pem);
	return rc;
}

static int cmd_sign(int argc, char **argv)
{
	struct cli c = {.cmd = &command_policy_sign, .argc = argc, .argv = argv};
	struct words w = {};
	uint8_t key[POLICY_KEY], *image = NULL;
	size_t len = 0;
	int rc = parse(&c, &w);

	if (rc >= 0)
		return rc;
	if (!w.key)
		return cli_error(&c, "with which key? --key FILE");
	rc = refuse_terminal(&w);
	rc = rc ?: policy_load(w.file, &image, &len);
	rc = rc ?: check(w.file, image, len);
	rc = rc ?: read_key(w.key, key);
	if (!rc && policy_sign(image, len, key)) {
		fputs("weir: libcrypto can't sign with ed25519\n", stderr);
		rc = EXIT_FAILED;
	}
	explicit_bzero(key, sizeof(key));
	rc = rc ?: write_out(w.out, image, len);
	free(image);
	return rc;
}

/* ---- keys ---- */

static int write_key(const char *dir, const char *name, mode_t mode, const uint8_t key[POLICY_KEY])
{
	char path[4352];
	int fd, rc = 0;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out ||
	    (mode == 0600 ? policy_write_private(out, key) : policy_write_public(out, key))) {
		fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
		rc = EXIT_FAILED;
	}
	if (out && fclose(out))
		rc = EXIT_FAILED;
	return rc;
}

static int cmd_keygen(int argc, char **argv)
{
	struct cli c = {.cmd = &command_policy_keygen, .argc = argc, .argv = argv};
	uint8_t private_key[POLICY_KEY], public_key[POLICY_KEY], id[8];
	struct words w = {};
	int rc = parse(&c, &w);

	if (rc >= 0)
		return rc;
	if (mkdir(w.file, 0700) && errno != EEXIST) {
		fprintf(stderr, "weir: %s: %s\n", w.file, strerror(errno));
		return EXIT_FAILED;
	}
	if (policy_keygen(private_key, public_key)) {
		fputs("weir: libcrypto can't make ed25519 keys\n", stderr);
		return EXIT_FAILED;
	}
	rc = write_key(w.file, "private.pem", 0600, private_key);
	rc = rc ?: write_key(w.file, "public.pem", 0644, public_key);
	explicit_bzero(private_key, sizeof(private_key));
	if (rc)
		return rc;
	policy_key_id(public_key, id);
	printf("%s/private.pem signs: keep it off the nodes\n%s/public.pem: policy.keys of the nodes\n"
	       "key ",
	       w.file, w.file);
	for (unsigned int i = 0; i < sizeof(id); i++)
		printf("%02x", id[i]);
	putchar('\n');
	return EXIT_OK;
}
