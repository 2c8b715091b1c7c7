/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint_int.h - what the parts of the endpoint share: clients, each with its thread.
 */
#ifndef WEIR_COLLECTOR_ENDPOINT_ENDPOINT_INT_H
#define WEIR_COLLECTOR_ENDPOINT_ENDPOINT_INT_H

#include <pthread.h>
#include <stdbool.h>

#include "collector/endpoint/endpoint.h"

struct endpoint_client {
	struct endpoint *e;
	int fd;
	bool http;
	pthread_mutex_t write_lock; /* answers and progress come from two threads */
	struct endpoint_client *next;
};

struct endpoint {
	struct endpoint_cfg cfg;
	char *dir;	     /* cfg.dir */
	uint32_t timeout_ms; /* atomic */
	int wake;
	pthread_t thread;
	pthread_mutex_t lock; /* clients */
	pthread_cond_t all_gone;
	struct endpoint_client *clients;
	uint32_t n_clients;
	struct endpoint_stats stats; /* atomic */
};

/* Until the client goes. Its thread. */
void endpoint_serve(struct endpoint_client *c);
void endpoint_http(struct endpoint_client *c);

/* All of it. Return: 0, -EPIPE. Any thread. */
int endpoint_send(struct endpoint_client *c, const char *s, size_t len);
/* A line. Return: 0, -EPIPE, -ENOMEM. */
int endpoint_send_object(struct endpoint_client *c, const json_t *o);
/* A line, and a descriptor with it. Return: 0, -EPIPE. */
int endpoint_send_fd(struct endpoint_client *c, const char *line, int fd);

/* serve_fetch.c: the octets of a capture. Return: as endpoint_send_object(). */
int endpoint_fetch(struct endpoint_client *c, const json_t *request,
		   const struct endpoint_peer *peer);

#endif
