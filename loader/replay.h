/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - `weir replay`: a capture through the same programs as live packets, in capture time.
 */
#ifndef WEIR_LOADER_REPLAY_H
#define WEIR_LOADER_REPLAY_H

/**
 * cmd_replay - the command
 * @argv: argv[0] is the command's name
 *
 * Return: exit status: 0; 1 failed; 2 usage; 3 not permitted; 6 the capture is damaged: what is
 *         before the damage has been replayed.
 */
int cmd_replay(int argc, char **argv);

#endif
