/* SPDX-License-Identifier: PostgreSQL */
/* Answers. Each ends its request, except the streams. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "control/internal.h"

struct code_name {
	int code;
	const char *name;              /* error.code; NULL when not an error */
	const char *phrase;
};

static const struct code_name codes[CODES] = {
	{ 200, NULL, "OK" },
	{ 202, NULL, "Accepted" },
	{ 400, "bad_request", "Bad Request" },
	{ 403, "permission_denied", "Forbidden" },
	{ 404, "not_found", "Not Found" },
	{ 405, "method_not_allowed", "Method Not Allowed" },
	{ 409, "conflict", "Conflict" },
	{ 413, "too_large", "Content Too Large" },
	{ 422, "config_invalid", "Unprocessable Content" },
	{ 501, "not_implemented", "Not Implemented" },
	{ 503, "unavailable", "Service Unavailable" },
	{ 504, "timeout", "Gateway Timeout" },
	{ 500, "internal", "Internal Server Error" },
	{ 0, "internal", "Error" },
};

unsigned code_column(int code)
{
	unsigned i = 0;

	while (i < CODES - 1 && codes[i].code != code)
		i++;
	return i;
}

int code_of_column(unsigned column)
{
	return codes[column].code;
}

static void count(struct request *request, int code)
{
	const struct route *route = request->route;
	unsigned row = route ? (unsigned)(route - routes) : n_routes;

	request->control->counts[row * CODES + code_column(code)]++;
}

static void add_headers(struct request *request, const char *content_type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);

	evhttp_add_header(headers, "Content-Type", content_type);
	evhttp_add_header(headers, "Connection", "close");
	evhttp_add_header(headers, "Cache-Control", "no-store");
}

void reply_buffer(struct request *request, int code, const char *content_type, struct evbuffer *buffer)
{
	struct client *client = request->client;

	count(request, code);
	add_headers(request, content_type);
	client->request = NULL;         /* from here on request->http is evhttp's */
	client->finished = request;     /* its handler still runs */
	client->answered = true;
	client->deadline = clock_monotonic() + ANSWER_DEADLINE_MS;
	evhttp_send_reply(request->http, code, codes[code_column(code)].phrase, buffer);
}

void reply_text(struct request *request, int code, const char *text)
{
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add(buffer, text, strlen(text));
	reply_buffer(request, code, "text/plain; charset=utf-8", buffer);
	evbuffer_free(buffer);
}

static void release(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	free(arg);
}

static struct evbuffer *dump(json_t *document)
{
	struct evbuffer *buffer = evbuffer_new();
	char *text = json_dumps(document, DOCUMENT_FLAGS);

	if (text)
		evbuffer_add_reference(buffer, text, strlen(text), release, text);
	evbuffer_add(buffer, "\n", 1);
	return buffer;
}

void reply_json(struct request *request, int code, json_t *document)
{
	struct evbuffer *buffer = dump(document);

	json_decref(document);
	reply_buffer(request, code, "application/json", buffer);
	evbuffer_free(buffer);
}

static json_t *one_error(int code, const char *message, const char *hint, const char *file, unsigned line, const char *sqlstate)
{
	json_t *object = json_object();

	if (code)
		put_text(object, "code", codes[code_column(code)].name);
	put_text(object, "message", message);
	put_text(object, "hint", hint && *hint ? hint : NULL);
	if (file && *file) {
		put_text(object, "file", file);
		if (line)
			put_int(object, "line", line);
	}
	if (sqlstate && *sqlstate)
		put_text(object, "sqlstate", sqlstate);
	return object;
}

static json_t *error_document(json_t *error)
{
	json_t *document = json_document("dbreconcile.error");

	json_object_set_new(document, "error", error);
	return document;
}

void reply_error(struct request *request, int code, const char *hint, const char *format, ...)
{
	char message[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	reply_json(request, code, error_document(one_error(code, message, hint, NULL, 0, NULL)));
}

void reply_refusal(struct request *request, int code, const struct error *err)
{
	json_t *object = one_error(code, error_is_set(err) ? err->text : "refused", err->hint, err->file, err->line, err->sqlstate);

	if (err->file[0] && err->column)
		put_int(object, "column", err->column);
	reply_json(request, code, error_document(object));
}

void reply_config_errors(struct request *request, const struct config_errors *errors)
{
	json_t *list = json_array(), *document;
	char message[128];

	for (uint32_t i = 0; i < errors->n; i++) {
		const struct error *e = &errors->v[i];

		json_array_append_new(list, one_error(0, e->text, e->hint, e->file, e->line, NULL));
	}
	snprintf(message, sizeof(message), "the new configuration has %s%u error%s; the old one runs on", errors->more ? "more than " : "",
		 errors->n, errors->n == 1 ? "" : "s");
	document = error_document(one_error(422, message, NULL, errors->n ? errors->v[0].file : NULL,
					    errors->n ? errors->v[0].line : 0, NULL));
	json_object_set_new(document, "errors", list);
	reply_json(request, 422, document);
}

const struct target_view *request_target(struct request *request)
{
	const struct target_view *view = engine_find(request->control->engine, request->segment);
	char *safe;

	if (view)
		return view;
	safe = text_escape(request, request->segment, strlen(request->segment), 200);
	reply_error(request, 404, "`dbreconcilectl status` (GET /v1/targets) lists them; a target is \"server\" or \"server/database\"",
		    "there is no target '%s'", safe);
	return NULL;
}

void stream_begin(struct request *request, const char *content_type)
{
	count(request, 200);
	add_headers(request, content_type);
	request->streaming = true;
	evhttp_send_reply_start(request->http, 200, "OK");
}

static void send_chunk(struct request *request, struct evbuffer *buffer)
{
	evhttp_send_reply_chunk(request->http, buffer);
	evbuffer_free(buffer);
}

void stream_line(struct request *request, json_t *document)
{
	send_chunk(request, dump(document));
	json_decref(document);
}

void stream_keep_alive(struct request *request)
{
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add(buffer, "\n", 1);
	send_chunk(request, buffer);
}
