// SPDX-License-Identifier: Apache-2.0
/*
 * want.c - see want.h.
 */
#include "loader/mirror/want.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/address.h"
#include "common/scan.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* ---- targets as words ---- */

static const struct target {
	const char *word; /* with its colon */
	enum mirror_to to;
	uint16_t port; /* where none is given; 0: it has none */
	const char *id;
	uint32_t id_max;
	unsigned int head; /* bytes from its UDP or GRE header on, to the frame */
} targets[] = {
	{"vxlan:", MIRROR_TO_VXLAN, 4789, "vni=", MIRROR_VNI_MAX, 16},
	{"geneve:", MIRROR_TO_GENEVE, 6081, "vni=", MIRROR_VNI_MAX,
	 20 + sizeof(struct mirror_option)},
	{"erspan:", MIRROR_TO_ERSPAN, 0, "id=", MIRROR_ID_MAX, 20},
	{"iface:", MIRROR_TO_IFACE, 0, NULL, 0, 0},
};

#define N_TARGETS (sizeof(targets) / sizeof(targets[0]))

static const struct target *target_of(unsigned int to)
{
	for (size_t i = 0; i < N_TARGETS; i++)
		if (targets[i].to == to)
			return &targets[i];
	return NULL;
}

unsigned int mirror_overhead(enum mirror_to to, bool v6)
{
	const struct target *t = target_of(to);

	return t && t->head ? t->head + (v6 ? 40 : 20) : 0;
}

/* "192.0.2.1", "192.0.2.1:4789", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4789" */
static int take_address(const char *text, const struct target *t, struct mirror_want *ret)
{
	struct address a;
	char bare[64];
	size_t n = strlen(text);

	ret->port = t->port;
	if (n > 2 && n < sizeof(bare) && text[0] == '[' && text[n - 1] == ']') {
		memcpy(bare, text + 1, n - 2);
		bare[n - 2] = '\0';
		return address_ip(bare, ret->dst);
	}
	if (!address_ip(text, ret->dst))
		return 0;
	if (!t->port || address_parse(text, &a))
		return -EINVAL;
	if (a.sa.sa_family == AF_INET) {
		memcpy(ret->dst, mapped, sizeof(mapped));
		memcpy(ret->dst + 12, &a.v4.sin_addr, 4);
		ret->port = ntohs(a.v4.sin_port);
	} else {
		memcpy(ret->dst, &a.v6.sin6_addr, 16);
		ret->port = ntohs(a.v6.sin6_port);
	}
	return 0;
}

int mirror_want_to(const char *text, struct mirror_want *ret, const char **ret_why)
{
	const struct target *t = NULL;
	char address[96];
	const char *comma;
	uint64_t id = 0;

	for (size_t i = 0; i < N_TARGETS; i++)
		if (!strncmp(text, targets[i].word, strlen(targets[i].word)))
			t = &targets[i];
	*ret_why =
		"want vxlan:ADDR[:PORT],vni=N, geneve:ADDR[:PORT],vni=N, erspan:ADDR,id=N or iface:NAME";
	if (!t)
		return -EINVAL;
	text += strlen(t->word);
	ret->to = (uint8_t)t->to;
	if (t->to == MIRROR_TO_IFACE) {
		*ret_why = "names of interfaces have 1 to 15 letters";
		if (!*text || strlen(text) >= sizeof(ret->out))
			return -EINVAL;
		memcpy(ret->out, text, strlen(text));
		return 0;
	}
	comma = strchr(text, ',');
	if (!comma || strncmp(comma + 1, t->id, strlen(t->id)) != 0 ||
	    (size_t)(comma - text) >= sizeof(address) ||
	    scan_u64(comma + 1 + strlen(t->id), 0, t->id_max, &id))
		return -EINVAL;
	ret->vni = (uint32_t)id;
	memcpy(address, text, (size_t)(comma - text));
	address[comma - text] = '\0';
	*ret_why =
		"want an address, and for VXLAN and Geneve a port behind it: 192.0.2.1:4789, [2001:db8::1]:4789";
	return take_address(address, t, ret);
}

int mirror_want_budget(const char *text, struct mirror_want *ret)
{
	const size_t n = strlen(text);
	struct policy_rule rate = {};
	char digits[8];
	uint64_t pct;

	ret->budget_pct = 0;
	ret->budget_bps = 0;
	if (!strcmp(text, "none"))
		return 0;
	if (n > 1 && n < sizeof(digits) && text[n - 1] == '%') {
		memcpy(digits, text, n - 1);
		digits[n - 1] = '\0';
		if (scan_u64(digits, 1, 100, &pct))
			return -EINVAL;
		ret->budget_pct = (uint32_t)pct;
		return 0;
	}
	if (policy_scan_rate(text, &rate) || !(rate.limit & LIMIT_BPS))
		return -EINVAL;
	ret->budget_bps = rate.rate;
	return 0;
}

void mirror_print_to(FILE *out, const struct mirror_want *w)
{
	const struct target *t = target_of(w->to);
	const bool v6 = memcmp(w->dst, mapped, sizeof(mapped)) != 0;
	char text[INET6_ADDRSTRLEN];

	if (!t)
		return;
	fputs(t->word, out);
	if (t->to == MIRROR_TO_IFACE) {
		fprintf(out, "%.15s", w->out);
		return;
	}
	inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? w->dst : w->dst + 12, text, sizeof(text));
	fprintf(out, v6 && t->port ? "[%s]" : "%s", text);
	if (t->port)
		fprintf(out, ":%u", w->port);
	fprintf(out, ",%s%u", t->id, w->vni);
}

/* ---- filters ---- */

struct maker {
	const struct policy_draft *d;
	struct policy_rule *to;
	int n;
	const char *why;
};

static const void *records(const struct maker *m, enum policy_type type)
{
	return m->d->of[type].at;
}

static void add(struct maker *m, const struct policy_rule *r)
{
	if (m->n == (int)MIRROR_RULES) {
		m->why = "this makes more than 64 entries, which is what a session has room for";
		return;
	}
	m->to[m->n] = *r;
	m->to[m->n].number = (uint32_t)m->n + 1;
	m->to[m->n].key = RULE_BY_NONE;
	m->n++;
}

/* The entry's address as a condition. @dst: of that end. */
static void add_end(struct maker *m, struct policy_rule r, const uint8_t addr[16],
		    unsigned int bits, bool dst)
{
	const uint32_t cond = dst ? COND_DST : COND_SRC;

	if (r.match.have & cond) {
		m->why =
			"two conditions on the addresses of one end: write them as one, or as two sessions";
		return;
	}
	memcpy(dst ? r.match.dst : r.match.src, addr, 16);
	*(dst ? &r.match.dst_bits : &r.match.src_bits) = (uint8_t)bits;
	r.match.have |= cond;
	add(m, &r);
}

static void add_addresses(struct maker *m, const struct policy_rule *r)
{
	const struct policy_addr *a = records(m, POLICY_ADDR);

	for (uint32_t i = 0; i < m->d->of[POLICY_ADDR].n && !m->why; i++) {
		if (a[i].rule != r->number)
			continue;
		if (a[i].role & ROLE_SRC)
			add_end(m, *r, a[i].addr, a[i].bits, false);
		if (a[i].role & ROLE_DST)
			add_end(m, *r, a[i].addr, a[i].bits, true);
	}
}

static void set_port(struct policy_match *t, uint16_t port, bool dst)
{
	uint16_t *range = dst ? t->dst_port : t->src_port;

	range[0] = range[1] = port;
	t->have |= dst ? COND_DST_PORT : COND_SRC_PORT;
}

static void set_proto(struct policy_match *t, uint8_t proto)
{
	t->proto = proto;
	t->have |= COND_PROTO;
}

static void add_addr_ports(struct maker *m, const struct policy_rule *r)
{
	const struct policy_addr_port *a = records(m, POLICY_ADDR_PORT);

	for (uint32_t i = 0; i < m->d->of[POLICY_ADDR_PORT].n && !m->why; i++) {
		for (int dst = 0; dst < 2; dst++) {
			struct policy_rule one = *r;

			if (a[i].rule != r->number || !(a[i].role & (dst ? ROLE_DST : ROLE_SRC)))
				continue;
			set_proto(&one.match, a[i].proto);
			set_port(&one.match, a[i].port, dst);
			add_end(m, one, a[i].addr, 128, dst);
		}
	}
}

/* Both ways. */
static void add_flows(struct maker *m, const struct policy_rule *r)
{
	const struct policy_flow *f = records(m, POLICY_FLOW);

	for (uint32_t i = 0; i < m->d->of[POLICY_FLOW].n && !m->why; i++) {
		for (int way = 0; way < 2; way++) {
			struct policy_rule one = *r;

			if (f[i].rule != r->number)
				continue;
			set_proto(&one.match, f[i].proto);
			set_port(&one.match, f[i].port[way], false);
			set_port(&one.match, f[i].port[!way], true);
			memcpy(one.match.src, f[i].addr[way], 16);
			one.match.src_bits = 128;
			one.match.have |= COND_SRC;
			add_end(m, one, f[i].addr[!way], 128, true);
		}
	}
}

static void add_rule(struct maker *m, const struct policy_rule *r)
{
	if (r->match.have & COND_VNI)
		m->why = "a mirror looks at the outer packet, which has no vni";
	else if (r->match.have & COND_IFACE)
		m->why = "the interface is given by --iface";
	else if (r->key == RULE_BY_NONE)
		add(m, r);
	else if (r->key == RULE_BY_ADDR)
		add_addresses(m, r);
	else if (r->key == RULE_BY_ADDR_PORT)
		add_addr_ports(m, r);
	else if (r->key == RULE_BY_FLOW)
		add_flows(m, r);
	else
		m->why = "names are not known of a packet; give addresses, ports, protocols";
}

int mirror_rules(const char *filter, enum policy_direction direction, struct policy_rule *ret,
		 struct filter_error *reterr)
{
	const struct policy_rule plan = {.number = 1,
					 .action = POLICY_DO_MIRROR,
					 .direction = (uint8_t)direction,
					 .name = "mirror",
					 .origin = "local"};
	struct policy_filter_result got;
	struct policy_draft d = {};
	struct maker m = {.d = &d, .to = ret};
	int r = policy_add_filter(&d, filter, &plan, NULL, &got);
	const struct policy_rule *rules = records(&m, POLICY_RULE);

	*reterr = got.error;
	for (uint32_t i = 0; !r && !m.why && i < d.of[POLICY_RULE].n; i++)
		add_rule(&m, &rules[i]);
	policy_draft_done(&d);
	if (m.why) {
		snprintf(reterr->message, sizeof(reterr->message), "%s", m.why);
		return -EINVAL;
	}
	return r ?: m.n;
}

/* ---- checks ---- */

__attribute__((format(printf, 2, 3))) static int fail(struct policy_error *err, const char *fmt,
						      ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Text that is filled up with NUL, and can be shown. */
static bool is_text(const uint8_t *p, size_t size)
{
	const size_t n = strnlen((const char *)p, size);

	if (n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return false;
	for (size_t i = n; i < size; i++)
		if (p[i])
			return false;
	return true;
}

/* Whom may packets be sent to? */
static bool is_unicast(const uint8_t a[16])
{
	static const uint8_t zero[16];

	if (memcmp(a, mapped, sizeof(mapped)) != 0)
		return a[0] != 0xff && memcmp(a, zero, 16) != 0;
	return a[12] && a[12] < 224;
}

static int check_target(const struct mirror_want *w, const struct target *t,
			struct policy_error *err)
{
	static const uint8_t zero[16];

	if (t->to == MIRROR_TO_IFACE) {
		if (!is_text(w->out, sizeof(w->out)) || !w->out[0] ||
		    strchr((const char *)w->out, '/'))
			return fail(err, "to: no name of an interface");
		return w->port || w->vni || memcmp(w->dst, zero, 16) != 0
			       ? fail(err, "to: an interface has no address, port and vni")
			       : 0;
	}
	if (memcmp(w->out, zero, sizeof(w->out)) != 0)
		return fail(err, "to: a tunnel leads to an address");
	if (!is_unicast(w->dst))
		return fail(err, "to: that address is none of a host");
	if (!t->port != !w->port)
		return fail(err, "to: port %u", w->port);
	return w->vni > t->id_max ? fail(err, "to: %s%u is beyond %u", t->id, w->vni, t->id_max)
				  : 0;
}

/* Numbers within their bounds. */
static int check_numbers(const struct mirror_want *w, struct policy_error *err)
{
	if (w->number > MIRROR_NUMBER_MAX)
		return fail(err, "number: %u is beyond %u", w->number, MIRROR_NUMBER_MAX);
	if (w->length && (w->length < MIRROR_LENGTH_MIN || w->length > MIRROR_LENGTH_MAX))
		return fail(err, "length: %u, want %u to %u", w->length, MIRROR_LENGTH_MIN,
			    MIRROR_LENGTH_MAX);
	if (!w->sample || w->sample > MIRROR_SAMPLE_MAX)
		return fail(err, "sample: %u, want 1 to %u", w->sample, MIRROR_SAMPLE_MAX);
	if (w->budget_pct > 100 || (w->budget_pct && w->budget_bps) ||
	    w->budget_bps > UINT64_C(1000000000000))
		return fail(err, "budget: a share of the link up to 100 %%, or bits a second");
	if (!w->rules || w->rules > MIRROR_RULES)
		return fail(err, "filter: %u entries, want 1 to %u", w->rules, MIRROR_RULES);
	return 0;
}

static int check_want(const struct mirror_want *w, struct policy_error *err)
{
	const struct target *t = target_of(w->to);

	if (!t)
		return fail(err, "to: unknown kind %u of target", w->to);
	if (w->also > 1 || w->pad)
		return fail(err, "also: is 0 or 1");
	if (!w->for_s)
		return fail(err, "for: every session ends some time");
	if (!is_text(w->filter, sizeof(w->filter)) || !is_text(w->iface, sizeof(w->iface)))
		return fail(err, "filter, iface: no text");
	return check_numbers(w, err) ?: check_target(w, t, err);
}

static int check_entry(const struct policy_rule *r, uint32_t i, uint32_t last,
		       struct policy_error *err)
{
	if (r->action != POLICY_DO_MIRROR && r->action != POLICY_PASS)
		return fail(err, "entry %u: neither accepts nor rejects", i + 1);
	if (r->key != RULE_BY_NONE || r->flags || r->limit || r->rate || r->burst || r->expires)
		return fail(err, "entry %u: has what is of rules alone", i + 1);
	if (r->match.have & (COND_IFACE | COND_VNI))
		return fail(err, "entry %u: interface and vni are not for entries", i + 1);
	if (r->number <= last)
		return fail(err, "entry %u: %u does not come after %u", i + 1, r->number, last);
	return policy_check_match(r, i + 1, err);
}

int mirror_check(const void *image, size_t len, const struct mirror_want **ret,
		 const struct policy_rule **ret_rules, struct policy_error *reterr)
{
	const struct mirror_want *w = image;
	const struct policy_rule *rules = (const void *)(w + 1);
	uint32_t last = 0;

	reterr->text[0] = '\0';
	if (len < sizeof(*w) || check_want(w, reterr))
		return reterr->text[0] ? -EINVAL : fail(reterr, "%zu bytes are no session", len);
	if (len != sizeof(*w) + w->rules * sizeof(*rules))
		return fail(reterr, "%zu bytes do not fit %u entries", len, w->rules);
	for (uint32_t i = 0; i < w->rules; i++) {
		if (check_entry(&rules[i], i, last, reterr))
			return -EINVAL;
		last = rules[i].number;
	}
	*ret = w;
	*ret_rules = rules;
	return 0;
}
