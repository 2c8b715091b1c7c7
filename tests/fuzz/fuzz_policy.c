// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_policy.c - policies from anywhere: as images of records, and as text.
 *
 * The first byte is a choice: 0 is text, others an image. What is accepted as an image prints, is
 * copied through a draft and is the same; what text becomes is always an image that is accepted,
 * or refused for what only a receiver knows.
 *
 * Covers: common/policy_check.c common/policy_check_node.c common/policy_draft.c common/policy_source.c common/policy_list.c
 * Covers: common/policy_filter.c common/policy_dnf.c common/policy_prefix.c common/policy_print.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "common/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct policy_bounds bounds = {.now = 1800000000, .expires_max = 86400 * 30};

static char *read_list(void *arg, const char *path, size_t *ret_len, const char **ret_why)
{
	const char *text = arg;

	if (path[0] == 'x') {
		*ret_why = "no such file";
		return NULL;
	}
	*ret_len = strlen(text);
	return strdup(text);
}

static void print(const struct policy *p)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (uint32_t i = 0; out && i < p->n_rules; i++) {
		policy_print_rule(out, p, &p->rules[i]);
		policy_print_limit(out, &p->rules[i]);
	}
	if (!out || fclose(out))
		abort();
	free(text);
}

/* The same through a draft. */
static void again(const struct policy *p, const uint8_t *image)
{
	struct policy_draft d;
	uint8_t *copy;
	size_t len;

	if (policy_draft_from(p, &d) || policy_image(&d, &copy, &len))
		abort();
	if (len != p->size || memcmp(copy, image, len - POLICY_SIGNATURE) != 0)
		abort();
	free(copy);
	policy_draft_done(&d);
}

static unsigned int action_of(const struct policy *p, uint32_t rule)
{
	const struct policy_rule *r = policy_rule(p, rule);

	if (!r)
		abort();
	return r->action;
}

/* Nothing leads the kernel to a capture or a mirror, and those to nothing else. */
static void looks(const struct policy *p)
{
	for (uint32_t i = 0; i < p->n_addrs; i++)
		if (action_of(p, p->addrs[i].rule) >= POLICY_DO_MIRROR)
			abort();
	for (uint32_t i = 0; i < p->n_mirrors; i++)
		if (action_of(p, p->mirrors[i].rule) != POLICY_DO_MIRROR ||
		    p->mirrors[i].ends > 2 || !p->mirrors[i].ttl || !p->mirrors[i].to[0] ||
		    p->mirrors[i].to[POLICY_TARGET_MAX - 1])
			abort();
	for (uint32_t i = 0; i < p->n_captures; i++)
		if (action_of(p, p->captures[i].rule) != POLICY_DO_CAPTURE ||
		    p->captures[i].ends > 2 || !p->captures[i].max_bytes)
			abort();
}

static void check(const uint8_t *image, size_t len)
{
	struct policy_error err;
	struct policy p;

	if (policy_check(image, len, &bounds, &p, &err)) {
		if (!err.text[0])
			abort();
		return;
	}
	looks(&p);
	print(&p);
	again(&p, image);
}

static void compile(const char *text, size_t len)
{
	const char *list = memchr(text, 0, len);
	const struct policy_source src = {.now = bounds.now,
					  .origin = "fuzz",
					  .read = read_list,
					  .arg = (void *)(uintptr_t)(list ? list + 1
									  : "192.0.2.1")};
	struct policy_source_error err;
	struct policy_draft d;
	uint8_t *image;
	size_t n;

	if (policy_compile(text, list ? (size_t)(list - text) : len, &src, &d, &err)) {
		if (!err.text[0])
			abort();
		return;
	}
	if (policy_image(&d, &image, &n))
		abort();
	check(image, n);
	free(image);
	policy_draft_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *image;

	if (!size)
		return 0;
	image = malloc(size); /* aligned, and a byte more for the text's end */
	if (!image)
		return 0;
	memcpy(image, data + 1, size - 1);
	image[size - 1] = 0;
	if (data[0] == 0 || data[0] == 't')
		compile((const char *)image, size - 1);
	else
		check(image, size - 1);
	free(image);
	return 0;
}
