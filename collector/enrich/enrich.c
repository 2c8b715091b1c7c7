// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/enrich.h"

#include <errno.h>
#include <stdlib.h>

struct enrich {
	struct store *store;
};

int enrich_new(const struct settings *s, struct store *store, struct enrich **ret)
{
	struct enrich *e = calloc(1, sizeof(*e));

	(void)s;
	if (!e)
		return -ENOMEM;
	e->store = store;
	*ret = e;
	return 0;
}

void enrich_free(struct enrich *e)
{
	free(e);
}

void enrich_reload(struct enrich *e, const struct settings *s)
{
	(void)e;
	(void)s;
}

void enrich_block(struct enrich *e, struct block *b)
{
	(void)e;
	(void)b;
}
