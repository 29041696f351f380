/* SPDX-License-Identifier: PostgreSQL */
/* From a complete request to its handler: route, authority, arguments, in this order. */
#include "config.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "control/internal.h"

static const char *method_name(enum evhttp_cmd_type command)
{
	switch (command) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	default:
		return "";
	}
}

/* The metrics sockets serve a handful of rows; for them the others do not exist. */
static const struct route *find(struct request *request, const char *method, const char *path, const char **allow,
				struct error *err)
{
	const struct route *route = route_find(routes, n_routes, method, path, request, &request->segment, allow, err);

	if (request->client->endpoint->full || (route && route->on_metrics))
		return route;
	if (route || strncmp(path, "/v1/", 4) == 0)
		*allow = NULL;
	return NULL;
}

static bool route_request(struct request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *allow = NULL;
	struct error err = { 0 };

	request->route = find(request, method_name(evhttp_request_get_command(request->http)), path ? path : "", &allow, &err);
	if (request->route)
		return true;
	if (error_is_set(&err)) {
		reply_refusal(request, 400, &err);
	} else if (allow) {
		evhttp_add_header(evhttp_request_get_output_headers(request->http), "Allow", allow);
		reply_error(request, 405, NULL, "this path knows %s only", allow);
	} else {
		reply_error(request, 404, request->client->endpoint->full ? "GET /v1/targets lists the targets" :
			    "this socket serves /metrics, /livez and /readyz", "there is no such path");
	}
	return false;
}

static bool allow_request(struct request *request)
{
	struct ucred peer;
	int fd;

	if (!request->route->writes)
		return true;
	fd = bufferevent_getfd(request->client->bev);
	if (peer_credentials(fd, &peer) < 0) {
		reply_error(request, 403, NULL, "the kernel does not say who asks");
		return false;
	}
	request->actor = peer_actor(request, &peer);
	if (peer_may_write(request->control, fd, &peer))
		return true;
	log_line(LOG_LEVEL_WARNING, "%s refused for %s", request->route->verb, request->actor);
	reply_error(request, 403, "ask as root, as the daemon's user, or as a member of a group in control.admin_groups",
		    "%s may look, but not change anything", request->actor);
	return false;
}

static bool starts_with_brace(const char *body, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(" \t\r\n", body[i]))
			return body[i] == '{';
	return false;
}

static int read_body(struct request *request, struct error *err)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request->http);
	size_t len = evbuffer_get_length(input);
	char *body;

	if (len == 0 || !request->route->writes)
		return 0;
	body = talloc_array(request, char, len + 1);
	evbuffer_copyout(input, body, len);
	body[len] = '\0';
	if (starts_with_brace(body, len))
		return params_parse_json(request, body, len, &request->params, &request->n_params, err);
	return params_parse_query(request, body, &request->params, &request->n_params, err);
}

static bool read_arguments(struct request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->http);
	struct error err = { 0 };
	int r = 0;

	if (!request->route->params)
		return true;            /* scrapers add what they like */
	r = params_parse_query(request, evhttp_uri_get_query(uri), &request->params, &request->n_params, &err);
	if (r == 0)
		r = read_body(request, &err);
	if (r == 0)
		r = params_check(request->route->params, request->params, request->n_params, &err);
	if (r != 0)
		reply_refusal(request, 400, &err);
	return r == 0;
}

void request_begin(struct request *request, msec_t now)
{
	(void)now;
	request->head = evhttp_request_get_command(request->http) == EVHTTP_REQ_HEAD;
	if (route_request(request) && allow_request(request) && read_arguments(request))
		request->route->handler(request);
}
