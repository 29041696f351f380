/* SPDX-License-Identifier: PostgreSQL */
/*
 * One message of the protocol may be a gigabyte long, and libpq collects all of it before we see any. The kernel knows how
 * much has come: without a result for too long, it is too much. On Unix sockets it does not count; there the server is as
 * local as we are. (libpq reads for as long as the socket has something, so a peer on the same machine that is faster than we
 * are can get past the limit within one turn; the length field then ends it at 1 GiB.)
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "session/private.h"

static uint64_t received(int fd)
{
	struct tcp_info info = { .tcpi_bytes_received = 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	return info.tcpi_bytes_received;
}

void session_flood_begin(struct session *s)
{
	s->received = received(s->fd);
}

bool session_is_flooded(const struct session *s)
{
	const uint64_t now = received(s->fd);

	return now > s->received && now - s->received > MESSAGE_BYTES_MAX;
}
