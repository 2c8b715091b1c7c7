// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_why.c - `weir why`: which rules speak of an address, a name or a flow, who decided, what became of
 * it, and how to undo it.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/scan.h"
#include "loader/policy/client.h"

enum { OPT_OUTPUT = 1 };

static int cmd_why(int argc, char **argv);

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written"},
	{},
};

const struct cli_command command_why = {
	.name = "why",
	.help = "why something is blocked, or not: rules, who decided, hits, how to undo",
	.operands = "ADDRESS|NAME|FLOW",
	.doc = "FLOW is ADDRESS:PORT-ADDRESS:PORT, IPv6 addresses in brackets, with /tcp or /udp behind it "
	       "if wanted.",
	.options = options,
	.more = client_options,
	.examples = "weir why 198.51.100.7\n"
		    "weir why www.blocked.test\n"
		    "weir why 10.0.0.4:51544-203.0.113.7:443/tcp\n",
	.run = cmd_why,
};

static bool scan_ip(const char *text, uint8_t addr[16])
{
	memset(addr, 0, 16);
	addr[10] = addr[11] = 0xff;
	if (inet_pton(AF_INET, text, addr + 12) == 1)
		return true;
	return inet_pton(AF_INET6, text, addr) == 1;
}

/* "192.0.2.1/24" too. */
static bool scan_addr(char *text, struct policy_request *q)
{
	char *slash = strchr(text, '/');
	uint64_t bits;
	bool v4;

	if (slash)
		*slash = '\0';
	q->bits = 128;
	v4 = strchr(text, '.') && !strchr(text, ':');
	if (scan_ip(text, q->addr[0])) {
		q->what = WHY_ADDR;
		if (!slash)
			return true;
		if (!scan_u64(slash + 1, 0, v4 ? 32 : 128, &bits)) {
			q->bits = (uint8_t)(bits + (v4 ? 96 : 0));
			return true;
		}
	}
	if (slash)
		*slash = '/';
	return false;
}

/* "192.0.2.1:443", "[2001:db8::1]:443" */
static bool scan_end(char *text, uint8_t addr[16], uint16_t *ret_port)
{
	char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || scan_u64(colon + 1, 0, UINT16_MAX, &port))
		return false;
	*colon = '\0';
	*ret_port = (uint16_t)port;
	if (text[0] == '[' && colon > text && colon[-1] == ']') {
		colon[-1] = '\0';
		text++;
	}
	return scan_ip(text, addr);
}

static bool scan_flow(char *text, struct policy_request *q)
{
	char *dash = strchr(text, '-'), *slash = strrchr(text, '/');

	if (!dash)
		return false;
	if (slash) {
		q->proto = !strcmp(slash, "/tcp") ? 6 : !strcmp(slash, "/udp") ? 17 : 0;
		*slash = '\0';
	}
	*dash = '\0';
	q->what = WHY_FLOW;
	return scan_end(text, q->addr[0], &q->port[0]) &&
	       scan_end(dash + 1, q->addr[1], &q->port[1]);
}

static bool scan_name(const char *text, struct policy_request *q)
{
	size_t len = strlen(text);

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len >= sizeof(q->name))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '/' || text[i] == ':')
			return false;
		q->name[i] = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
	}
	q->length = (uint16_t)len;
	q->what = WHY_NAME;
	return true;
}

static bool scan_what(const char *text, struct policy_request *q)
{
	const struct policy_request blank = *q;
	char copy[512];

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	if (scan_addr(copy, q))
		return true;
	*q = blank;
	if (strchr(text, '-') && strchr(text, ':') && scan_flow(copy, q))
		return true;
	*q = blank;
	return scan_name(text, q);
}

static void tell(const struct policy_result *r, const char *what)
{
	if (!r->reply.n)
		printf("no rule speaks of %s\n", what);
	for (uint32_t i = 0; i < r->reply.n; i++) {
		if (i)
			putchar('\n');
		policy_show_story(&r->shown[i], &r->reply, stdout);
	}
	if (r->reply.stopped)
		puts("enforcement is stopped (weir panic --off resumes it)");
	else if (r->reply.n && !r->reply.lease)
		puts("the lease has run out: nothing is enforced");
}

static int cmd_why(int argc, char **argv)
{
	struct cli c = {.cmd = &command_why, .argc = argc, .argv = argv};
	struct client_where where = {};
	struct policy_request q;
	struct policy_result r;
	const char *what = NULL, *format = "table";
	int id, rc;

	policy_request_init(&q, ASK_WHY);
	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND) {
		if (id == OPT_OUTPUT)
			format = c.arg;
		else if (id == CLI_OPERAND && what)
			return cli_error(&c, "'%s': one at a time", c.arg);
		else if (id == CLI_OPERAND)
			what = c.arg;
		else
			client_option(&where, id, c.arg);
	}
	if (id == CLI_STOP)
		return c.status;
	if (!what || !scan_what(what, &q))
		return cli_error(&c,
				 what ? "'%s' is neither an address, nor a name, nor a flow"
				      : "why what? give an address, a name or a flow",
				 what);
	rc = policy_ask(&where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	if (!strcmp(format, "json"))
		policy_show_json(&r, stdout);
	else
		tell(&r, what);
	policy_result_done(&r);
	return EXIT_OK;
}
