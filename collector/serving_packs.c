// SPDX-License-Identifier: Apache-2.0
/*
 * serving_packs.c - packs in the running collector: changed, asked about, in status and metrics; single rules of this
 * site's own changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/alerts/book_int.h"
#include "collector/alerts/own_rules.h"
#include "collector/metrics_text.h"
#include "collector/packs/packs_int.h"
#include "collector/serving_rules_int.h"
#include "common/log.h"

json_t *serving_packs_status(const struct ruleset *set)
{
	json_t *list = json_array();

	for (uint32_t i = 0; set && i < set->packs.n; i++) {
		const struct pack *p = &set->packs.v[i];

		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:b,s:s}", "name", p->meta.name,
						      "version", p->meta.version, "state",
						      pack_trust_word(p->trust), "tainted",
						      p->trust != PACK_SIGNED, "why", p->why));
	}
	return list;
}

void serving_packs_warn(const struct ruleset *set)
{
	for (uint32_t i = 0; i < set->packs.n; i++) {
		const struct pack *p = &set->packs.v[i];

		if (p->trust != PACK_SIGNED)
			log_warn("packs", "%s %s is tainted: %s", p->meta.name, p->meta.version,
				 p->why);
	}
}

int serving_packs_feeds(struct serving_rules *v, const struct settings *s,
			const struct ruleset *set)
{
	const char *const own[] = {site_values(&set->site, "local"),
				   site_values(&set->site, "never_block"),
				   site_values(&set->site, "admin")};
	const struct pack_list **lists;
	uint32_t n;
	int r = ruleset_feeds(set, s, &lists, &n);

	if (r)
		return r;
	r = feeds_set(v->feeds, lists, n, own);
	free(lists);
	return r;
}

int serving_rules_packs(struct serving_rules *v, struct packs_change *c, char *said, json_t **ret)
{
	int r;

	pthread_mutex_lock(&v->reading);
	c->settings = v->settings;
	*ret = NULL;
	r = c->path ? packs_put(c, said, ret) : packs_remove(c, said);
	pthread_mutex_unlock(&v->reading);
	return r ?: serving_rules_again(v, said);
}

int serving_rules_own(struct serving_rules *v, struct own_change *c, char *said)
{
	int r;

	pthread_mutex_lock(&v->reading);
	c->settings = v->settings;
	r = own_rules_change(c, said);
	pthread_mutex_unlock(&v->reading);
	return r ?: serving_rules_again(v, said);
}

json_t *serving_rules_packs_list(struct serving_rules *v, const char *name, char *said)
{
	json_t *o;

	pthread_mutex_lock(&v->reading);
	o = name ? packs_show(v->settings, name, said) : packs_list(v->settings, said);
	pthread_mutex_unlock(&v->reading);
	return o;
}

static json_t *ask_feeds(struct serving_rules *v)
{
	json_t *list = feeds_status(v->feeds), *o;
	size_t i;

	json_array_foreach(list, i, o) json_object_set_new(o, "type", json_string("feed"));
	json_array_append_new(list, json_pack("{s:s,s:I}", "type", "end", "rows",
					      (json_int_t)json_array_size(list)));
	return list;
}

/* Taking what a judge would refuse is a decision. Return: NULL: it is in the audit log. */
static json_t *accept(struct serving_rules *v, const char *name, const struct endpoint_peer *peer)
{
	struct packs_change c = {.actor = peer->name};
	char said[PACKS_SAID];
	int r;

	if (peer->uid && peer->uid != geteuid())
		return book_refuse("denied", "--accept is for root and the collector's user");
	pthread_mutex_lock(&v->reading);
	c.settings = v->settings;
	r = packs_audit(&c, "list.accepted", name, NULL, said);
	pthread_mutex_unlock(&v->reading);
	return r ? book_refuse("store", "%.380s", said) : NULL;
}

static json_t *refresh(struct serving_rules *v, const json_t *request,
		       const struct endpoint_peer *peer)
{
	const char *name = json_string_value(json_object_get(request, "name")) ?: "";
	json_t *refused = json_is_true(json_object_get(request, "accept")) ? accept(v, name, peer)
									   : NULL;

	if (refused)
		return refused;
	if (feeds_refresh(v->feeds, name, json_is_true(json_object_get(request, "accept"))))
		return book_refuse("unknown", "there is no list '%.64s' with a feed", name);
	return book_done("lists", 1);
}

json_t *serving_packs_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer)
{
	const char *what = json_string_value(json_object_get(request, "what")) ?: "";
	char said[PACKS_SAID];

	if (!strcmp(what, "feeds"))
		return ask_feeds(v);
	if (!strcmp(what, "refresh"))
		return refresh(v, request, peer);
	if (strcmp(what, "reload") != 0)
		return book_refuse("request", "packs: reload, feeds or refresh");
	if (serving_rules_again(v, said))
		return book_refuse("rules", "%.380s", said);
	return book_done("rules", v->rules);
}

/* Names and versions of packs are words without quotes. */
void serving_packs_metrics(struct serving_rules *v, FILE *out)
{
	metrics_head(out, "weir_pack_tainted", "gauge",
		     "1: nobody that is trusted here has signed the pack as it is.");
	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; v->set && i < v->set->packs.n; i++) {
		const struct pack *p = &v->set->packs.v[i];

		fprintf(out, "weir_pack_tainted{pack=\"%s\",version=\"%s\"} %d\n", p->meta.name,
			p->meta.version, p->trust != PACK_SIGNED);
	}
	pthread_mutex_unlock(&v->lock);
	feeds_metrics(v->feeds, out);
}
