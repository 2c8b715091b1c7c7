/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - policies as a whole (weir/policy.h has the records): made record by record, checked,
 * signed, read from text, and written back as text. policy_check() is what stands between somebody's
 * bytes and the kernel: whatever it passes, every field means something. No logging; any thread.
 */
#ifndef WEIR_COMMON_POLICY_H
#define WEIR_COMMON_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/filter.h"
#include "weir/policy.h"

#define POLICY_BYTES_MAX    (1u << 30)
#define POLICY_RULES_MAX    4095u
#define POLICY_ADDRS_MAX    (8u << 20)
#define POLICY_NAMES_MAX    (2u << 20)
#define POLICY_AGENTS_MAX   64u /* agents' rules */
#define POLICY_EXEMPT_MAX   65536u
#define POLICY_CAPTURES_MAX 4096u
#define POLICY_MIRRORS_MAX  4096u
#define POLICY_LOCAL	    "local" /* issuer of what is done by hand on this node */

/* A checked image, where its records are. Points into the image. */
struct policy {
	const struct policy_header *head;
	const struct policy_rule *rules;
	const struct policy_addr *addrs;
	const struct policy_addr_port *addr_ports;
	const struct policy_flow *flows;
	const struct policy_name *names;
	const struct policy_mirror *mirrors;
	const struct policy_capture *captures;
	const struct policy_agent *agents;
	const struct policy_addr *exempt; /* from agents' rules */
	uint32_t n_rules, n_addrs, n_addr_ports, n_flows, n_names, n_mirrors, n_captures, n_agents,
		n_exempt;
	size_t size; /* of the image, signature included */
};

/* What a receiver allows. */
struct policy_bounds {
	uint64_t now;	      /* seconds since 1970 */
	uint64_t expires_max; /* seconds from now that anything may last */
};

struct policy_error {
	char text[240]; /* "rule 3 (ssh-scan): expires: ...": record, member, what is wrong */
};

/**
 * policy_check - is this a policy, in every field?
 * @image: @len bytes, aligned to 8
 *
 * The signature and the dates of the header are not looked at: policy_verify(), policy_in_time().
 * Return: 0; -EINVAL: @reterr says where and why. Source: weir/policy.h.
 */
int policy_check(const void *image, size_t len, const struct policy_bounds *bounds,
		 struct policy *ret, struct policy_error *reterr);

/* Members and conditions of a rule that is in no policy; what it does is not looked at. 0 or -EINVAL. */
int policy_check_match(const struct policy_rule *r, uint32_t number, struct policy_error *reterr);

/* not_before and not_after of the header. Return: 0 or -EINVAL with @reterr. */
int policy_in_time(const struct policy *p, uint64_t now, struct policy_error *reterr);

/* Rule with this number; NULL: none. */
const struct policy_rule *policy_rule(const struct policy *p, uint32_t number);

/* Size of one record; 0: no such type. */
size_t policy_record_size(unsigned int type);

/* ---- making one ---- */

struct policy_array {
	uint8_t *at;
	uint32_t n, cap;
};

/* Start zeroed. */
struct policy_draft {
	struct policy_header head; /* magic, version and counts are filled by policy_image() */
	struct policy_array of[POLICY_TYPES];
};

/* Copy a record in. Return: 0, -ENOMEM, -E2BIG. */
int policy_add(struct policy_draft *d, enum policy_type type, const void *record);

#define POLICY_TCP 6 /* IP protocol */

/* Can the rule meet TCP? Nothing else can be reset. */
bool policy_is_tcp(const struct policy_rule *r);
/* The same of all rules from number @from on, and of what leads to them. */
bool policy_draft_is_tcp(const struct policy_draft *d, uint32_t from);

/**
 * policy_image - all records as one image, the signature zero
 * @ret: to be freed; aligned to 16
 *
 * Return: 0 or -ENOMEM.
 */
int policy_image(const struct policy_draft *d, uint8_t **ret, size_t *ret_len);

/* A draft with the records of a policy. Return: 0, -ENOMEM, -E2BIG. */
int policy_draft_from(const struct policy *p, struct policy_draft *ret);

void policy_draft_done(struct policy_draft *d);

/* ---- filters ---- */

/*
 * Addresses or names of `@name`. resolve() of the filter's environment is answered by these; they go
 * into entries without passing through the language.
 */
struct policy_list {
	char name[64];
	bool names;		   /* else addresses */
	struct policy_array items; /* of struct policy_addr or struct policy_name, rule 0 */
};

struct policy_lists {
	struct policy_list *v;
	uint32_t n;
};

#define POLICY_SPLIT_MAX 64u /* rules that one filter may become */

struct policy_filter_result {
	uint32_t rules;	  /* that it has become */
	uint32_t entries; /* that lead to them */
	bool both_ways;	  /* it is one flow, in both directions */
	struct filter_error error;
};

/**
 * policy_add_filter - rules, and entries that lead to them, for what a filter picks
 * @rule:   what is to be done with it; number is that of the first, id that of the first (its last
 *          two bytes count); key and match are filled in
 * @lists:  or NULL
 * @ret:    what came of it; .error says where and why when it fails
 *
 * src is who sent the packet, dst who gets it. A filter that names both addresses, both ports and the
 * protocol means that flow, both ways.
 * Return: 0; -EINVAL: what of it can't be decided by a packet; -E2BIG; -ENOMEM. The draft may have
 *         some of the records then.
 */
int policy_add_filter(struct policy_draft *d, const char *text, const struct policy_rule *rule,
		      const struct policy_lists *lists, struct policy_filter_result *ret);

/* ---- as text ---- */

const char *policy_action_word(unsigned int action);

/* "198.51.100.0/24"; IPv4 when mapped. */
void policy_print_prefix(FILE *out, const uint8_t addr[16], unsigned int bits);

void policy_print_addr(FILE *out, const struct policy_addr *a);
void policy_print_addr_port(FILE *out, const struct policy_addr_port *a);
void policy_print_flow(FILE *out, const struct policy_flow *f);
void policy_print_name(FILE *out, const struct policy_name *n);

/* What a rule picks; @p: its policy, for the first entry and how many there are, or NULL. */
void policy_print_rule(FILE *out, const struct policy *p, const struct policy_rule *r);
void policy_print_limit(FILE *out, const struct policy_rule *r);

/* ---- source form ---- */

/* weir-policy(5). */
struct policy_source {
	uint64_t now; /* durations count from here; seconds since 1970 */
	const char *origin;
	/* text of a list's file, to be freed by the caller after all; NULL: can't be read, *ret_why says why */
	char *(*read)(void *arg, const char *path, size_t *ret_len, const char **ret_why);
	void *arg;
};

struct policy_source_error {
	unsigned int line, column; /* 0: none */
	char file[128];		   /* a list's; "": the policy itself */
	char text[240];
};

/**
 * policy_compile - text to records
 * @text: @len bytes
 * @ret:  issuer and generation in its head as the text says; issuer empty, generation 0: it says
 *        nothing; not_after is always there
 *
 * Return: 0 with *ret to be done, -EINVAL, -E2BIG, -ENOMEM.
 */
int policy_compile(const char *text, size_t len, const struct policy_source *src,
		   struct policy_draft *ret, struct policy_source_error *reterr);

/* "drop", "limit" ... with what belongs to it, from words. See weir-policy(5). */
int policy_scan_rate(const char *word, struct policy_rule *ret);

/* Names and addresses of @text, one a line, into @ret->items. -EINVAL: *ret_line, *ret_why. */
int policy_scan_list(const char *text, size_t len, struct policy_list *ret, unsigned int *ret_line,
		     const char **ret_why);

/* 16 bytes that are the same for the same text; the last two are 0. */
void policy_id(const char *text, uint8_t ret[16]);

/* Its id: what is done with what is picked. The same words give the same id; length is no part of it. */
void policy_rule_id(struct policy_rule *r, const char *filter);

/* ---- signatures (ed25519, RFC 8032) ---- */

#define POLICY_KEY 32u /* bytes, raw */

/* First bytes of the SHA-256 of a raw public key. */
void policy_key_id(const uint8_t public_key[POLICY_KEY], uint8_t ret[8]);

/* Fill in key_id and signature. @image: writable, of policy_image(). Return: 0, -EIO. */
int policy_sign(uint8_t *image, size_t len, const uint8_t private_key[POLICY_KEY]);

/* Return: 0, -EKEYREJECTED: not by one of @n keys (POLICY_KEY bytes each), -ENOKEY: the key is none. */
int policy_verify(const void *image, size_t len, const uint8_t *keys, size_t n);

bool policy_is_signed(const void *image, size_t len);

/* The same over any bytes. Return: 0, -EIO; of verifying 0, -EKEYREJECTED. */
int policy_sign_bytes(const void *bytes, size_t len, const uint8_t private_key[POLICY_KEY],
		      uint8_t ret[POLICY_SIGNATURE]);
int policy_verify_bytes(const void *bytes, size_t len, const uint8_t signature[POLICY_SIGNATURE],
			const uint8_t public_key[POLICY_KEY]);

/* Make a pair: @private_key, @public_key. Return: 0, -EIO. */
int policy_keygen(uint8_t private_key[POLICY_KEY], uint8_t public_key[POLICY_KEY]);

/* The public key of a private one. Return: 0, -EIO. */
int policy_public(const uint8_t private_key[POLICY_KEY], uint8_t public_key[POLICY_KEY]);

/* Key files: PEM (PKCS #8 and SubjectPublicKeyInfo, RFC 8410). Text of @len bytes. 0 or -EINVAL. */
int policy_read_private(const char *pem, size_t len, uint8_t ret[POLICY_KEY]);
int policy_read_public(const char *pem, size_t len, uint8_t ret[POLICY_KEY]);
/* PEM into @out. */
int policy_write_private(FILE *out, const uint8_t key[POLICY_KEY]);
int policy_write_public(FILE *out, const uint8_t key[POLICY_KEY]);

#endif
