// SPDX-License-Identifier: Apache-2.0
#include "collector/curl_handle.h"

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const bool *stop = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static void set_files(CURL *c, const struct curl_handle_cfg *cfg)
{
	if (cfg->ca && *cfg->ca) {
		curl_easy_setopt(c, CURLOPT_CAINFO, cfg->ca);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (cfg->cert && *cfg->cert) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, cfg->cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, cfg->key);
	}
}

CURL *curl_handle(const struct curl_handle_cfg *cfg)
{
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, ""); /* not the environment's */
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)cfg->timeout_ms);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, cfg->stop);
	set_files(c, cfg);
	return c;
}
