// SPDX-License-Identifier: Apache-2.0
#include "loader/ipc.h"

#include <errno.h>
#include <sys/socket.h>

int ipc_send(int fd, const struct ipc_msg *m)
{
	ssize_t n = send(fd, m, sizeof(*m), MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return n == sizeof(*m) ? 0 : -EIO;
}

int ipc_recv(int fd, struct ipc_msg *ret, int wait)
{
	ssize_t n;

	do
		n = recv(fd, ret, sizeof(*ret), wait ? 0 : MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	return n == sizeof(*ret) && ret->size == sizeof(*ret) ? 1 : -EBADMSG;
}
