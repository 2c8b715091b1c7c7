// SPDX-License-Identifier: Apache-2.0
/*
 * filter_words.c - words of enum fields to numbers: the tables of flow_words.h read backwards, so
 * that what a record says can be asked for.
 */
#include <errno.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"
#include "common/flow_words.h"
#include "common/scan.h"
#include "weir/abi.h"

#define RANGES 3

/* Numbers that may have a word, and how else a number can be written. */
struct words {
	uint32_t range[RANGES][2];
	const char *number_prefix; /* "TYPE" of TYPE65; "" plain numbers; NULL none */
	uint32_t max;
};

static const struct words tables[_FT_MAX] = {
	[FT_PROTO] = {{{0, 255}}, "", 255},
	[FT_STATE] = {{{1, _FLOW_STATE_MAX - 1}}, NULL, 0},
	[FT_REASON] = {{{1, _FLOW_REASON_MAX - 1}}, NULL, 0},
	[FT_TUNNEL] = {{{1, _TUN_MAX - 1}}, NULL, 0},
	[FT_NONAME] = {{{1, _NN_MAX - 1}}, NULL, 0},
	[FT_VERDICT] = {{{1, _FLOW_VERDICT_MAX - 1}}, NULL, 0},
	[FT_NAMED] = {{{1, _FLOW_NAMED_MAX - 1}}, NULL, 0},
	[FT_DIRECTION] = {{{FLOW_INGRESS, FLOW_EGRESS}}, NULL, 0},
	[FT_ECH] = {{{1, 2}}, NULL, 0},
	[FT_TLSVER] = {{{0x0300, 0x0304}, {0xfefc, 0xfefd}, {0xfeff, 0xfeff}}, "0x", 0xffff},
	[FT_QTYPE] = {{{0, 262}, {32768, 32769}}, "TYPE", 0xffff},
	[FT_RCODE] = {{{0, 23}}, "RCODE", 0xffff},
	[FT_QUICVER] = {{{1, 1}, {0x6b3343cf, 0x6b3343cf}}, "0x", 0xffffffff},
};

/* The @i-th number that may have a word. */
static bool nth_number(const struct words *w, unsigned int i, uint32_t *ret)
{
	for (unsigned int k = 0; k < RANGES; k++) {
		const uint32_t n = w->range[k][1] - w->range[k][0] + 1;

		if (!w->range[k][1])
			break;
		if (i < n) {
			*ret = w->range[k][0] + i;
			return true;
		}
		i -= n;
	}
	return false;
}

const char *filter_word(enum flow_type t, unsigned int *i, uint64_t *ret)
{
	char number[FLOW_TEXT];
	uint32_t v;

	while (nth_number(&tables[t], (*i)++, &v)) {
		const char *word = flow_word(t, v, number);

		if (word != number) {
			*ret = v;
			return word;
		}
	}
	return NULL;
}

/* draft-29, Q046: the forms of quic_version_word(). */
static int quic_number(const char *word, uint64_t *ret)
{
	uint64_t v;

	if (!strncasecmp(word, "draft-", 6)) {
		if (scan_u64(word + 6, 0, 255, &v))
			return -EINVAL;
		*ret = 0xff000000 | v;
		return 0;
	}
	if (strlen(word) != 4 || !strchr("QT", word[0]) || strspn(word + 1, "0123456789") != 3)
		return -EINVAL;
	*ret = (uint64_t)word[0] << 24 | (uint64_t)word[1] << 16 | (uint64_t)word[2] << 8 |
	       (uint64_t)word[3];
	return 0;
}

static int other_number(enum flow_type t, const char *word, uint64_t *ret)
{
	const char *prefix = tables[t].number_prefix;
	const size_t n = prefix ? strlen(prefix) : 0;

	if (t == FT_QUICVER && !quic_number(word, ret))
		return 0;
	if (!prefix)
		return -EINVAL;
	if (!strcmp(prefix, "0x"))
		return strncasecmp(word, "0x", 2) ? -EINVAL
						  : scan_hex(word + 2, tables[t].max, ret);
	if (!strncasecmp(word, prefix, n))
		word += n;
	return scan_u64(word, 0, tables[t].max, ret) ? -EINVAL : 0;
}

/* Two letters, in either case. */
static int country_number(const char *word, uint64_t *ret)
{
	const char a = (char)(word[0] & ~0x20), b = (char)(a ? word[1] & ~0x20 : 0);

	if (a < 'A' || a > 'Z' || b < 'A' || b > 'Z' || word[2])
		return -EINVAL;
	*ret = (uint64_t)a << 8 | (uint64_t)b;
	return 0;
}

int filter_word_number(enum flow_type t, const char *word, uint64_t *ret)
{
	const char *known;
	unsigned int i = 0;
	uint64_t v;

	if (t == FT_COUNTRY)
		return country_number(word, ret);
	while ((known = filter_word(t, &i, &v))) {
		if (!strcasecmp(known, word)) {
			*ret = v;
			return 0;
		}
	}
	return other_number(t, word, ret);
}
