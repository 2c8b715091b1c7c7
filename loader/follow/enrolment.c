// SPDX-License-Identifier: Apache-2.0
#include "loader/follow/enrolment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/commands.h"
#include "loader/settings.h"

/* ---- settings ---- */

static int setting(const struct client_where *where, unsigned int id, struct settings **ret)
{
	static struct config_errors errs;
	const struct settings_args args = {.config = where->config};

	errs.count = 0;
	if (!settings_one(&weir_settings, id, where->config, ret, &errs))
		return 0;
	settings_print_errors(&weir_settings, &args, &errs, stderr);
	return EXIT_USAGE;
}

int enrolment_dir(const struct client_where *where, char *ret)
{
	struct settings *s;
	const int rc = setting(where, SET_POLICY_COLLECTORS, &s);

	if (rc)
		return rc;
	snprintf(ret, PATH_MAX, "%s", settings_text(s, SET_POLICY_COLLECTORS));
	settings_free(s);
	return 0;
}

int enrolment_captures(const struct client_where *where, char *ret)
{
	struct settings *s;
	const int rc = setting(where, SET_CAPTURE_DIR, &s);

	if (rc)
		return rc;
	snprintf(ret, PATH_MAX, "%s",
		 settings_is_word(s, SET_CAPTURE_DIR) ? "" : settings_text(s, SET_CAPTURE_DIR));
	settings_free(s);
	return 0;
}

int enrolment_keys_dir(const struct client_where *where, char *ret)
{
	const struct setting_value *v;
	struct settings *s;
	const int rc = setting(where, SET_POLICY_KEYS, &s);

	if (rc)
		return rc;
	v = &s->v[SET_POLICY_KEYS];
	*ret = '\0';
	for (uint32_t i = 0; i < v->n && !*ret; i++)
		if (v->list[i][0] && v->list[i][strlen(v->list[i]) - 1] == '/')
			snprintf(ret, PATH_MAX, "%s", v->list[i]);
	settings_free(s);
	return 0;
}

/* ---- reading ---- */

void enrolment_init(struct enrolment *e, const char *dir, const char *issuer)
{
	*e = (struct enrolment){};
	snprintf(e->issuer, sizeof(e->issuer), "%s", issuer);
	snprintf(e->dir, sizeof(e->dir), "%.4000s/%s", dir, issuer);
	snprintf(e->ca, sizeof(e->ca), "%s/ca.pem", e->dir);
	snprintf(e->key, sizeof(e->key), "%s/node.key", e->dir);
	snprintf(e->cert, sizeof(e->cert), "%s/node.pem", e->dir);
}

static int read_url(struct enrolment *e, char *error)
{
	char path[PATH_MAX + 16];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/url", e->dir);
	f = fopen(path, "re");
	if (!f) {
		snprintf(error, ENROLMENT_ERROR, "%.200s: %s", path, strerror(errno));
		return -errno;
	}
	n = fread(e->url, 1, sizeof(e->url) - 1, f);
	fclose(f);
	e->url[n] = '\0';
	e->url[strcspn(e->url, "\n")] = '\0';
	if (!https_url(e->url, &e->host, &e->port))
		return 0;
	snprintf(error, ENROLMENT_ERROR, "%.200s: want https://HOST:PORT", path);
	return -EINVAL;
}

int enrolment_read(const char *dir, struct enrolment **ret, char *error)
{
	struct enrolment *v = calloc(ENROLMENTS_MAX, sizeof(*v));
	DIR *d = v ? opendir(dir) : NULL;
	const struct dirent *x;
	int n = 0, r = 0;

	if (!d) {
		r = v ? -errno : -ENOMEM;
		snprintf(error, ENROLMENT_ERROR, "%.200s: %s", dir, strerror(-r));
		free(v);
		return r;
	}
	while (!r && (x = readdir(d))) {
		if (x->d_name[0] == '.' || strlen(x->d_name) >= sizeof(v->issuer))
			continue;
		if (n == (int)ENROLMENTS_MAX) {
			snprintf(error, ENROLMENT_ERROR, "%.200s: more than %u", dir,
				 ENROLMENTS_MAX);
			r = -E2BIG;
			break;
		}
		enrolment_init(&v[n], dir, x->d_name);
		r = read_url(&v[n], error);
		n++;
	}
	closedir(d);
	if (r)
		free(v);
	else
		*ret = v;
	return r ?: n;
}

struct https_cfg enrolment_https(const struct enrolment *e)
{
	return (struct https_cfg){
		.host = e->host, .port = e->port, .ca = e->ca, .cert = e->cert, .key = e->key};
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm = {};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t enrolment_renew_at(const struct enrolment *e)
{
	BIO *b = BIO_new_file(e->cert, "re");
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	int64_t from = 0, to = 0;

	if (x) {
		from = seconds(X509_get0_notBefore(x));
		to = seconds(X509_get0_notAfter(x));
	}
	X509_free(x);
	BIO_free(b);
	return from + (to - from) / 3 * 2;
}

/* ---- writing ---- */

static int give_to_owner_of(const char *parent, int fd)
{
	struct stat st;

	if (stat(parent, &st))
		return -errno;
	return fchown(fd, st.st_uid, st.st_gid) ? -errno : 0;
}

static void parent_of(const char *path, char ret[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash && slash != path)
		snprintf(ret, PATH_MAX, "%.*s", (int)(slash - path), path);
	else
		snprintf(ret, PATH_MAX, "%s", slash ? "/" : ".");
}

int enrolment_mkdir(const char *path, unsigned int mode)
{
	char parent[PATH_MAX];
	struct stat st;
	int fd, r;

	if (!stat(path, &st))
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	parent_of(path, parent);
	r = enrolment_mkdir(parent, 0755);
	if (r)
		return r;
	if (mkdir(path, (mode_t)mode))
		return errno == EEXIST ? 0 : -errno; /* with / at its end it was its own parent */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : give_to_owner_of(parent, fd);
	if (fd >= 0)
		close(fd);
	return r;
}

int enrolment_write(const char *path, unsigned int mode, const char *text)
{
	char next[PATH_MAX + 32], parent[PATH_MAX];
	size_t len = strlen(text);
	int fd, r;

	snprintf(next, sizeof(next), "%s.new", path);
	parent_of(path, parent);
	(void)unlink(next); /* of an attempt that was cut short; with its mode */
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return -errno;
	r = write(fd, text, len) != (ssize_t)len ? -EIO : give_to_owner_of(parent, fd);
	if (!r && fsync(fd))
		r = -errno;
	close(fd);
	if (!r && rename(next, path))
		r = -errno;
	if (r)
		(void)unlink(next); /* nobody reads it */
	return r;
}
