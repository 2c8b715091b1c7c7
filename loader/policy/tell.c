// SPDX-License-Identifier: Apache-2.0
/*
 * tell.c - see tell.h.
 */
#include "loader/policy/tell.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "common/flow.h"
#include "loader/iface_table.h"
#include "loader/merge.h"
#include "loader/name/name.h"
#include "loader/policy/enforce.h"

#define SLICE 2048u /* places looked at in one go */

static uint64_t wanted(const struct teller *t)
{
	return __atomic_load_n(&t->table->names_wanted, __ATOMIC_RELAXED);
}

static void send_name(struct teller *t, struct enforce_name *n, const char *name, size_t len)
{
	if (!len || len >= sizeof(n->name))
		return;
	for (size_t i = 0; i < len; i++)
		n->name[i] = (uint8_t)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
	memset(n->name + len, 0, sizeof(n->name) - len);
	n->length = (uint16_t)len;
	if (send(t->fd, n, sizeof(*n), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(*n))
		t->told++;
	else
		t->lost++;
}

void tell_name(void *arg, const struct name_result *name)
{
	struct teller *t = arg;
	const unsigned int from = name->dir & 1;
	struct enforce_name n = {.kind = NAME_SNI, .proto = name->key.proto};

	if (!wanted(t) || name->kind != NAME_TLS_CLIENT || !name->tls.sni_len)
		return;
	memcpy(n.addr[0], name->key.addr[from], 16);
	memcpy(n.addr[1], name->key.addr[!from], 16);
	n.port[0] = ntohs(name->key.port[from]);
	n.port[1] = ntohs(name->key.port[!from]);
	send_name(t, &n, (const char *)name->tls.sni, name->tls.sni_len);
}

static void tell_flow(void *arg, uint32_t ref, const struct flow_record *r)
{
	struct teller *t = arg;
	struct enforce_name n = {.proto = r->proto, .port = {r->src_port, r->dst_port}};

	(void)ref;
	memcpy(n.addr[0], r->src_ip, 16);
	memcpy(n.addr[1], r->dst_ip, 16);
	if (flow_has(r, FF_TLS_SNI)) {
		n.kind = NAME_SNI;
		send_name(t, &n, r->tls_sni.s, r->tls_sni.len);
	}
	if (flow_has(r, FF_HTTP_HOST)) {
		n.kind = NAME_HOST;
		send_name(t, &n, r->http_host.s, r->http_host.len);
	}
}

int tell_known(struct teller *t)
{
	const uint64_t now = wanted(t);

	if (!now || now == t->wanted)
		return 0;
	if (merge_live(t->merge, &t->at, SLICE, tell_flow, t))
		return 1;
	t->wanted = now;
	t->at = 0;
	return 0;
}
