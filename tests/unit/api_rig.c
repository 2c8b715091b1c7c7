// SPDX-License-Identifier: Apache-2.0
#include "api_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "collector/alerts/book_int.h"
#include "collector/alerts/own_rules.h"
#include "collector/alerts/ruleset.h"
#include "collector/packs/packs.h"
#include "collector/query/answer.h"
#include "collector/query/spec.h"
#include "collector/store/store.h"

char api_rig_dir[] = "/tmp/weir-api.XXXXXX";
struct api *api_rig;
char api_rig_tokens[_ROLE_MAX][TOKEN_TEXT];
struct api_asked api_asked;
static int port;

/* ---- the collector ---- */

static json_t *line(const char *type, json_int_t id)
{
	char name[16];

	snprintf(name, sizeof(name), "n%lld", (long long)id);
	return json_pack("{s:s,s:I,s:s}", "type", type, "id", id, "name", name);
}

static json_t *list_from(const json_t *request)
{
	const json_int_t before = json_integer_value(json_object_get(request, "before"));
	const json_int_t limit = json_integer_value(json_object_get(request, "limit"));
	json_t *lines = json_array();

	for (json_int_t id = API_RIG_ROWS;
	     id > 0 && (!limit || (json_int_t)json_array_size(lines) < limit); id--)
		if (!before || id < before)
			json_array_append_new(lines, line("alert", id));
	json_array_append_new(lines, json_pack("{s:s}", "type", "end"));
	return lines;
}

static json_t *op_ask(void *arg, const json_t *request, const struct endpoint_peer *peer)
{
	const char *what = json_string_value(json_object_get(request, "what"));
	json_t *lines;

	(void)arg;
	if (!strcmp(what, "show") || !strcmp(what, "verify")) {
		if (api_asked.none)
			return book_refuse("unknown", "there is none");
		lines = json_array();
		json_array_append_new(
			lines, line("alert", json_integer_value(json_object_get(request, "id"))));
		json_array_append_new(lines, json_pack("{s:s}", "type", "end"));
		return lines;
	}
	json_decref(api_asked.request);
	api_asked.request = json_deep_copy(request);
	snprintf(api_asked.actor, sizeof(api_asked.actor), "%s", peer->name);
	api_asked.uid = peer->uid;
	if (!strcmp(what, "list") || !strcmp(what, "silences"))
		return list_from(request);
	return api_asked.refuse ? book_refuse(api_asked.refuse, "it is so") : book_done("id", 4);
}

static json_t *op_status(void *arg)
{
	(void)arg;
	return json_pack("{s:s}", "version", "1");
}

static char *op_metrics(void *arg, size_t *ret_len)
{
	(void)arg;
	*ret_len = 4;
	return strdup("a 1\n");
}

static json_t *op_rules(void *arg)
{
	(void)arg;
	return json_pack("[{s:s},{s:s},{s:s}]", "rule", "a", "rule", "b", "rule", "c");
}

/* Without rules; the lists are those that are always there. */
static struct ruleset *op_set(void *arg)
{
	struct ruleset *r = calloc(1, sizeof(*r));

	(void)arg;
	cr_assert(r != NULL);
	r->holders = 1;
	site_init(&r->site);
	rule_files_init(&r->files, &r->site);
	return r;
}

/* As own_rules_change() where there is rule "a" alone and its text is "good". */
static int op_rule_change(void *arg, struct own_change *c, char *said)
{
	const bool there = !strcmp(c->to.name, "a");

	(void)arg;
	snprintf(api_asked.actor, sizeof(api_asked.actor), "%s", c->actor);
	if (c->to.text && strcmp(c->to.text, "good") != 0) {
		snprintf(said, PACKS_SAID, "text:7:3: it is bad\n/x/b.yaml:1:2: so is this");
		return -EBADMSG;
	}
	if (!there) {
		snprintf(said, PACKS_SAID, "there is no rule '%s'", c->to.name);
		return -ENOENT;
	}
	return 0;
}

static json_t *op_packs(void *arg, const char *name, char *said)
{
	(void)arg;
	if (!name)
		return json_pack("[{s:s},{s:s}]", "name", "a", "name", "b");
	if (!strcmp(name, "a"))
		return json_pack("{s:s}", "name", "a");
	snprintf(said, PACKS_SAID, "%s is not installed", name);
	return NULL;
}

/* Says what is in the file: as packs_put() where that is "new", "old" or nothing good. */
static int op_pack_change(void *arg, struct packs_change *c, char *said, json_t **ret)
{
	char text[16] = "";
	FILE *f = c->path ? fopen(c->path, "r") : NULL;

	(void)arg;
	if (f) {
		(void)!fread(text, 1, sizeof(text) - 1, f); /* what is there */
		fclose(f);
	}
	snprintf(api_asked.actor, sizeof(api_asked.actor), "%s", c->actor);
	if (!c->path && strcmp(c->name, "a") != 0) {
		snprintf(said, PACKS_SAID, "%s is not installed", c->name);
		return -ENOENT;
	}
	if (c->path && strcmp(text, "new") != 0) {
		snprintf(said, PACKS_SAID, "%s: no pack\n%s: at all", c->path, c->path);
		return strcmp(text, "old") ? -EBADMSG : -ESTALE;
	}
	*ret = json_pack("{s:s}", "name", "new");
	return 0;
}

static int doing(void)
{
	return __atomic_load_n(&api_asked.backtest, __ATOMIC_ACQUIRE);
}

static int op_backtest(void *arg, const json_t *request, const struct endpoint_answer *to,
		       char *error)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int r = 0;

	(void)arg;
	(void)request;
	if (doing() == RIG_FAILS) {
		snprintf(error, STORE_ERROR, "there is no rule x");
		return -EINVAL;
	}
	while (!r && doing() == RIG_WAITS) {
		r = to->progress(to->arg, 50);
		nanosleep(&moment, NULL);
	}
	if (r || doing() == RIG_SAYS_NOTHING)
		return r;
	do {
		r = to->line(to->arg, json_pack("{s:s,s:s}", "type", "rule", "rule", "a"));
		r = r ?: to->line(to->arg, json_pack("{s:s,s:s}", "type", "target", "target", "x"));
	} while (!r && doing() == RIG_GOES_ON);
	return r ?: to->line(to->arg, json_pack("{s:s,s:i}", "type", "done", "flows", 7));
}

static void put_pair(void *arg, const char *key, const char *value)
{
	json_object_set_new(arg, key, json_string(value));
}

static int put_rows(const struct answer_sink *k)
{
	static const struct answer_column columns[] = {{"src.ip", AK_TEXT, AU_NONE},
						       {"bytes", AK_U64, AU_BYTES},
						       {"share", AK_F64, AU_SHARE}};
	const struct answer_cell one[] = {{AK_TEXT, {.s = {"192.0.2.1", 9}}},
					  {AK_U64, {.u = 18446744073709551}},
					  {AK_F64, {.f = 0.75}}};
	const struct answer_cell rest[] = {
		{AK_NULL, {}}, {AK_U64, {.u = 7}}, {AK_F64, {.f = 0.25}}};
	int r = k->head(k->arg, columns, 3);

	do
		r = r ?: k->row(k->arg, one, false);
	while (!r && doing() == RIG_GOES_ON);
	return r ?: k->row(k->arg, rest, true);
}

static int put_flows(const struct answer_sink *k)
{
	struct flow_record r = {.family = 4, .bytes = 40};

	flow_set(&r, FF_BYTES);
	return k->flow(k->arg, &r);
}

static int run_query(const struct spec *q, const struct answer_sink *k, char *error)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct answer_end end = {.rows = 2, .source = "flows"};
	int r = 0;

	if (doing() == RIG_FAILS) {
		snprintf(error, STORE_ERROR, "no such thing");
		return -EINVAL;
	}
	while (!r && doing() == RIG_WAITS) {
		r = k->progress(k->progress_arg, 50);
		nanosleep(&moment, NULL);
	}
	if (q->what == SPEC_FLOWS)
		snprintf(end.cursor, sizeof(end.cursor), "12.5");
	r = r ?: q->what == SPEC_FLOWS ? put_flows(k) : put_rows(k);
	return r ?: k->end(k->arg, &end);
}

static int op_query(void *arg, const struct spec *q, const struct answer_sink *k, char *error)
{
	int r;

	(void)arg;
	json_decref(api_asked.spec);
	api_asked.spec = json_object();
	spec_each(q, put_pair, api_asked.spec);
	__atomic_store_n(&api_asked.query, 1, __ATOMIC_RELEASE);
	r = run_query(q, k, error);
	__atomic_store_n(&api_asked.query, r, __ATOMIC_RELEASE);
	return r;
}

static const struct filter_env *op_lists(void *arg)
{
	(void)arg;
	return NULL;
}

static const struct api_ops ops = {.status = op_status,
				   .metrics = op_metrics,
				   .ask = op_ask,
				   .rules = op_rules,
				   .set = op_set,
				   .rule_change = op_rule_change,
				   .packs = op_packs,
				   .pack_change = op_pack_change,
				   .backtest = op_backtest,
				   .query = op_query,
				   .lists = op_lists};

/* ---- life ---- */

static void make_token(enum api_role role)
{
	json_t *q = json_pack("{s:s,s:s,s:s,s:s}", "what", "create", "role", api_roles[role].word,
			      "for", "1h", "name", api_roles[role].word);
	const struct endpoint_peer root = {0, "uid=0 (root)"};
	json_t *lines = api_ask(api_rig, q, &root);
	const char *text = json_string_value(json_object_get(json_array_get(lines, 0), "token"));

	cr_assert(text != NULL);
	snprintf(api_rig_tokens[role], sizeof(api_rig_tokens[role]), "%s", text);
	json_decref(lines);
	json_decref(q);
}

void api_rig_serve(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct api_cfg cfg = {.dir = api_rig_dir, .clients = 16, .ops = &ops};
	socklen_t len = sizeof(a);
	char error[API_ERROR] = "";

	cfg.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(cfg.fd >= 0);
	cr_assert(eq(int, bind(cfg.fd, (const struct sockaddr *)&a, sizeof(a)), 0));
	cr_assert(eq(int, listen(cfg.fd, 64), 0));
	cr_assert(eq(int, getsockname(cfg.fd, (struct sockaddr *)&a, &len), 0));
	port = ntohs(a.sin_port);
	cr_assert(eq(int, api_open(&cfg, error, &api_rig), 0), "%s", error);
}

void api_rig_begin(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	cr_assert(mkdtemp(api_rig_dir) != NULL);
	api_rig_serve();
	for (unsigned int i = 0; i < _ROLE_MAX; i++)
		make_token(i);
}

void api_rig_end(void)
{
	static const char *const names[] = {"control.db", "control.db-wal", "control.db-shm"};
	char path[64];

	api_close(api_rig);
	json_decref(api_asked.request);
	json_decref(api_asked.spec);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", api_rig_dir, names[i]);
		(void)unlink(path); /* SQLite removes some of them itself */
	}
	rmdir(api_rig_dir);
	curl_global_cleanup();
}

/* ---- a client ---- */

static size_t take(char *data, size_t size, size_t n, void *arg)
{
	struct api_reply *r = arg;
	const size_t left = sizeof(r->body) - 1 - r->len, len = size * n < left ? size * n : left;

	memcpy(r->body + r->len, data, len);
	r->len += len;
	r->body[r->len] = 0;
	return size * n;
}

static size_t take_head(char *data, size_t size, size_t n, void *arg)
{
	struct api_reply *r = arg;
	const size_t left = sizeof(r->head) - 1 - r->head_len,
		     len = size * n < left ? size * n : left;

	memcpy(r->head + r->head_len, data, len);
	r->head_len += len;
	r->head[r->head_len] = 0;
	return size * n;
}

const char *api_rig_url(void)
{
	static char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
	return url;
}

/* One request. @head: "Name: value" lines, separated by \n. */
const struct api_reply *api_request(const char *method, const char *path, const char *head,
				    const char *body)
{
	static struct api_reply r;
	struct curl_slist *list = NULL;
	CURL *c = curl_easy_init();
	char url[2048], copy[1024], *rest = copy, *one;

	r = (struct api_reply){};
	snprintf(url, sizeof(url), "%s%s", api_rig_url(), path);
	snprintf(copy, sizeof(copy), "%s", head);
	while ((one = strsep(&rest, "\n")))
		list = curl_slist_append(list, one);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c, CURLOPT_NOBODY, !strcmp(method, "HEAD") ? 1L : 0L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	if (body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &r);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &r);
	cr_assert(eq(int, (int)curl_easy_perform(c), CURLE_OK), "%s %s", method, path);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r.status);
	curl_slist_free_all(list);
	curl_easy_cleanup(c);
	return &r;
}

const struct api_reply *api_as(enum api_role role, const char *method, const char *path,
			       const char *body)
{
	char head[256];

	snprintf(head, sizeof(head), "Authorization: Bearer %s\nContent-Type: application/json",
		 api_rig_tokens[role]);
	return api_request(method, path, head, body);
}

/* A text, a number or the like of an answer that is an object. */
const char *api_member(const struct api_reply *r, const char *key)
{
	static char text[1024];
	json_t *o = json_loadb(r->body, r->len, 0, NULL);
	char *v = json_dumps(json_object_get(o, key), JSON_ENCODE_ANY | JSON_COMPACT);

	snprintf(text, sizeof(text), "%s", v ?: "");
	free(v);
	json_decref(o);
	return text;
}

void api_expect(const struct api_reply *r, const char *key, const char *want)
{
	cr_expect(eq(str, (char *)(uintptr_t)api_member(r, key), (char *)(uintptr_t)want), "%s",
		  r->body);
}
