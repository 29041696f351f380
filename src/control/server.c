/* SPDX-License-Identifier: PostgreSQL */
/*
 * evhttp with the guards that it lacks (2.1 has no limit of connections, only
 * per-read timeouts, and spins at EMFILE):
 *
 * - the listener is ours: when descriptors run out it is disabled, and
 *   enabled again by the next tick;
 * - every connection is ours as well: we keep a reference to its bufferevent,
 *   so that we can count it, give it an absolute deadline, evict it, and see
 *   that evhttp has let go of it (its callbacks are unset then);
 * - evhttp's callback only notes the request; control_turn() answers it.
 *
 * A connection is ended with shutdown(): evhttp sees the end of file and
 * cleans up by itself.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "control/internal.h"

#define DESCRIPTORS_LOG_MS (60 * 1000)
#define READ_TIMEOUT_S 5
#define ALL_METHODS (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | \
		     EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

static int client_free(struct client *client)
{
	if (client->bev) {
		bufferevent_setcb(client->bev, NULL, NULL, NULL, NULL);
		bufferevent_decref(client->bev);
	}
	return 0;
}

static struct bufferevent *connection_new(struct event_base *base, void *arg)
{
	struct endpoint *endpoint = arg;
	struct client *client = talloc_zero(endpoint->control, struct client);

	client->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!client->bev) {
		talloc_free(client);
		return NULL;
	}
	bufferevent_incref(client->bev);
	talloc_set_destructor(client, client_free);
	client->endpoint = endpoint;
	client->serial = ++endpoint->control->serial;
	client->deadline = clock_monotonic() + REQUEST_DEADLINE_MS;
	client->next = endpoint->clients;
	endpoint->clients = client;
	endpoint->n_clients++;
	return client->bev;
}

static struct client *client_of(struct endpoint *endpoint, struct evhttp_connection *connection)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);

	for (struct client *client = endpoint->clients; client; client = client->next)
		if (client->bev == bev)
			return client;
	return NULL;
}

/* The connection ended before the answer was given. After an error of the network evhttp has already taken the request out
   of the connection and leaves it to us; otherwise it goes with the connection. */
static void connection_closed(struct evhttp_connection *connection, void *arg)
{
	struct client *client = arg;
	struct evhttp_request *http = client->request ? client->request->http : NULL;

	(void)connection;
	client->doomed = true;
	TALLOC_FREE(client->request);
	if (http && !evhttp_request_get_connection(http))
		evhttp_request_free(http);
}

static void request_came(struct evhttp_request *http, void *arg)
{
	struct endpoint *endpoint = arg;
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	struct client *client = client_of(endpoint, connection);
	struct request *request;

	if (!client || client->request || client->answered) {
		evhttp_send_error(http, HTTP_BADREQUEST, NULL);   /* a second request on a connection that is ending */
		return;
	}
	request = talloc_zero(client, struct request);
	request->client = client;
	request->control = endpoint->control;
	request->http = http;
	client->request = request;
	client->deadline = clock_monotonic() + ANSWER_DEADLINE_MS;
	/* It has read: from here on our deadlines count, evhttp's would end an answer that is read slowly, and every stream. */
	bufferevent_set_timeouts(client->bev, NULL, NULL);
	evhttp_connection_set_closecb(connection, connection_closed, client);
}

/* Without this evhttp would be called again at once, for ever, at full speed. The argument is evhttp's, so what happened is
   found out by listen_again(). */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	evconnlistener_disable(listener);
}

/* Once per tick: somebody who waits to be accepted at two ticks in a row waits because accept() fails. */
static void listen_again(struct endpoint *endpoint, msec_t now)
{
	struct pollfd fd = { .fd = evconnlistener_get_fd(endpoint->listener), .events = POLLIN };
	bool waiting = poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);

	if (waiting)
		evconnlistener_enable(endpoint->listener);
	if (waiting && endpoint->waited) {
		endpoint->control->rejected[REJECT_DESCRIPTORS]++;
		if (!endpoint->descriptors_logged || now - endpoint->descriptors_logged >= DESCRIPTORS_LOG_MS) {
			endpoint->descriptors_logged = now;
			log_line(LOG_LEVEL_WARNING, "%s socket: connections wait because no file descriptor is free, trying again; "
				 "raise LimitNOFILE= if it goes on", endpoint->name);
		}
	}
	endpoint->waited = waiting;
}

int endpoint_start(struct control *control, const char *name, bool full, int fd, const char *unlink_path, struct error *err)
{
	struct endpoint *endpoint = &control->endpoints[control->n_endpoints];
	const struct timeval read_timeout = { READ_TIMEOUT_S, 0 };

	endpoint->control = control;
	endpoint->name = name;
	endpoint->full = full;
	endpoint->unlink_path = unlink_path ? talloc_strdup(control, unlink_path) : NULL;
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	endpoint->http = evhttp_new(control->base);
	endpoint->listener = evconnlistener_new(control->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!endpoint->http || !endpoint->listener) {
		error_set(err, "out of memory for the %s socket", name);
		return -ENOMEM;
	}
	evhttp_set_bevcb(endpoint->http, connection_new, endpoint);
	evhttp_set_gencb(endpoint->http, request_came, endpoint);
	evhttp_set_allowed_methods(endpoint->http, ALL_METHODS);     /* so that 405 is ours, with Allow */
	evhttp_set_max_headers_size(endpoint->http, DBR_REQUEST_HEADERS_MAX);
	evhttp_set_max_body_size(endpoint->http, DBR_REQUEST_BODY_MAX);
	evhttp_set_timeout_tv(endpoint->http, &read_timeout);
	evhttp_set_flags(endpoint->http, EVHTTP_SERVER_LINGERING_CLOSE);   /* so that a peer that sends too much can read why */
	evhttp_set_default_content_type(endpoint->http, "text/plain; charset=utf-8");
	evhttp_bind_listener(endpoint->http, endpoint->listener);
	evconnlistener_set_error_cb(endpoint->listener, accept_failed);
	control->n_endpoints++;
	return 0;
}

static bool evhttp_let_go(const struct client *client)
{
	bufferevent_data_cb read_cb, write_cb;
	bufferevent_event_cb event_cb;
	void *arg;

	bufferevent_getcb(client->bev, &read_cb, &write_cb, &event_cb, &arg);
	return !read_cb && !write_cb && !event_cb;
}

static void drop(struct client *client, enum reject_reason reason)
{
	client->endpoint->control->rejected[reason]++;
	client->doomed = true;
	if (client->request)
		evhttp_connection_free(evhttp_request_get_connection(client->request->http));
	else
		shutdown(bufferevent_getfd(client->bev), SHUT_RDWR);
}

static void reap(struct endpoint *endpoint)
{
	for (struct client **p = &endpoint->clients; *p;) {
		struct client *client = *p;

		if (evhttp_let_go(client)) {
			*p = client->next;
			endpoint->n_clients--;
			talloc_free(client);
		} else {
			p = &client->next;
		}
	}
}

/* The one that has waited longest with its request unfinished, of one uid or of all; NULL when all have work here. */
static struct client *oldest_idle(const struct endpoint *endpoint, const uid_t *uid)
{
	struct client *oldest = NULL;

	for (struct client *client = endpoint->clients; client; client = client->next) {
		if (client->doomed || client->request || client->answered || (uid && (!client->known || client->uid != *uid)))
			continue;
		if (!oldest || client->serial < oldest->serial)
			oldest = client;
	}
	return oldest;
}

static unsigned count_clients(const struct endpoint *endpoint, const uid_t *uid)
{
	unsigned n = 0;

	for (const struct client *client = endpoint->clients; client; client = client->next)
		n += !client->doomed && (!uid || (client->known && client->uid == *uid));
	return n;
}

/* A flood must not keep root from asking: the oldest unfinished connections make room for new ones, and one user cannot
   hold them all. */
static void limit_clients(struct endpoint *endpoint, struct client *newest)
{
	struct client *victim;

	if (newest->known && newest->uid != 0 && count_clients(endpoint, &newest->uid) > CLIENTS_PER_UID) {
		victim = oldest_idle(endpoint, &newest->uid);
		drop(victim ? victim : newest, REJECT_UID_LIMIT);
	}
	if (count_clients(endpoint, NULL) > DBR_CLIENTS_MAX) {
		victim = oldest_idle(endpoint, NULL);
		drop(victim ? victim : newest, REJECT_EVICTED);
	}
}

static void meet(struct endpoint *endpoint, struct client *client)
{
	struct ucred peer;

	client->met = true;
	if (peer_credentials(bufferevent_getfd(client->bev), &peer) == 0) {
		client->known = true;
		client->uid = peer.uid;
	}
	limit_clients(endpoint, client);
}

/* Reading is off while an answer is prepared, so the end of the connection must be asked for. */
static bool hung_up(const struct client *client)
{
	struct pollfd fd = { .fd = bufferevent_getfd(client->bev), .events = 0 };

	return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLHUP | POLLERR));
}

static void client_turn(struct client *client, msec_t now)
{
	struct request *request = client->request;

	if (client->doomed)
		return;
	if (request && !request->started) {
		request->started = true;
		request_begin(request, now);
	} else if (request && request->poll) {
		if (hung_up(client))
			drop(client, REJECT_GONE);
		else if (request->streaming &&
			 evbuffer_get_length(bufferevent_get_output(client->bev)) > STREAM_UNREAD_MAX)
			drop(client, REJECT_SLOW_READER);
		else
			request->poll(request, now);
	} else if (now >= client->deadline) {
		drop(client, REJECT_DEADLINE);
	}
}

void endpoint_turn(struct endpoint *endpoint, msec_t now, bool ticked)
{
	if (ticked)
		listen_again(endpoint, now);
	for (struct client *client = endpoint->clients; client; client = client->next)
		if (!client->met)
			meet(endpoint, client);
	for (struct client *client = endpoint->clients; client; client = client->next) {
		client_turn(client, now);
		TALLOC_FREE(client->finished);
	}
	reap(endpoint);
}

void endpoint_stop(struct endpoint *endpoint)
{
	evhttp_free(endpoint->http);          /* the listener and the connections with it */
	reap(endpoint);
	if (endpoint->unlink_path)
		unlink(endpoint->unlink_path);
}
