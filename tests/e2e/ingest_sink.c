// SPDX-License-Identifier: Apache-2.0
/*
 * ingest_sink.c - receives as weir-collector does, keeps nothing but sums, and acknowledges what it
 * added up. usage: ingest_sink [-u PORT] [-t PORT] [-s PORT -c CERT -k KEY [-a CA]] [-f STATE] [-n THREADS]
 *        [-b BLOCKS] [-r ROWS] [-x US] [-B OCTETS]
 * Listens on 127.0.0.1; prints "ready", and at SIGTERM or SIGINT one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "collector/block.h"
#include "collector/ingest/ingest.h"
#include "common/scan.h"

#define BLOCKS 64u

static struct ingest *ingest;
static struct block_pool *pool;
static uint64_t rows, packets, bytes, names, marks, taken;
static uint64_t rows_wanted;
static uint64_t wait_us; /* per block: a slow store */
static double sums_s;	 /* CPU time of adding up */

static uint64_t column_sum(const struct block *b, enum block_column c)
{
	uint64_t sum = 0;

	if (!block_is_used(b, c))
		return 0;
	for (uint32_t i = 0; i < b->rows; i++)
		if (block_is_valid(b, c, i))
			sum += BLOCK_COLUMN(b, uint64_t, c)[i];
	return sum;
}

static uint64_t column_count(const struct block *b, enum block_column c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; block_is_used(b, c) && i < b->rows; i++)
		n += block_is_valid(b, c, i);
	return n;
}

static void show(const struct block *b)
{
	for (uint32_t i = 0; i < b->rows && rows_wanted; i++, rows_wanted--) {
		for (unsigned int c = 0; c < _BC_MAX; c++) {
			if (!block_is_used(b, c) || !block_is_valid(b, c, i))
				continue;
			printf("%s=", block_columns[c].name);
			if (block_columns[c].type == BT_STR) {
				const struct block_str *s =
					&BLOCK_COLUMN(b, struct block_str, c)[i];

				printf("%.*s ", (int)s->len, b->text + s->at);
				continue;
			}
			switch (block_columns[c].size) {
			case 1:
				printf("%u ", BLOCK_COLUMN(b, uint8_t, c)[i]);
				break;
			case 2:
				printf("%u ", BLOCK_COLUMN(b, uint16_t, c)[i]);
				break;
			case 4:
				printf("%u ", BLOCK_COLUMN(b, uint32_t, c)[i]);
				break;
			default:
				printf("%llu ",
				       (unsigned long long)BLOCK_COLUMN(b, uint64_t, c)[i]);
			}
		}
		printf("\n");
	}
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *writer(void *arg)
{
	struct block *b;

	(void)arg;
	while ((b = block_receive(pool, 1000)) || !block_closed(pool)) {
		if (!b)
			continue;
		rows += b->rows;
		packets += column_sum(b, BC_OUT_PACKETS) + column_sum(b, BC_IN_PACKETS);
		bytes += column_sum(b, BC_OUT_BYTES) + column_sum(b, BC_IN_BYTES);
		names += column_count(b, BC_TLS_SNI);
		show(b);
		if (wait_us)
			clock_nanosleep(CLOCK_MONOTONIC, 0,
					&(struct timespec){(time_t)(wait_us / 1000000),
							   (long)(wait_us % 1000000 * 1000)},
					NULL);
		for (uint32_t i = 0; i < b->marks_n; i++) {
			marks++;
			taken += b->marks[i].rows;
			ingest_committed(ingest, b->marks[i].stream, b->marks[i].epoch,
					 b->marks[i].to);
		}
		block_put(pool, b);
		sums_s = cpu_s();
	}
	return NULL;
}

static void print_counts(const uint64_t *count)
{
	for (unsigned int i = 0; i < _IC_MAX; i++)
		if (count[i])
			printf(",\"%s\":%llu", ingest_counts[i].name, (unsigned long long)count[i]);
}

static void report(const struct ingest_cfg *of)
{
	struct ingest_listener_stats l = {};
	uint64_t strays[_IC_MAX], drops = 0;
	struct block_pool_stats s;
	struct rusage u;

	for (uint32_t i = 0; i < of->listeners_n; i++) {
		ingest_listener_stats(ingest, i, &l);
		drops += l.kernel_drops;
	}
	getrusage(RUSAGE_SELF, &u);
	block_pool_stats(pool, &s);
	printf("{\"rows\":%llu,\"packets\":%llu,\"bytes\":%llu,\"names\":%llu,\"marked\":%llu,"
	       "\"kernel_drops\":%llu,\"refused\":%llu,\"user_s\":%.3f,\"system_s\":%.3f,"
	       "\"sums_s\":%.3f,",
	       (unsigned long long)rows, (unsigned long long)packets, (unsigned long long)bytes,
	       (unsigned long long)names, (unsigned long long)taken, (unsigned long long)drops,
	       (unsigned long long)s.refused,
	       (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6,
	       (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6, sums_s);
	ingest_strays(ingest, strays);
	printf("\"strays\":{\"\":0");
	print_counts(strays);
	printf("},\"exporters\":[");
	for (struct exporter *e = NULL, *first = NULL; (e = ingest_exporters(ingest, e));
	     first = first ? first : e) {
		char name[EXPORTER_NAME], address[INET6_ADDRSTRLEN];

		ingest_exporter_name(ingest, e, name);
		inet_ntop(AF_INET6, e->address, address, sizeof(address));
		printf("%s{\"address\":\"%s\",\"domain\":%u,\"name\":\"%s\",\"sampling\":%u,"
		       "\"gaps\":%llu,\"restarts\":%llu,\"formats\":%u",
		       first ? "," : "", address, e->domain, name, e->rate,
		       (unsigned long long)e->gaps, (unsigned long long)e->restarts, e->formats);
		print_counts(e->count);
		printf("}");
	}
	printf("]}\n");
}

static void add(struct ingest_listener *l, uint32_t *n, enum ingest_transport t, const char *port)
{
	struct sockaddr_in *a = (struct sockaddr_in *)&l[*n].address;
	uint64_t v;

	if (scan_u64(port, 0, UINT16_MAX, &v)) {
		fprintf(stderr, "ingest_sink: port '%s'\n", port);
		exit(2);
	}
	l[*n].transport = t;
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a->sin_port = htons((uint16_t)v);
	++*n;
}

static uint64_t number(const char *s)
{
	uint64_t v;

	if (scan_u64(s, 0, UINT32_MAX, &v)) {
		fprintf(stderr, "ingest_sink: number '%s'\n", s);
		exit(2);
	}
	return v;
}

static struct ingest_listener listeners[8];
static struct ingest_cfg cfg = {.listeners = listeners, .flush_ms = 200};
static uint32_t blocks = BLOCKS;

static bool take_option(int o, const char *value)
{
	static struct ingest_listener *tls;

	switch (o) {
	case 'u':
	case 't':
	case 's':
		tls = &listeners[cfg.listeners_n];
		add(listeners, &cfg.listeners_n,
		    o == 'u'   ? INGEST_UDP
		    : o == 't' ? INGEST_TCP
			       : INGEST_TLS,
		    value);
		return true;
	case 'd':
		listeners[cfg.listeners_n].transport = INGEST_DIR;
		listeners[cfg.listeners_n++].dir = value;
		return true;
	case 'c':
		tls->cert = value;
		return true;
	case 'k':
		tls->key = value;
		return true;
	case 'a':
		tls->ca = value;
		return true;
	case 'f':
		cfg.state = value;
		return true;
	case 'n':
		cfg.threads = (uint32_t)number(value);
		return true;
	case 'b':
		blocks = (uint32_t)number(value);
		return true;
	case 'r':
		rows_wanted = number(value);
		return true;
	case 'B':
		cfg.rcvbuf = (uint32_t)number(value);
		return true;
	case 'x':
		wait_us = number(value);
		return true;
	}
	return false;
}

static int run(const sigset_t *end)
{
	char error[INGEST_ERROR];
	pthread_t thread;
	int sig;

	if (ingest_new(&cfg, error, &ingest)) {
		fprintf(stderr, "ingest_sink: %s\n", error);
		return 1;
	}
	if (pthread_create(&thread, NULL, writer, NULL) || ingest_start(ingest))
		return 1;
	printf("ready");
	for (uint32_t i = 0; i < cfg.listeners_n; i++)
		printf(" %u", ingest_port(ingest, i));
	printf("\n");
	fflush(stdout);
	sigwait(end, &sig);
	ingest_stop(ingest);
	block_close(pool);
	pthread_join(thread, NULL);
	report(&cfg);
	ingest_free(ingest);
	return 0;
}

int main(int argc, char **argv)
{
	sigset_t set;
	int o, r;

	while ((o = getopt(argc, argv, "u:t:s:c:k:a:f:n:b:r:d:x:B:")) != -1)
		if (!take_option(o, optarg))
			return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	cfg.pool = pool = block_pool_new(blocks);
	r = run(&set);
	block_pool_free(pool);
	return r;
}
