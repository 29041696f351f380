/* SPDX-License-Identifier: PostgreSQL */
/* Commands about the daemon itself: config, reload, ping, version, metrics; and import, which prints what it answers. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include <libsmartcols.h>

#include "config/load.h"
#include "ctl/client.h"

static json_t *error_json(const struct error *e)
{
	return json_pack("{s:s, s:s?, s:o, s:s?}", "message", e->text, "file", *e->file ? e->file : NULL, "line",
			 e->line ? json_integer(e->line) : json_null(), "hint", *e->hint ? e->hint : NULL);
}

static int print_check_json(struct ctl *ctl, const char *file, const struct config_errors *errors)
{
	json_auto_t *doc = json_pack("{s:s, s:s, s:s, s:b, s:[]}", "format", "dbreconcile.config_check", "format_version", DBR_FORMAT_VERSION,
				     "file", file, "valid", errors == NULL, "errors");

	for (uint32_t i = 0; errors && i < errors->n; i++)
		json_array_append_new(json_object_get(doc, "errors"), error_json(&errors->v[i]));
	return ctl_print_json(ctl, doc);
}

static int config_check(struct ctl *ctl)
{
	const char *file = ctl->n_args > 1 ? ctl->args[1] : SYSCONFDIR "/dbreconcile/dbreconciled.conf";
	struct settings *settings = NULL;
	struct config_errors *errors = NULL;
	int r = config_load(ctl->scratch, &(struct config_paths){ .file = file }, &settings, &errors);

	if (r < 0)
		return ctl_complain(DBR_EXIT_INTERNAL, "%s: %s", file, strerror(-r));
	if (ctl->output == OUTPUT_JSON)
		print_check_json(ctl, file, r == 0 ? NULL : errors);
	if (r != 0) {
		config_errors_print(errors, stderr);
		return DBR_EXIT_CONFIG;
	}
	if (ctl->output != OUTPUT_JSON)
		printf("%s: the configuration is valid: %u server%s, %u manifest%s\n", file, settings->n_servers, settings->n_servers == 1 ? "" : "s",
		       settings->n_manifests, settings->n_manifests == 1 ? "" : "s");
	return DBR_EXIT_OK;
}

/* Text of several lines from the daemon; on a terminal nothing in it may move the cursor. */
static void print_text(struct ctl *ctl, const char *text, size_t len)
{
	if (!ctl->out_tty) {
		fwrite(text, 1, len, stdout);
		return;
	}
	for (const char *end = text + len; text < end;) {
		size_t n = strcspn(text, "\n"), indent = strspn(text, "\t");

		printf("%.*s%s\n", (int)indent, text, text_escape(ctl->scratch, text + indent, n - indent, 1024 * 1024));
		text += n + 1;
	}
}

static int config_show(struct ctl *ctl)
{
	json_auto_t *doc = NULL;
	int code = client_get(ctl, DBR_PATH_CONFIG, "config", &doc);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	print_text(ctl, ctl_raw(doc, "text"), strlen(ctl_raw(doc, "text")));
	return DBR_EXIT_OK;
}

int command_config(struct ctl *ctl)
{
	if (strcmp(ctl->args[0], "check") == 0)
		return config_check(ctl);
	if (strcmp(ctl->args[0], "show") == 0 && ctl->n_args == 1)
		return config_show(ctl);
	return ctl_complain(DBR_EXIT_USAGE, "usage: dbreconcilectl config %s", ctl->command->usage);
}

int command_reload(struct ctl *ctl)
{
	json_auto_t *doc = NULL;
	int code = client_post(ctl, DBR_PATH_RELOAD, "reload", &doc);
	json_t *note;
	size_t i;

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	printf("the configuration was reloaded: generation %d, %d targets\n", (int)ctl_int(doc, "generation"), (int)ctl_int(doc, "targets"));
	json_array_foreach(json_object_get(doc, "notes"), i, note)
		ctl_complain(0, "%s", json_string_value(note) ? json_string_value(note) : "");
	return DBR_EXIT_OK;
}

int command_ping(struct ctl *ctl)
{
	msec_t began = clock_monotonic();
	json_auto_t *doc = NULL;
	int code = client_get(ctl, DBR_PATH_PING, "ping", &doc);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	printf("dbreconciled answers on %s (%d ms)\n", ctl_escape(ctl, ctl->socket), (int)(clock_monotonic() - began));
	return DBR_EXIT_OK;
}

static json_t *own_versions(void)
{
	const char *smartcols = NULL;

	scols_get_library_version(&smartcols);
	return json_pack("{s:s, s:{s:s, s:s, s:s}}", "version", PACKAGE_VERSION, "libraries", "libcurl", client_library(), "jansson",
			 jansson_version_str(), "libsmartcols", smartcols ? smartcols : "");
}

static void print_versions(struct ctl *ctl, const char *program, const json_t *versions)
{
	const char *name;
	json_t *version;

	printf("%-14s %s", program, ctl_text(ctl, versions, "version", "?"));
	json_object_foreach(json_object_get(versions, "libraries"), name, version)
		printf(", %s %s", ctl_escape(ctl, name), ctl_text(ctl, json_object_get(versions, "libraries"), name, "?"));
	putchar('\n');
}

int command_version(struct ctl *ctl)
{
	json_auto_t *own = own_versions(), *doc = NULL;
	int code;

	if (ctl->output != OUTPUT_JSON)
		print_versions(ctl, "dbreconcilectl", own);
	code = client_get(ctl, DBR_PATH_VERSION, "version", &doc);
	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON) {
		json_object_set(doc, "client", own);
		return ctl_print_json(ctl, doc);
	}
	print_versions(ctl, "dbreconciled", doc);
	return DBR_EXIT_OK;
}

int command_metrics(struct ctl *ctl)
{
	struct answer *answer = client_send(ctl, &(struct request){ .method = "GET", .path = "/metrics", .metrics = true });
	int code = answer->exit;

	if (code == 0)
		print_text(ctl, answer->body, answer->len);
	else
		answer_complain(answer);
	answer_free(answer);
	return code;
}

int command_import(struct ctl *ctl)
{
	json_auto_t *doc = NULL;
	int code = client_get(ctl, client_path(ctl, DBR_PATH_IMPORT, ctl->args[0], NULL)->s, "import", &doc);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	print_text(ctl, ctl_raw(doc, "manifest"), strlen(ctl_raw(doc, "manifest")));
	return DBR_EXIT_OK;
}
