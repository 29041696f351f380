/* SPDX-License-Identifier: PostgreSQL */
/* About the daemon itself: configuration, version, ping, health. */
#include "config.h"

#include <event2/event.h>
#include <stdio.h>
#include <talloc.h>
#include <unistd.h>

#include "base/text.h"
#include "control/internal.h"

#define READY_GRACE_MS (30 * 1000)

void get_config(struct request *request)
{
	const struct control *control = request->control;
	const struct settings *settings = engine_settings(control->engine);
	struct engine_numbers numbers;
	json_t *document = json_document("dbreconcile.config");

	engine_numbers(control->engine, &numbers);
	put_text(document, "file", settings->file ? settings->file : "");
	put_int(document, "generation", (int64_t)settings->generation);
	put_time(document, "loaded_at", numbers.accepted_ms);
	put_bool(document, "last_reload_ok", numbers.last_reload_ok);
	put_text(document, "text", config_print(request, settings));
	reply_json(request, 200, document);
}

void get_ping(struct request *request)
{
	json_t *document = json_document("dbreconcile.ping");

	put_text(document, "answer", "pong");
	put_time(document, "now", clock_wall());
	json_object_set_new(document, "uptime_seconds", json_seconds(request->control->now - request->control->started));
	reply_json(request, 200, document);
}

void get_version(struct request *request)
{
	json_t *document = json_document("dbreconcile.version"), *libraries = json_object();

	put_text(document, "version", PACKAGE_VERSION);
	put_text(document, "api", "v1");
	put_int(document, "pid", getpid());
	put_time(document, "started_at", request->control->started_wall);
	put_text(libraries, "libpq", session_library_version());
	put_text(libraries, "libevent", event_get_version());
	put_text(libraries, "jansson", jansson_version_str());
	json_object_set_new(document, "libraries", libraries);
	reply_json(request, 200, document);
}

/* That this is answered is the whole proof: the loop turns. It never depends on a database. */
void get_livez(struct request *request)
{
	reply_text(request, 200, request_flag(request, "verbose") ? "[+] loop ok\nok\n" : "ok\n");
}

static msec_t longest_interval(const struct settings *settings)
{
	msec_t longest = settings->interval;

	for (uint32_t i = 0; i < settings->n_servers; i++)
		if (settings->servers[i].interval > longest)
			longest = settings->servers[i].interval;
	return longest;
}

void get_readyz(struct request *request)
{
	const struct settings *settings = engine_settings(request->control->engine);
	msec_t allowed = 2 * longest_interval(settings) + READY_GRACE_MS;
	bool recent, ready, verbose = request_flag(request, "verbose");
	struct engine_numbers numbers;
	struct text *text = text_new(request);

	engine_numbers(request->control->engine, &numbers);
	recent = numbers.full_cycle_done && (numbers.last_cycle_ms == 0 || clock_wall() - numbers.last_cycle_ms <= allowed);
	ready = settings->generation > 0 && recent;
	if (verbose) {
		text_addf(text, "[%c] configuration loaded\n", settings->generation > 0 ? '+' : '-');
		text_addf(text, "[%c] every target was tried%s\n", recent ? '+' : '-',
			  numbers.full_cycle_done && !recent ? ", but not recently" : "");
	}
	text_add(text, ready ? "ok\n" : "not ready\n");
	reply_text(request, ready ? 200 : 503, text->s);
}
