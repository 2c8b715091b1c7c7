// SPDX-License-Identifier: Apache-2.0
/*
 * serving_api.c - who answers questions of the local socket, and the REST interface of the running collector.
 */
#include <string.h>

#include "collector/api/api.h"
#include "collector/nodes/captures.h"
#include "collector/serving.h"
#include "collector/serving_rules.h"
#include "common/address.h"
#include "common/listen.h"
#include "common/log.h"

json_t *serving_ask(void *arg, const json_t *request, const struct endpoint_peer *peer)
{
	const struct serving *v = arg;
	const char *command = json_string_value(json_object_get(request, "command")) ?: "";

	if (!strcmp(command, "nodes"))
		return nodes_ask(v->nodes, request, peer);
	if (!strcmp(command, "captures"))
		return captures_ask(v->nodes, request, peer);
	if (!strcmp(command, "tokens"))
		return api_ask(__atomic_load_n(&v->api, __ATOMIC_ACQUIRE), request, peer);
	return serving_rules_ask(v->rules, request, peer);
}

int serving_backtest(void *arg, const json_t *request, const struct endpoint_answer *to,
		     char *error)
{
	const struct serving *v = arg;

	return serving_rules_backtest(v->rules, v->store, request, to, error);
}

int serving_fetch(void *arg, const struct fetch_wish *w, struct fetch **ret,
		  struct fetch_of *ret_of, struct fetch_refusal *why)
{
	const struct serving *v = arg;

	return fetch_open(v->nodes, w, ret, ret_of, why);
}

static json_t *op_rules(void *arg)
{
	const struct serving *v = arg;
	json_t *status = serving_rules_status(v->rules);
	json_t *list = json_incref(json_object_get(status, "list"));

	json_decref(status);
	return list;
}

static struct ruleset *op_set(void *arg)
{
	const struct serving *v = arg;

	return serving_rules_set(v->rules);
}

static json_t *op_packs(void *arg, const char *name, char *said)
{
	const struct serving *v = arg;

	return serving_rules_packs_list(v->rules, name, said);
}

static int op_pack_change(void *arg, struct packs_change *c, char *said, json_t **ret)
{
	const struct serving *v = arg;

	return serving_rules_packs(v->rules, c, said, ret);
}

static int op_rule_change(void *arg, struct own_change *c, char *said)
{
	const struct serving *v = arg;

	return serving_rules_own(v->rules, c, said);
}

static int op_query(void *arg, const struct spec *q, const struct answer_sink *k, char *error)
{
	const struct serving *v = arg;

	return endpoint_query(v->endpoint, q, k, error);
}

static const struct filter_env *op_lists(void *arg)
{
	const struct serving *v = arg;

	return endpoint_lists(v->endpoint);
}

static const struct api_ops ops = {
	.status = serving_status,
	.metrics = serving_metrics,
	.ask = serving_ask,
	.rules = op_rules,
	.set = op_set,
	.rule_change = op_rule_change,
	.packs = op_packs,
	.pack_change = op_pack_change,
	.backtest = serving_backtest,
	.query = op_query,
	.lists = op_lists,
	.fetch = serving_fetch,
};

int serving_api_open(struct serving *v)
{
	const struct settings *s = v->settings;
	const bool tls = settings_num(s, CSET_API_TLS);
	struct api_cfg cfg = {.cert = tls ? collector_path(s, CSET_TLS_CERT) : NULL,
			      .key = tls ? collector_path(s, CSET_TLS_KEY) : NULL,
			      .dir = settings_text(s, CSET_STORE_DIR),
			      .clients = (uint32_t)settings_num(s, CSET_API_CLIENTS),
			      .ops = &ops,
			      .arg = v};
	char error[API_ERROR] = "";
	struct api *api = NULL;
	struct address a;
	int r;

	if (settings_is_word(s, CSET_API_LISTEN))
		return 0;
	r = address_parse(settings_text(s, CSET_API_LISTEN), &a);
	r = r ?: listen_tcp(&a, "api.listen", &cfg.fd);
	if (r)
		return r;
	r = api_open(&cfg, error, &api);
	if (r)
		log_error("api", "%s", *error ? error : strerror(-r));
	__atomic_store_n(&v->api, api, __ATOMIC_RELEASE);
	return r;
}
