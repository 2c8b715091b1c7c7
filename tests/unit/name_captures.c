/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_captures.c - UDP payloads of the public captures, as events of the ring.
 */
#include "name_captures.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loader/capture_file.h"
#include "loader/linktype.h"

#define LINE_MAX_BYTES (8u << 20)

const char *captures_folder(void)
{
	const char *dir = getenv("WEIR_PCAPS");
	static char facts[4096];

	if (!dir)
		dir = "../shared/pcaps";
	snprintf(facts, sizeof(facts), "%s/facts.jsonl", dir);
	return access(facts, R_OK) == 0 ? dir : NULL;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Addresses and UDP header of a plain IP packet. Return: offset of the UDP header, 0 if none. */
static uint32_t find_udp(const struct ether_frame *e, uint8_t src[16], uint8_t dst[16])
{
	const uint8_t *p = e->data;
	uint32_t o = 12;

	while (o + 18 <= e->len && be16(p + o) == 0x8100)
		o += 4;
	if (o + 42 > e->len && be16(p + o) == 0x86dd)
		return 0;
	o += 2;
	if (be16(p + o - 2) == 0x86dd) {
		memcpy(src, p + o + 8, 16);
		memcpy(dst, p + o + 24, 16);
		return p[o + 6] == 17 && o + 48 <= e->len ? o + 40 : 0;
	}
	if (be16(p + o - 2) != 0x0800 || o + 28 > e->len || p[o + 9] != 17 ||
	    (be16(p + o + 6) & 0x3fff))
		return 0;
	memcpy(src + 12, p + o + 12, 4);
	memcpy(dst + 12, p + o + 16, 4);
	o += (p[o] & 15u) * 4;
	return o + 8 <= e->len ? o : 0;
}

static int make_event(const struct ether_frame *e, uint64_t time_ns, struct ev_payload *ev)
{
	uint8_t src[16] = {0}, dst[16] = {0};
	uint32_t udp = find_udp(e, src, dst), len, have;
	const uint8_t *p = e->data + udp;
	int order;

	if (udp == 0 || be16(p + 4) < 8)
		return 0;
	memset(ev, 0, sizeof(*ev));
	len = be16(p + 4) - 8;
	have = e->len - udp - 8 < len ? e->len - udp - 8 : len;
	order = memcmp(src, dst, 16);
	if (order == 0)
		order = memcmp(p, p + 2, 2);
	ev->h.kind = EV_DATAGRAM;
	ev->h.dir = order > 0;
	ev->h.time_ns = time_ns;
	memcpy(ev->h.key.addr[ev->h.dir], src, 16);
	memcpy(ev->h.key.addr[!ev->h.dir], dst, 16);
	memcpy(&ev->h.key.port[ev->h.dir], p, 2);
	memcpy(&ev->h.key.port[!ev->h.dir], p + 2, 2);
	ev->h.key.proto = 17;
	ev->len = (uint16_t)(have < WEIR_DATAGRAM_MAX ? have : WEIR_DATAGRAM_MAX);
	ev->orig_len = (uint16_t)len;
	memcpy(ev->data, p + 8, ev->len);
	return 1;
}

int captures_read(const char *file, struct captured *ret)
{
	static uint8_t buf[LINK_BUFFER_BYTES];
	struct capture_frame f;
	struct ether_frame e;
	struct capture *c;
	char path[4096];
	int r;

	ret->n = 0;
	snprintf(path, sizeof(path), "%s/%s", captures_folder(), file);
	r = capture_open(path, &c);
	if (r < 0)
		return r;
	while (ret->n < CAPTURE_EVENTS_MAX && capture_next(c, &f) == 1) {
		if (linktype_to_ether(&f, buf, &e) == LINK_OK)
			ret->n += (size_t)make_event(&e, f.time_ns, &ret->ev[ret->n]);
	}
	capture_free(c);
	return 0;
}

const char *captures_next_fact(void)
{
	static FILE *f;
	static char *line;
	char path[4096];

	if (!f) {
		snprintf(path, sizeof(path), "%s/facts.jsonl", captures_folder());
		f = fopen(path, "re");
		line = malloc(LINE_MAX_BYTES);
	}
	if (f && line && fgets(line, LINE_MAX_BYTES, f))
		return line;
	if (f)
		fclose(f);
	free(line);
	f = NULL;
	line = NULL;
	return NULL;
}

const char *fact_string(const char *line, const char *key, unsigned int i, char *buf, size_t cap)
{
	char quoted[64];
	const char *p, *end;
	size_t n;

	snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
	p = strstr(line, quoted);
	if (!p)
		return NULL;
	p += strlen(quoted);
	p += *p == '[';
	for (;; i--) {
		if (*p != '"')
			return NULL;
		end = strchr(p + 1, '"');
		if (!end || i == 0)
			break;
		p = strncmp(end + 1, ", ", 2) == 0 ? end + 3 : end + 1;
	}
	n = end ? (size_t)(end - p - 1) : cap;
	if (n >= cap)
		return NULL;
	memcpy(buf, p + 1, n);
	buf[n] = '\0';
	return buf;
}
