/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca.h - this collector's own authority for its nodes: a P-256 key and its certificate in nodes/ of the
 * store's directory, the key for its owner alone. It signs certificates of nodes, for clients, and the
 * collector's own, for servers, whose key lives as long as the process. Any thread once it is open.
 * Source: RFC 5280, RFC 2986.
 */
#ifndef WEIR_COLLECTOR_NODES_CA_H
#define WEIR_COLLECTOR_NODES_CA_H

#include <stddef.h>
#include <stdint.h>

#define CA_ERROR 240u
#define CA_HASH	 32u /* SHA-256 */
#define CA_PEM	 4096u

struct ca;

/**
 * ca_open - the one in @dir, made when it is not there
 * @error: CA_ERROR bytes
 *
 * Return: 0, -EIO with @error, -ENOMEM.
 */
int ca_open(const char *dir, char *error, struct ca **ret);
void ca_close(struct ca *ca); /* NULL is fine */

/* SHA-256 of its certificate: what a token names it by. */
void ca_pin(const struct ca *ca, uint8_t ret[CA_HASH]);

/* A server's certificate with the authority's behind it, and its key: PEM, free() them. 0 or -EIO. */
int ca_server(const struct ca *ca, char **ret_chain, char **ret_key);

struct ca_issued {
	char pem[CA_PEM + 1];
	uint8_t key[CA_HASH]; /* of the public key: whose certificate it is */
	int64_t expires_us;
};

struct ca_wish {
	const char *name; /* for whom */
	uint64_t valid_us;
};

/* A certificate as it came with a connection. */
struct ca_der {
	const uint8_t *at;
	size_t len;
};

/**
 * ca_issue - a certificate for the key of a request, which proves that it is the sender's
 * @csr: PEM; of its key only P-256 is taken, its subject and extensions are passed over
 *
 * Return: 0, -EINVAL: no such request, with @error; -EIO.
 */
int ca_issue(const struct ca *ca, const char *csr, const struct ca_wish *wish,
	     struct ca_issued *ret, char *error);

/* Another one for the key of a certificate that ca_check() has passed. 0, -EINVAL, -EIO. */
int ca_issue_again(const struct ca *ca, const struct ca_der *der, const struct ca_wish *wish,
		   struct ca_issued *ret);

/* What a node showed. */
struct ca_node {
	uint8_t key[CA_HASH];
	int64_t from_us, expires_us; /* its dates, which are the caller's to judge */
};

/* Is it of this authority, and a node's? Return: 0, -EACCES. */
int ca_check(const struct ca *ca, const struct ca_der *der, struct ca_node *ret);

#endif
