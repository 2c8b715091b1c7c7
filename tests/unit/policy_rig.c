// SPDX-License-Identifier: Apache-2.0
#include "policy_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct policy_bounds bounds = {.now = RIG_NOW, .expires_max = 86400 * 30};

static char *read_list(void *arg, const char *path, size_t *ret_len, const char **ret_why)
{
	const char *text = !strcmp(path, "addresses")
				   ? "# bad ones\n192.0.2.1\n198.51.100.0/24 ; a net\n"
				     "2001:db8::/32\n"
			   : !strcmp(path, "names") ? "a.test\n.b.test\n*.C.test.\n"
			   : !strcmp(path, "wrong") ? "192.0.2.1\n192.0.2.1/24\n"
						    : NULL;

	(void)arg;
	if (!text) {
		*ret_why = "no such file";
		return NULL;
	}
	*ret_len = strlen(text);
	return strdup(text);
}

static const struct policy_source source_of_tests = {
	.now = RIG_NOW, .origin = "local:uid=0", .read = read_list};

static void print(FILE *out, const struct policy *p)
{
	static const char *const keys[] = {"none", "addr", "addr_port", "flow", "name"};

	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];

		fprintf(out, "%s%u %s%s", i ? "\n" : "", r->number, policy_action_word(r->action),
			r->flags & RULE_SHADOW ? " shadow" : "");
		if (r->action == POLICY_LIMIT) {
			putc(' ', out);
			policy_print_limit(out, r);
		}
		fprintf(out, " by %s: ", keys[r->key]);
		policy_print_rule(out, p, r);
	}
}

const char *policy_rig_text(const char *source)
{
	static char text[8192];
	struct policy_source_error err;
	struct policy_draft d;
	struct policy p;
	uint8_t *image;
	size_t len;
	FILE *out;

	memset(text, 0, sizeof(text));
	if (policy_compile(source, strlen(source), &source_of_tests, &d, &err)) {
		snprintf(text, sizeof(text), "%s%s%u:%u %s", err.file, *err.file ? ":" : "",
			 err.line, err.column, err.text);
		return text;
	}
	d.head.generation = d.head.generation ?: 1;
	if (!d.head.issuer[0])
		memcpy(d.head.issuer, "test", 4);
	cr_assert_eq(policy_image(&d, &image, &len), 0);
	policy_draft_done(&d);
	if (*policy_rig_check(image, len)) {
		snprintf(text, sizeof(text), "check: %s", policy_rig_check(image, len));
		free(image);
		return text;
	}
	struct policy_error perr;

	cr_assert_eq(policy_check(image, len, &bounds, &p, &perr), 0);
	out = fmemopen(text, sizeof(text), "w");
	print(out, &p);
	fclose(out);
	free(image);
	return text;
}

uint8_t *policy_rig_image(const char *source, struct policy *ret, size_t *ret_len)
{
	struct policy_source_error err;
	struct policy_error perr;
	struct policy_draft d;
	uint8_t *image;

	cr_assert_eq(policy_compile(source, strlen(source), &source_of_tests, &d, &err), 0,
		     "%u:%u %s", err.line, err.column, err.text);
	d.head.generation = d.head.generation ?: 1;
	if (!d.head.issuer[0])
		memcpy(d.head.issuer, "test", 4);
	cr_assert_eq(policy_image(&d, &image, ret_len), 0);
	policy_draft_done(&d);
	cr_assert_eq(policy_check(image, *ret_len, &bounds, ret, &perr), 0, "%s", perr.text);
	return image;
}

const char *policy_rig_check(const void *image, size_t len)
{
	static struct policy_error err;
	struct policy p;

	return policy_check(image, len, &bounds, &p, &err) ? err.text : "";
}
