// SPDX-License-Identifier: Apache-2.0
/*
 * views.c - what one look at the stored flows is made of several answers, or of one in another form: who talks with
 * whom as nodes and links, and all that there is about a host. Jobs, as query.c has them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/api/api_int.h"
#include "collector/api/jobs.h"
#include "collector/query/spec.h"
#include "common/address.h"
#include "common/num_text.h"

#define ALERTS	  20
#define DECISIONS 1000

/* Lines of an answer, kept. */
struct gathering {
	const struct endpoint_answer *to;
	const json_t *request;
	json_t *rows;
	json_t *other; /* the row of all else; NULL: there is none */
	json_t *end;
};

static int take(void *arg, json_t *line)
{
	struct gathering *g = arg;
	const char *type = json_string_value(json_object_get(line, "type")) ?: "";
	int r = 0;

	if (!strcmp(type, "end")) {
		json_decref(g->end);
		g->end = json_incref(line);
	} else if (json_is_true(json_object_get(line, "other"))) {
		json_decref(g->other);
		g->other = json_incref(line);
	} else {
		json_object_del(line, "type");
		r = json_array_append(g->rows, line) ? -ENOMEM : 0;
	}
	json_decref(line);
	return r;
}

static int progress(void *arg, double percent)
{
	const struct gathering *g = arg;

	(void)percent; /* of one answer of several */
	return g->to->progress(g->to->arg, -1);
}

static void forget(struct gathering *g)
{
	json_decref(g->rows);
	json_decref(g->other);
	json_decref(g->end);
}

static int ask(const struct api *a, const struct spec *s, struct gathering *g, char *error)
{
	const struct endpoint_answer mine = {take, progress, g};

	g->rows = json_array();
	return api_query_rows(a, s, &mine, error);
}

/* @o is taken over. */
static int put_whole(const struct endpoint_answer *to, json_t *o)
{
	if (!o || json_object_set_new(o, "type", json_string("whole"))) {
		json_decref(o);
		return -ENOMEM;
	}
	return to->line(to->arg, o);
}

/* ---- who with whom ---- */

struct graph {
	json_t *nodes, *links;
	json_t *at; /* numbers of both, by what they are */
	const char *measure;
};

static void add_value(json_t *o, int64_t value)
{
	json_object_set_new(o, "value",
			    json_integer(json_integer_value(json_object_get(o, "value")) + value));
}

/* The node of a field's value, or the link of two of them. @made: taken over where there is none yet. */
static json_t *at(struct graph *g, json_t *list, const char *key, json_t *made)
{
	const json_t *n = json_object_get(g->at, key);

	if (n) {
		json_decref(made);
		return json_array_get(list, (size_t)json_integer_value(n));
	}
	json_object_set_new(g->at, key, json_integer((json_int_t)json_array_size(list)));
	json_array_append_new(list, made);
	return made;
}

static json_t *node_of(struct graph *g, const json_t *row, uint32_t layer, const char *field)
{
	json_t *name = json_object_get(row, field),
	       *made = json_pack("{s:I,s:i,s:s}", "id", (json_int_t)json_array_size(g->nodes),
				 "layer", (int)layer, "field", field);
	char *text = json_dumps(name, JSON_ENCODE_ANY), key[512];

	if (name)
		json_object_set(made, "name", name);
	snprintf(key, sizeof(key), "%u %s", layer, text ?: "");
	free(text);
	return at(g, g->nodes, key, made);
}

static void add_row(struct graph *g, const struct spec *s, const json_t *row)
{
	const int64_t value = json_integer_value(json_object_get(row, g->measure));
	json_t *from = NULL;

	for (uint32_t i = 0; i < s->n_by; i++) {
		char field[64], key[64];
		json_t *to, *link;

		spec_by_name(&s->by[i], field, sizeof(field));
		to = node_of(g, row, i, field);
		add_value(to, value);
		if (from) {
			const json_t *a = json_object_get(from, "id"),
				     *b = json_object_get(to, "id");

			snprintf(key, sizeof(key), "link %lld %lld",
				 (long long)json_integer_value(a),
				 (long long)json_integer_value(b));
			link = at(g, g->links, key,
				  json_pack("{s:O,s:O}", "source", a, "target", b));
			add_value(link, value);
		}
		from = to;
	}
}

static json_t *graph_of(const struct spec *s, const struct gathering *rows)
{
	char measure[64];
	struct graph g = {json_array(), json_array(), json_object(), measure};
	const json_t *row;
	json_t *o;
	size_t i;

	spec_measure_name(&s->measures[0], measure, sizeof(measure));
	json_array_foreach(rows->rows, i, row) add_row(&g, s, row);
	json_decref(g.at);
	o = json_pack("{s:s,s:o,s:o}", "measure", measure, "nodes", g.nodes, "links", g.links);
	if (rows->other)
		json_object_set(o, "other", json_object_get(rows->other, measure));
	json_object_set(o, "source", json_object_get(rows->end, "source"));
	return o;
}

static int graph(void *arg, const json_t *request, const struct endpoint_answer *to, char *error)
{
	struct gathering g = {.to = to};
	struct spec *s = malloc(sizeof(*s));
	int r = s ? api_query_spec(arg, request, s, error) : -ENOMEM;

	r = r ?: ask(arg, s, &g, error);
	r = r ?: put_whole(to, graph_of(s, &g));
	forget(&g);
	free(s);
	return r;
}

int api_run_graph(struct api_call *call)
{
	return api_query(call, graph);
}

/* ---- a host ---- */

#define SUMS "bytes,packets,flows,sum(out.bytes),sum(in.bytes)"

static const struct part {
	const char *name;
	const char *where; /* before the address */
	const char *more;  /* behind it */
	const char *by;	   /* "": sums */
} parts[] = {
	{"as_source", "src.ip == ", "", ""},
	{"as_destination", "dst.ip == ", "", ""},
	{"talks_to", "src.ip == ", "", "dst.ip"},
	{"talked_to_by", "dst.ip == ", "", "src.ip"},
	{"uses", "src.ip == ", "", "proto,dst.port"},
	{"serves", "dst.ip == ", "", "proto,dst.port"},
	{"server_names", "src.ip == ", " and exists(tls.sni)", "tls.sni"},
	{"asks_for", "src.ip == ", " and exists(dns.qname)", "dns.qname"},
};

static int add_part(const struct api *a, const struct part *p, json_t *o, struct gathering *g,
		    char *error)
{
	json_t *q = json_copy((json_t *)(uintptr_t)g->request);
	struct spec *s = malloc(sizeof(*s));
	char filter[160];
	int r;

	snprintf(filter, sizeof(filter), "%s%s%s", p->where,
		 json_string_value(json_object_get(o, "ip")), p->more);
	json_object_del(q, "ip");
	json_object_set_new(q, "filter", json_string(filter));
	json_object_set_new(q, "measure", json_string(*p->by ? "bytes,packets,flows" : SUMS));
	if (*p->by)
		json_object_set_new(q, "by", json_string(p->by));
	r = s ? api_query_spec(a, q, s, error) : -ENOMEM;
	r = r ?: ask(a, s, g, error);
	if (!r && !*p->by)
		json_object_set(o, p->name, json_array_get(g->rows, 0));
	else if (!r)
		json_object_set(o, p->name, g->rows);
	json_decref(q);
	free(s);
	return r;
}

/* Lines of a question of the local socket; NULL: there is nobody to ask. */
static json_t *lines_of(const struct api *a, json_t *request)
{
	const struct endpoint_peer peer = {.uid = geteuid(), .name = "api"};
	json_t *lines = a->cfg.ops->ask(a->cfg.arg, request, &peer), *line, *keep = json_array();
	size_t i;

	json_decref(request);
	json_array_foreach(lines, i, line)
	{
		const char *type = json_string_value(json_object_get(line, "type")) ?: "";

		if (!strcmp(type, "end") || !strcmp(type, "error"))
			continue;
		json_object_del(line, "type");
		json_array_append(keep, line);
	}
	json_decref(lines);
	return keep;
}

static json_t *alerts_of(const struct api *a, const char *ip)
{
	char filter[160];

	snprintf(filter, sizeof(filter), "src.ip == %s or dst.ip == %s", ip, ip);
	return lines_of(a, json_pack("{s:s,s:s,s:s,s:s,s:i}", "command", "alerts", "what", "list",
				     "state", "all", "filter", filter, "limit", ALERTS));
}

/* Those in force. */
static json_t *decisions_of(const struct api *a, const char *ip)
{
	json_t *all = lines_of(a, json_pack("{s:s,s:s,s:s,s:i}", "command", "decisions", "what",
					    "list", "state", "active", "limit", DECISIONS)),
	       *keep = json_array(), *o;
	size_t i;

	json_array_foreach(all, i, o)
	{
		const char *value = json_string_value(json_object_get(o, "value")) ?: "";
		const char *to = json_string_value(json_object_get(o, "to")) ?: "";

		if (!strcmp(value, ip) || !strcmp(to, ip))
			json_array_append(keep, o);
	}
	json_decref(all);
	return keep;
}

static int host(void *arg, const json_t *request, const struct endpoint_answer *to, char *error)
{
	const char *ip = json_string_value(json_object_get(request, "ip"));
	json_t *o = json_pack("{s:s,s:O,s:O}", "ip", ip, "from", json_object_get(request, "from"),
			      "to", json_object_get(request, "to"));
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct gathering g = {.to = to, .request = request};

		r = add_part(arg, &parts[i], o, &g, error);
		forget(&g);
	}
	if (r) {
		json_decref(o);
		return r;
	}
	json_object_set_new(o, "alerts", alerts_of(arg, ip));
	json_object_set_new(o, "decisions", decisions_of(arg, ip));
	return put_whole(to, o);
}

int api_run_host(struct api_call *call)
{
	char text[IP_TEXT];
	uint8_t ip[16];

	(void)address_ip(api_text(call, "ip"), ip); /* it has been looked at */
	ip_text(ip, 0, text);
	json_object_set_new(call->values, "ip", json_string(text));
	return api_query(call, host);
}
