// SPDX-License-Identifier: Apache-2.0
/*
 * test_pack.c - a pack by itself: which files it may have, what comes out of a tar.gz and what is refused there,
 * manifests, versions, what is wrong with pack.yaml and lists/.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/list_text.h"
#include "pack_rig.h"

static struct pack pack;
static char why[PACK_WHY];

static int add(const char *name, size_t len)
{
	char *bytes = calloc(1, len + 1);

	why[0] = 0;
	return pack_add(&pack, name, bytes, len, why);
}

Test(pack, takes_files_where_they_belong_and_no_others)
{
	static const char *const good[] = {"pack.yaml",	   "manifest",	     "LICENSE",
					   "rules/a.yaml", "rules/b/c.yaml", "lists/a_b.txt",
					   "tests/a.json", "docs/a.png"};
	static const char *const bad[] = {"",
					  "/etc/passwd",
					  "../pack.yaml",
					  "rules/../../x.yaml",
					  "rules//a.yaml",
					  "rules/a.yaml/",
					  "rules/.a.yaml",
					  "rules/a b.yaml",
					  "rules/a.sh",
					  "bin/a",
					  "lists/a/b.txt",
					  "rules/\xc3\xa4.yaml",
					  "docs/1/2/3/4.md"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(eq(int, add(good[i], 3), 0), "%s: %s", good[i], why);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, add(bad[i], 3), -EINVAL), "%s", bad[i]);
	cr_expect(eq(int, add("pack.yaml", 3), -EINVAL));
	cr_expect(strstr(why, "twice") != NULL, "%s", why);
	pack_done(&pack);
}

Test(pack, is_bounded)
{
	char name[40];

	cr_expect(eq(int, add("docs/large", PACK_FILE_MAX + 1), -E2BIG));
	cr_expect(eq(int, add("docs/a", PACK_FILE_MAX), 0));
	cr_expect(eq(int, add("docs/b", PACK_FILE_MAX), 0));
	cr_expect(eq(int, add("docs/c", 1), -E2BIG));
	pack_done(&pack);
	for (unsigned int i = 0; i < PACK_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "docs/%u", i);
		cr_assert(eq(int, add(name, 1), 0));
	}
	cr_expect(eq(int, add("docs/more", 1), -E2BIG));
	pack_done(&pack);
}

Test(pack, knows_which_version_is_newer)
{
	cr_expect(pack_version_compare("1.10.0", "1.9.2") > 0);
	cr_expect(pack_version_compare("1.9.2", "1.10.0") < 0);
	cr_expect(eq(int, pack_version_compare("1.2.3", "1.2.3"), 0));
	cr_expect(eq(int, pack_version_compare("01.2.3", "1.2.03"), 0));
	cr_expect(pack_version_compare("2.0.0", "1.99999999999999999999.0") > 0);
	cr_expect(pack_version_compare("1.0.1", "1.0.0") > 0);
}

/* ---- tar.gz ---- */

static int read_tar(const struct pack_rig_member *v)
{
	size_t len;
	char *gz = pack_rig_tar(v, &len);
	const int r = pack_read_tar(&pack, gz, len, why);

	free(gz);
	return r;
}

Test(pack, comes_out_of_a_tar_with_a_directory_around_it_and_without)
{
	static const struct pack_rig_member plain[] = {
		{"./", NULL, '5'}, {"./pack.yaml", "a", '0'}, {"./rules/x.yaml", "bc", '0'}, {}};
	static const struct pack_rig_member inside[] = {{"p-1/", NULL, '5'},
							{"p-1/pack.yaml", "a", '0'},
							{"p-1/rules/x.yaml", "bc", '0'},
							{}};

	cr_expect(eq(int, read_tar(plain), 0), "%s", why);
	cr_expect(eq(u32, pack.n, 2));
	cr_expect(pack_find(&pack, "rules/x.yaml") != NULL);
	pack_done(&pack);
	cr_expect(eq(int, read_tar(inside), 0), "%s", why);
	cr_expect(eq(str, pack_find(&pack, "rules/x.yaml")->bytes, "bc"));
	pack_done(&pack);
}

Test(pack, refuses_what_else_a_tar_can_hold)
{
	static const struct pack_rig_member bad[][3] = {
		{{"pack.yaml", "a", '0'}, {"docs/a", "/etc/passwd", '2'}},
		{{"pack.yaml", "a", '0'}, {"docs/a", "pack.yaml", '1'}},
		{{"pack.yaml", "a", '0'}, {"docs/a", NULL, '3'}},
		{{"pack.yaml", "a", '0'}, {"docs/a", NULL, '6'}},
		{{"pack.yaml", "a", '0'}, {"docs/a", NULL, 'L'}},
		{{"pack.yaml", "a", '0'}, {"../rules/a.yaml", "a", '0'}},
		{{"pack.yaml", "a", '0'}, {"/rules/a.yaml", "a", '0'}},
		{{"p/pack.yaml", "a", '0'}, {"q/rules/a.yaml", "a", '0'}},
		{{"pack.yaml", "a", '0'}, {"pack.yaml", "b", '0'}},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect(eq(int, read_tar(bad[i]), -EINVAL), "%zu", i);
		cr_expect(why[0] != 0);
		pack_done(&pack);
	}
}

Test(pack, refuses_a_tar_that_is_cut_or_damaged_or_unpacks_to_too_much)
{
	static const struct pack_rig_member v[] = {{"pack.yaml", "name: a\n", '0'}, {}};
	size_t len;
	char *gz = pack_rig_tar(v, &len), *large = malloc(PACK_BYTES_MAX);
	struct pack_rig_member many[] = {
		{"docs/a", large, '0'}, {"docs/b", large, '0'}, {"docs/c", large, '0'}, {}};

	for (size_t n = 0; n < len; n++) {
		cr_expect(eq(int, pack_read_tar(&pack, gz, n, why), -EINVAL), "%zu", n);
		pack_done(&pack);
	}
	gz[len / 2] ^= 0x20;
	cr_expect(eq(int, pack_read_tar(&pack, gz, len, why), -EINVAL));
	pack_done(&pack);
	free(gz);
	memset(large, 'a', PACK_FILE_MAX - 1);
	large[PACK_FILE_MAX - 1] = 0;
	cr_expect(eq(int, read_tar(many), -E2BIG), "%s", why);
	pack_done(&pack);
	free(large);
}

/* ---- manifests ---- */

static struct pack_keys keys;
static uint8_t secret[POLICY_KEY];

static void sign_it(void)
{
	size_t len = 0;
	char *text;

	cr_assert(eq(int, policy_keygen(secret, keys.v[0]), 0));
	keys.n = 1;
	text = pack_manifest(&pack, secret, &len);
	cr_assert(text != NULL);
	cr_assert(eq(int, pack_add(&pack, PACK_MANIFEST, realloc(text, len + 1), len, why), 0));
}

static void begin(void)
{
	struct pack_rig_file files[PACK_RIG_FILES];

	pack_rig_files(files);
	pack_rig_add(&pack, files);
}

static void expect_trust(enum pack_trust t, const char *text)
{
	pack_verify(&pack, &keys);
	cr_expect(eq(int, (int)pack.trust, (int)t), "%s", pack.why);
	cr_expect(strstr(pack.why, text) != NULL, "'%s' is not in '%s'", text, pack.why);
}

Test(pack, is_signed_as_a_whole)
{
	begin();
	expect_trust(PACK_UNSIGNED, "not signed");
	sign_it();
	expect_trust(PACK_SIGNED, "");
	keys.n = 0;
	expect_trust(PACK_UNKNOWN_KEY, "not trusted");
	pack_done(&pack);
}

Test(pack, shows_which_file_has_changed)
{
	struct pack_file *f;

	begin();
	sign_it();
	f = (struct pack_file *)(uintptr_t)pack_find(&pack, "rules/ssh.yaml");
	f->hash[31] ^= 1;
	expect_trust(PACK_CHANGED, "rules/ssh.yaml is not");
	f->hash[31] ^= 1;
	f->len++;
	expect_trust(PACK_CHANGED, "rules/ssh.yaml is not");
	f->len--;
	f->name[6] = 't';
	expect_trust(PACK_CHANGED, "rules/tsh.yaml is not");
	f->name[6] = 's';
	expect_trust(PACK_SIGNED, "");
	cr_assert(eq(int, add("docs/more.md", 1), 0));
	expect_trust(PACK_CHANGED, "docs/more.md is not");
	pack.n--;
	expect_trust(PACK_SIGNED, "");
	free(pack.files[pack.n].name);
	free(pack.files[pack.n].bytes);
	pack_done(&pack);
}

Test(pack, every_octet_of_the_manifest_counts)
{
	const struct pack_file *f;

	begin();
	sign_it();
	f = pack_find(&pack, PACK_MANIFEST);
	for (size_t i = 0; i < f->len; i++) {
		f->bytes[i] ^= 1;
		pack_verify(&pack, &keys);
		cr_expect(pack.trust != PACK_SIGNED, "octet %zu", i);
		f->bytes[i] ^= 1;
	}
	expect_trust(PACK_SIGNED, "");
	pack_done(&pack);
}

Test(pack, a_key_of_ones_own_under_the_id_of_a_trusted_one_is_of_no_use)
{
	struct pack_keys other = {.n = 1};
	uint8_t theirs[POLICY_KEY];
	const struct pack_file *f;
	struct pack again = {};
	size_t len;
	char *text;

	begin();
	sign_it();
	f = pack_find(&pack, PACK_MANIFEST);
	cr_assert(eq(int, policy_keygen(theirs, other.v[0]), 0));
	text = pack_manifest(&pack, theirs, &len);
	memcpy(text, f->bytes, strlen("weir-pack-manifest 1\nkey 0123456789abcdef"));
	cr_assert(eq(sz, len, f->len));
	memcpy(f->bytes, text, len);
	free(text);
	expect_trust(PACK_CHANGED, "signature");
	pack_done(&pack);
	pack_done(&again);
}

/* ---- what its files say ---- */

static struct site site;

/* The first error of the rig's pack with another text in one file. */
static void expect_error(const char *name, const char *text, const char *error)
{
	struct pack_rig_file files[PACK_RIG_FILES];
	struct rule_files f;
	char got[400] = "";

	site_init(&site);
	rule_files_init(&f, &site);
	pack_rig_files(files);
	pack_rig_set(files, name, text);
	pack_rig_add(&pack, files);
	cr_expect(eq(int, pack_check(&pack, &f, "P"), *error ? -EINVAL : 0));
	if (f.n_errors)
		snprintf(got, sizeof(got), "%s:%u: %s", f.errors[0].file,
			 f.errors[0].errs.list[0].line, f.errors[0].errs.list[0].text);
	cr_expect(strstr(got, error) && !*got == !*error, "'%s' is not '%s'", got, error);
	rule_files_done(&f);
	site_done(&site);
	pack_done(&pack);
}

#define META(version, more) "name: rig\nversion: " version "\nlicence: MIT\n" more

Test(pack, says_what_is_wrong_with_pack_yaml)
{
	expect_error("docs/a", "x", "");
	expect_error("pack.yaml", META("1.0.0", ""), "P/pack.yaml:1: pack.yaml has no 'engine'");
	expect_error("pack.yaml", META("1.0", "engine: 0.1.0\n"),
		     "P/pack.yaml:2: '1.0' is not what version wants");
	expect_error("pack.yaml", META("1.0.0", "engine: 0.1.0\nmode: prevent\n"),
		     "P/pack.yaml:5: unknown key 'mode' in pack.yaml");
	expect_error("pack.yaml", META("1.0.0", "engine: 99.0.0\n"),
		     "it wants weir-collector 99.0.0 or later");
	expect_error("pack.yaml",
		     META("1.0.0", "engine: 0.1.0\nparams: {a: {default: 1, min: 5}}\n"),
		     "a = 1 is not between 5 and anything");
}

Test(pack, says_what_is_wrong_with_lists)
{
	expect_error("lists/rig_known.txt", "192.0.2.1\n192.0.2.300\n",
		     "rig_known.txt:2: '192.0.2.300'");
	expect_error("lists/never_block.txt", "192.0.2.1\n",
		     "is not @local, @never_block or @admin");
	expect_error("lists/rig_known.yaml", "feed: { every: 1h }\n", "a feed is a url or a file");
	expect_error("lists/rig_known.yaml", "feed: { url: \"ftp://a/\" }\n",
		     "want https:// or http://");
	expect_error("lists/rig_known.yaml", "feed: { file: a }\n", "begins with /");
	expect_error("lists/rig_known.yaml",
		     "feed: { url: \"https://a/\", every: 1h, expire: 5m }\n",
		     "expire is no less than every");
	expect_error("lists/rig_known.yaml", "feed: { url: \"https://a/\", jiter: 1m }\n",
		     "did you mean 'jitter'");
	expect_error("lists/rig_known.yaml", "type: names\n",
		     "rig_known.txt:2: '198.51.100.0/24' is no name");
}

/* ---- values ---- */

static void expect_values(struct list_parse p, const char *text, const char *want, uint32_t bad)
{
	p.max_entries = 10;
	cr_expect(eq(int, list_parse(text, strlen(text), &p), 0));
	cr_expect(eq(str, p.text, (char *)(uintptr_t)want));
	cr_expect(eq(u32, p.bad, bad), "%s", p.bad_why);
	list_parse_done(&p);
}

Test(list_text, reads_addresses_and_counts_bad_lines)
{
	const struct list_parse p = {};

	expect_values(p, "10.0.0.1\n\n# a\n10.0.0.1 ; twice\n10.0.0.0/8\n2001:DB8::1\r\n",
		      "10.0.0.0/8\n10.0.0.1\n2001:db8::1\n", 0);
	expect_values(p, "10.0.0.1/8\n10.0.0\n1.2.3.4/33\nexample.org\n::/0\n<html>\n", "::/0\n",
		      5);
	expect_values(p, "10.0.0.1", "10.0.0.1\n", 0);
	expect_values(p, "", "", 0);
}

Test(list_text, reads_names)
{
	const struct list_parse p = {.names = true}, hosts = {.names = true, .format = PACK_HOSTS};

	expect_values(p, "Example.ORG.\n*.a.test\n1.2.3.4\n-a_b.test\n..\na..b\n\xff\n",
		      "-a_b.test\na.test\nexample.org\n", 4);
	expect_values(hosts, "0.0.0.0 a.test  b.test\n127.0.0.1 localhost\n::1\nc.test d.test\n",
		      "a.test\nb.test\n", 2);
}

Test(list_text, reads_the_first_column)
{
	const struct list_parse p = {.format = PACK_CSV};

	expect_values(p, "address,why\n\"10.0.0.1\",\"a, b\"\n10.0.0.2;x\n10.0.0.3\tx\nx,y\n",
		      "10.0.0.1\n10.0.0.2\n10.0.0.3\n", 1);
}

Test(list_text, has_a_bound)
{
	struct list_parse p = {.max_entries = 2};

	cr_expect(eq(int, list_parse("1.1.1.1\n1.1.1.2\n1.1.1.3\n", 24, &p), -E2BIG));
	list_parse_done(&p);
}

static bool meet(const char *a, const char *b)
{
	struct list_range x, y;

	cr_assert(eq(int, list_range(a, &x), 0), "%s", a);
	cr_assert(eq(int, list_range(b, &y), 0), "%s", b);
	cr_expect(eq(int, list_ranges_meet(&x, &y), list_ranges_meet(&y, &x)));
	return list_ranges_meet(&x, &y);
}

Test(list_text, knows_which_networks_meet)
{
	struct list_range r;

	cr_expect(meet("10.0.0.0/8", "10.1.2.3"));
	cr_expect(not(meet("10.0.0.0/8", "11.0.0.0/8")));
	cr_expect(meet("0.0.0.0/0", "11.0.0.0/8"));
	cr_expect(not(meet("fc00::/7", "0.0.0.0/0")));
	cr_expect(meet("fc00::/7", "fd00::1"));
	cr_expect(meet("10.0.0.5-10.0.0.9", "10.0.0.8/31"));
	cr_expect(not(meet("10.0.0.5-10.0.0.9", "10.0.0.10")));
	cr_expect(eq(int, list_range("10.0.0.9-10.0.0.5", &r), -EINVAL));
	cr_expect(eq(int, list_range("10.0.0.1/8", &r), -EINVAL));
	cr_expect(eq(int, list_range("local", &r), -EINVAL));
}
