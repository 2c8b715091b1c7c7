// SPDX-License-Identifier: Apache-2.0
/*
 * pack_rig.c - see pack_rig.h.
 */
#include "pack_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const struct pack_rig_file first[PACK_RIG_FILES] = {
	{"pack.yaml", "name: rig\nversion: 1.0.0\nengine: 0.1.0\nlicence: Apache-2.0\n"
		      "params: { attempts: { default: 20, min: 5, max: 1000 } }\n"},
	{"rules/ssh.yaml",
	 "groups:\n- name: rig\n  rules:\n"
	 "  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\n    name: rig-ssh\n    version: 1.0.0\n"
	 "    where: proto == tcp and dst.port == 22 and not (src.ip in @rig_known)\n"
	 "    window: { size: 60s, slide: 5s }\n    by: [src.ip]\n    having: count() >= $attempts\n"
	 "    labels: { severity: high }\n"},
	{"tests/ssh.yaml",
	 "rules: ../rules/ssh.yaml\ntests:\n- name: twenty fire\n"
	 "  flows: [ { series: \"tcp 192.0.2.7 -> 10.0.0.1:22 closed\", repeat: 20 } ]\n"
	 "  expect: [ { filter: { count: 1, match: { rule: rig-ssh } } } ]\n"
	 "- name: the known do not\n"
	 "  flows: [ { series: \"tcp 198.51.100.9 -> 10.0.0.1:22 closed\", repeat: 20 } ]\n"
	 "  expect: [ { filter: { count: 0 } } ]\n"},
	{"lists/rig_known.txt", "# known\n198.51.100.0/24\n2001:db8::/32\n"},
	{"docs/rig-ssh.md", "# rig-ssh\n"},
};

void pack_rig_files(struct pack_rig_file ret[PACK_RIG_FILES])
{
	memcpy(ret, first, sizeof(first));
}

void pack_rig_set(struct pack_rig_file *files, const char *name, const char *text)
{
	uint32_t i = 0;

	while (files[i].name && strcmp(files[i].name, name) != 0)
		i++;
	cr_assert(i + 1 < PACK_RIG_FILES);
	files[i] = (struct pack_rig_file){name, text};
}

void pack_rig_add(struct pack *p, const struct pack_rig_file *files)
{
	char why[PACK_WHY] = "";

	for (; files->name; files++) {
		const size_t len = strlen(files->text);
		char *bytes = malloc(len + 1);

		memcpy(bytes, files->text, len);
		cr_assert(eq(int, pack_add(p, files->name, bytes, len, why), 0), "%s", why);
	}
}

/* ---- tar.gz ---- */

static void put_member(FILE *out, const struct pack_rig_member *m)
{
	const size_t len = m->text && m->type == '0' ? strlen(m->text) : 0;
	unsigned int sum = 0;
	char h[512] = {};

	snprintf(h, 100, "%s", m->name);
	snprintf(h + 100, 8, "%07o", 0644);
	snprintf(h + 124, 12, "%011o", (unsigned int)len & 0xfffffffu);
	memset(h + 148, ' ', 8);
	h[156] = m->type;
	if (m->type != '0' && m->text)
		snprintf(h + 157, 100, "%s", m->text); /* where a link leads */
	memcpy(h + 257, "ustar\00000", 8);
	for (unsigned int i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	fwrite(h, 1, sizeof(h), out);
	fwrite(m->text, 1, len, out);
	memset(h, 0, sizeof(h));
	fwrite(h, 1, (512 - len % 512) % 512, out);
}

char *pack_rig_tar(const struct pack_rig_member *v, size_t *ret_len)
{
	char *tar = NULL, *gz;
	size_t len = 0, cap;
	FILE *out = open_memstream(&tar, &len);
	const char end[1024] = {};
	z_stream z = {};

	for (; v->name; v++)
		put_member(out, v);
	fwrite(end, 1, sizeof(end), out);
	fclose(out);
	deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	cap = deflateBound(&z, len);
	gz = malloc(cap);
	z.next_in = (Bytef *)tar;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)gz;
	z.avail_out = (uInt)cap;
	cr_assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	*ret_len = z.total_out;
	deflateEnd(&z);
	free(tar);
	return gz;
}

/* ---- a site ---- */

const char *pack_rig_path(const struct pack_rig *r, const char *name, char *buf)
{
	snprintf(buf, 256, "%s/%s", r->dir, name);
	return buf;
}

static void make_dir(const struct pack_rig *r, const char *name)
{
	char path[256];

	cr_assert(eq(int, mkdir(pack_rig_path(r, name, path), 0755), 0));
}

static void write_key(const char *path, const uint8_t key[POLICY_KEY],
		      int (*put)(FILE *out, const uint8_t key[POLICY_KEY]))
{
	FILE *out = fopen(path, "w");

	cr_assert(out != NULL);
	cr_assert(eq(int, put(out, key), 0));
	fclose(out);
}

void pack_rig_settings(struct pack_rig *r)
{
	static struct settings_args args;
	static struct config_errors errs;
	char path[256];
	FILE *out = fopen(pack_rig_path(r, "collector.conf", path), "w");

	cr_assert(out != NULL);
	fprintf(out, "[store]\ndir = %s/store\n[packs]\nkeys = %s/keys\n%s", r->dir, r->dir,
		r->conf ?: "");
	fclose(out);
	errs.count = 0;
	args = (struct settings_args){.config = path};
	settings_free(r->settings);
	cr_assert(eq(int, settings_load(&collector_settings, &args, &r->settings, &errs), 0), "%s",
		  errs.list[0].text);
}

void pack_rig_init(struct pack_rig *r)
{
	uint8_t public[POLICY_KEY];
	char path[256];

	*r = (struct pack_rig){.dir = "/tmp/weir-packs.XXXXXX"};
	unsetenv("WEIR_COLLECTOR_STORE");
	unsetenv("WEIR_COLLECTOR_PACKS_KEYS");
	cr_assert(mkdtemp(r->dir) != NULL);
	make_dir(r, "store");
	make_dir(r, "keys");
	cr_assert(eq(int, policy_keygen(r->secret, public), 0));
	write_key(pack_rig_path(r, "keys/a.pem", path), public, policy_write_public);
	write_key(pack_rig_path(r, "key.pem", path), r->secret, policy_write_private);
	pack_rig_settings(r);
}

static void remove_dir(const char *parent, const char *name)
{
	const int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert(eq(int, pack_remove_dir(fd, name), 0), "%s/%s", parent, name);
	close(fd);
}

void pack_rig_done(struct pack_rig *r)
{
	settings_free(r->settings);
	remove_dir("/tmp", r->dir + 5);
}

void pack_rig_write(struct pack_rig *r, const struct pack_rig_file *files, bool sign)
{
	struct pack *p = calloc(1, sizeof(*p));
	const int fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char why[PACK_WHY] = "", path[256], key[256];

	if (!faccessat(fd, "pack", F_OK, 0))
		cr_assert(eq(int, pack_remove_dir(fd, "pack"), 0));
	pack_rig_add(p, files);
	cr_assert(eq(int, pack_write_dir(p, fd, "pack", why), 0), "%s", why);
	pack_done(p);
	free(p);
	close(fd);
	if (sign)
		cr_assert(eq(int,
			     packs_sign(pack_rig_path(r, "pack", path),
					pack_rig_path(r, "key.pem", key), r->said),
			     0),
			  "%s", r->said);
}

int pack_rig_put(struct pack_rig *r, struct packs_change c)
{
	json_t *o = NULL;
	char path[256];
	int rc;

	c.settings = r->settings;
	c.actor = "uid=0 (test)";
	c.path = pack_rig_path(r, "pack", path);
	rc = packs_put(&c, r->said, &o);
	cr_expect(eq(int, o != NULL, rc == 0));
	json_decref(o);
	return rc;
}
