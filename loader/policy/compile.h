/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - policies of files: text compiled, images taken as they are; and the commands that write
 * them. Says what is wrong on standard error, as FILE:LINE:COL.
 */
#ifndef WEIR_LOADER_POLICY_COMPILE_H
#define WEIR_LOADER_POLICY_COMPILE_H

#include "loader/policy/client.h"

extern const struct cli_command command_policy_compile;
extern const struct cli_command command_policy_sign;
extern const struct cli_command command_policy_keygen;
extern const struct cli_command command_policy_follow;

/* Return: 0 with *ret to be freed, or enum exit_code. */
int policy_load(const char *path, uint8_t **ret, size_t *ret_len);

#endif
