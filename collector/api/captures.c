// SPDX-License-Identifier: Apache-2.0
/*
 * captures.c - the file of a capture, as it comes from its node.
 */
#include "collector/nodes/captures.h"

#include <microhttpd.h>
#include <string.h>

#include "collector/api/api_int.h"
#include "common/scan.h"

int64_t api_range_from(const char *header)
{
	char digits[20];
	uint64_t n;
	size_t len;

	if (!header || strncmp(header, "bytes=", 6) != 0)
		return -1;
	header += 6;
	len = strspn(header, "0123456789");
	if (!len || len >= sizeof(digits) || strcmp(header + len, "-") != 0)
		return -1;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, header);
	return scan_u64(digits, 0, INT64_MAX, &n) ? -1 : (int64_t)n;
}

int api_run_capture_file(struct api_call *call)
{
	const int64_t from = api_range_from(call->range);
	char actor[TOKEN_NAME + 8];
	const struct fetch_wish w = {.id = json_integer_value(json_object_get(call->values, "id")),
				     .from = from > 0 ? (uint64_t)from : 0,
				     .actor = actor};
	struct fetch_refusal why;
	struct fetch_of of;
	struct fetch *f;

	snprintf(actor, sizeof(actor), "token:%s", call->who.name);
	if (call->api->cfg.ops->fetch(call->api->cfg.arg, &w, &f, &of, &why))
		return api_refuse(call, why.code, why.text);
	call->stream = (struct api_stream){.f = f, .from = w.from, .size = of.size};
	snprintf(call->stream.name, sizeof(call->stream.name), "%s", of.name);
	call->status = from < 0 ? MHD_HTTP_OK : MHD_HTTP_PARTIAL_CONTENT;
	return 0;
}
