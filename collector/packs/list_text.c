// SPDX-License-Identifier: Apache-2.0
#include "collector/packs/list_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/pack.h"
#include "common/address.h"
#include "common/num_text.h"
#include "common/scan.h"

#define NAME_MAX_OCTETS	 253u /* RFC 1035 section 2.3.4, without the last dot */
#define LABEL_MAX_OCTETS 63u

/* ---- values ---- */

struct net {
	uint8_t ip[16];
	uint8_t bits; /* 0 to 128 */
};

static bool masked(const struct net *n)
{
	for (unsigned int bit = n->bits; bit < 128; bit++)
		if (n->ip[bit / 8] >> (7 - bit % 8) & 1)
			return false;
	return true;
}

static int scan_net(const char *text, struct net *ret)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	const size_t len = slash ? (size_t)(slash - text) : strlen(text);
	const bool v6 = memchr(text, ':', len) != NULL;
	uint64_t bits = v6 ? 128 : 32;

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = 0;
	if (address_ip(address, ret->ip) || (slash && scan_u64(slash + 1, 0, bits, &bits)))
		return -EINVAL;
	ret->bits = (uint8_t)(v6 ? bits : bits + 96);
	return masked(ret) ? 0 : -EINVAL;
}

int list_range(const char *text, struct list_range *ret)
{
	const char *dash = strchr(text, '-');
	char address[INET6_ADDRSTRLEN];
	struct net n;

	if (dash) {
		if ((size_t)(dash - text) >= sizeof(address))
			return -EINVAL;
		snprintf(address, sizeof(address), "%.*s", (int)(dash - text), text);
		return address_ip(address, ret->lo) || address_ip(dash + 1, ret->hi) ||
				       memcmp(ret->lo, ret->hi, 16) > 0
			       ? -EINVAL
			       : 0;
	}
	if (scan_net(text, &n))
		return -EINVAL;
	memcpy(ret->lo, n.ip, 16);
	memcpy(ret->hi, n.ip, 16);
	for (unsigned int bit = n.bits; bit < 128; bit++)
		ret->hi[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return 0;
}

bool list_ranges_meet(const struct list_range *a, const struct list_range *b)
{
	return memcmp(a->lo, b->hi, 16) <= 0 && memcmp(b->lo, a->hi, 16) <= 0;
}

static int put_net(const char *text, char out[LIST_VALUE])
{
	struct net n;
	char ip[IP_TEXT];

	if (scan_net(text, &n))
		return -EINVAL;
	ip_text(n.ip, 0, ip);
	if (n.bits == 128)
		snprintf(out, LIST_VALUE, "%s", ip);
	else
		snprintf(out, LIST_VALUE, "%s/%u", ip, strchr(text, ':') ? n.bits : n.bits - 96u);
	return 0;
}

static bool is_label(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* What of it is the name: "*." before it and its last dot are left out. */
static const char *core_of(const char *text, size_t *ret_len)
{
	if (text[0] == '*' && text[1] == '.')
		text += 2;
	*ret_len = strlen(text);
	if (*ret_len && text[*ret_len - 1] == '.')
		--*ret_len;
	return text;
}

/* A name of DNS in small letters. */
static int put_name(const char *text, char out[LIST_VALUE])
{
	size_t len, label = 0;
	bool letter = false;

	text = core_of(text, &len);
	if (!len || len > NAME_MAX_OCTETS)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		const char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];

		if (c == '.' ? !label : !is_label(c) || label == LABEL_MAX_OCTETS)
			return -EINVAL;
		label = c == '.' ? 0 : label + 1;
		letter |= c >= 'a' && c <= 'z';
		out[i] = c;
	}
	out[len] = 0;
	return label && letter ? 0 : -EINVAL;
}

/* ---- lines ---- */

struct gathering {
	struct list_parse *p;
	char **v;
	uint32_t n, cap;
	uint32_t line;
};

static void bad(struct gathering *g, const char *value)
{
	if (g->p->bad++)
		return;
	g->p->bad_line = g->line;
	snprintf(g->p->bad_why, sizeof(g->p->bad_why), "'%.40s' is no %s", value,
		 g->p->names ? "name" : "address or network");
	for (char *s = g->p->bad_why; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
}

static int add(struct gathering *g, const char *value)
{
	char out[LIST_VALUE];

	if (g->p->names ? put_name(value, out) : put_net(value, out)) {
		bad(g, value);
		return 0;
	}
	if (g->n == g->p->max_entries)
		return -E2BIG;
	if (g->n == g->cap) {
		const uint32_t cap = g->cap ? g->cap * 2 : 256;
		char **v = reallocarray(g->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		g->v = v;
		g->cap = cap;
	}
	g->v[g->n] = strdup(out);
	if (!g->v[g->n])
		return -ENOMEM;
	g->n++;
	return 0;
}

static int add_csv(struct gathering *g, char *line)
{
	const bool quoted = *line == '"';
	char *end = line + quoted + strcspn(line + quoted, quoted ? "\"" : ",;\t");
	const uint32_t before = g->p->bad;
	int r;

	*end = 0;
	line += quoted;
	line += strspn(line, " ");
	line[strcspn(line, " ")] = 0;
	r = add(g, line);
	if (g->line == 1 && g->p->bad != before)
		g->p->bad = g->p->bad_line = 0; /* a heading */
	return r;
}

static int add_hosts(struct gathering *g, char *line)
{
	struct net n;
	const char *word = strsep(&line, " \t");
	int r = 0;

	if (scan_net(word, &n) || !line) {
		bad(g, word);
		return 0;
	}
	while (!r && (word = strsep(&line, " \t"))) {
		if (!*word || !strcmp(word, "localhost"))
			continue;
		r = add(g, word);
	}
	return r;
}

static int add_line(struct gathering *g, char *line)
{
	line[strcspn(line, g->p->format == PACK_CSV ? "#\r" : "#;\r")] = 0;
	line += strspn(line, " \t");
	for (size_t n = strlen(line); n && strchr(" \t", line[n - 1]); n--)
		line[n - 1] = 0;
	if (!*line)
		return 0;
	if (g->p->format == PACK_CSV)
		return add_csv(g, line);
	if (g->p->format == PACK_HOSTS)
		return add_hosts(g, line);
	line[strcspn(line, " \t")] = 0;
	return add(g, line);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each once, one a line. */
static int write_out(struct gathering *g)
{
	struct list_parse *p = g->p;
	FILE *out = open_memstream(&p->text, &p->len);

	if (!out)
		return -ENOMEM;
	if (g->n)
		qsort(g->v, g->n, sizeof(*g->v), by_text);
	for (uint32_t i = 0; i < g->n; i++) {
		if (i && !strcmp(g->v[i], g->v[i - 1]))
			continue;
		fprintf(out, "%s\n", g->v[i]);
		p->n++;
	}
	return fclose(out) ? -ENOMEM : 0;
}

int list_parse(const char *text, size_t len, struct list_parse *p)
{
	struct gathering g = {.p = p};
	char *line = malloc(LIST_VALUE * 4);
	int r = line ? 0 : -ENOMEM;

	while (len && !r) {
		const char *end = memchr(text, '\n', len);
		const size_t n = end ? (size_t)(end - text) : len;

		g.line++;
		if (n >= LIST_VALUE * 4 || memchr(text, 0, n)) {
			bad(&g, n >= LIST_VALUE * 4 ? "a line of such length" : "a line with a 0");
		} else {
			memcpy(line, text, n);
			line[n] = 0;
			r = add_line(&g, line);
		}
		text += n + (end != NULL);
		len -= n + (end != NULL);
	}
	r = r ?: write_out(&g);
	for (uint32_t i = 0; i < g.n; i++)
		free(g.v[i]);
	free(g.v);
	free(line);
	return r;
}

void list_parse_done(struct list_parse *p)
{
	free(p->text);
	p->text = NULL;
}
