/* SPDX-License-Identifier: PostgreSQL */
#include "session/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#define ADDRESSES_MAX 8u

/* Shared by the session and the thread, which may outlive it: the last one to let go frees it. talloc is not for threads. */
struct request {
	atomic_int holders;
	atomic_bool done;
	int fd;
	int status;
	struct addrinfo *found;
	char host[];
};

struct lookup {
	struct request *request;
};

static void request_release(struct request *r)
{
	if (atomic_fetch_sub(&r->holders, 1) != 1)
		return;
	if (r->found)
		freeaddrinfo(r->found);
	close(r->fd);
	free(r);
}

static void *look_up(void *arg)
{
	struct request *r = arg;
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	const uint64_t one = 1;

	r->status = getaddrinfo(r->host, NULL, &hints, &r->found);
	atomic_store(&r->done, true);
	if (write(r->fd, &one, sizeof(one)) < 0)
		r->status = EAI_SYSTEM;        /* cannot happen: the counter is far from its end */
	request_release(r);
	return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct request *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int status;

	if (pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	status = pthread_create(&thread, &attr, look_up, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -status;
}

static int lookup_destroy(struct lookup *l)
{
	request_release(l->request);
	return 0;
}

int lookup_start(void *parent, const char *host, struct lookup **ret)
{
	const size_t len = strlen(host) + 1;
	struct request *r = calloc(1, sizeof(*r) + len);
	struct lookup *l;
	int status;

	if (!r)
		return -ENOMEM;
	memcpy(r->host, host, len);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd < 0) {
		free(r);
		return -errno;
	}
	atomic_init(&r->holders, 2);
	status = start_thread(r);
	if (status < 0) {
		atomic_store(&r->holders, 1);
		request_release(r);
		return status;
	}
	l = talloc_zero(parent, struct lookup);
	l->request = r;
	talloc_set_destructor(l, lookup_destroy);
	*ret = l;
	return 0;
}

int lookup_fd(const struct lookup *l)
{
	return l->request->fd;
}

int lookup_result(struct lookup *l, void *parent, char ***ret, unsigned *n, const char **ret_reason)
{
	struct request *r = l->request;

	*n = 0;
	*ret = NULL;
	if (!atomic_load(&r->done))
		return 1;
	if (r->status != 0) {
		*ret_reason = gai_strerror(r->status);
		return 2;
	}
	*ret = talloc_array(parent, char *, ADDRESSES_MAX);
	for (const struct addrinfo *a = r->found; a && *n < ADDRESSES_MAX; a = a->ai_next) {
		char address[NI_MAXHOST];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST) == 0)
			(*ret)[(*n)++] = talloc_strdup(*ret, address);
	}
	*ret_reason = "the name has no address";
	return *n > 0 ? 0 : 2;
}
