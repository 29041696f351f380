/* SPDX-License-Identifier: PostgreSQL */
/* What is there as a manifest: of the last look, nothing is asked of the server. */
#include "config.h"

#include <talloc.h>

#include "control/internal.h"
#include "reconcile/import.h"

static char *manifest_of(struct request *request, const struct target_view *view, const struct target_view *root)
{
	const struct server_settings *server = settings_server(engine_settings(request->control->engine), view->server);
	const struct database_settings *db;
	bool match;

	if (!server)
		return NULL;
	if (!view->database)
		return import_server(request, root->server_state, &server->guard, view->name);
	db = settings_database(server, view->database, &match);
	return db ? import_database(request, root->server_state, view->database_state, &db->guard, view->name) : NULL;
}

void get_import(struct request *request)
{
	const struct target_view *view = request_target(request), *root;
	json_t *document;
	char *text = NULL;

	if (!view)
		return;
	root = engine_find(request->control->engine, view->server);
	if (root && root->server_state && (!view->database || view->database_state))
		text = manifest_of(request, view, root);
	if (!text)
		return reply_error(request, 409, "dbreconcilectl show says why; dbreconcilectl reconcile --dry-run looks at it",
				   "%s has not been looked at yet", view->name);
	document = json_document("dbreconcile.import");
	put_text(document, "target", view->name);
	put_text(document, "server", view->server);
	put_text(document, "database", view->database);
	put_text(document, "manifest", text);
	reply_json(request, 200, document);
}
