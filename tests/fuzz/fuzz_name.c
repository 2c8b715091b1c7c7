/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_name.c - elements of the events ring to names: TCP segments at any offset, events that
 * contradict themselves, time that passes.
 *
 * Op: bit 0 direction, bits 1-2 what to do, bits 6-7 flow. A segment (0; its first two bytes are the
 * offset), an event of which everything behind the kind is input (1), a tick (2), a datagram (3).
 *
 * Covers: loader/name/name.c loader/name/name_event.c loader/name/name_table.c loader/name/stream.c
 * Covers: loader/name/dns_text.c
 * Options: -max_len=32768
 */
#include "name_fuzz.h"

static struct names *names;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	names = fuzz_names();
	return 0;
}

/* An event of the kind in the first byte. Flows stay the ones that fuzz_finish() ends. */
static void raw_event(const struct fuzz_record *rec)
{
	static uint8_t b[sizeof(struct ev_payload)];
	struct event_hdr *h = (struct event_hdr *)b;
	size_t len;

	if (rec->len < 2)
		return;
	memset(b, 0, sizeof(b));
	h->kind = rec->data[0] % 9;
	h->reason = rec->data[1] % (_NN_MAX - 1) + 1;
	h->dir = rec->op & 1;
	h->key.vni = rec->op >> 6;
	len = rec->len - 2 < sizeof(b) - sizeof(*h) ? rec->len - 2 : sizeof(b) - sizeof(*h);
	memcpy(b + sizeof(*h), rec->data + 2, len);
	/* the shorter half as cut events, the others at their full size */
	fuzz_feed(names, b, rec->op & 0x20 ? sizeof(*h) + len : sizeof(b));
}

static void one(const struct fuzz_record *rec)
{
	struct ev_payload ev;

	switch (rec->op >> 1 & 3) {
	case 1:
		raw_event(rec);
		return;
	case 2:
		names_tick(names, rec->len ? (uint64_t)rec->data[0] << 4 : 1000000);
		fuzz_drain(names);
		return;
	default:
		break;
	}
	fuzz_event(&ev, rec->op & 2 ? EV_DATAGRAM : EV_SEGMENT, rec->op);
	if (rec->len < 2)
		return;
	ev.offset = (uint32_t)rec->data[0] << 8 | rec->data[1];
	fuzz_payload(names, &ev, rec->data + 2, rec->len - 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record rec;

	while (fuzz_next(&data, &size, &rec))
		one(&rec);
	fuzz_finish(names);
	return 0;
}
