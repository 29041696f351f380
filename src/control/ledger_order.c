/* SPDX-License-Identifier: PostgreSQL */
/* Orders on the ledger of a target's migrations: baseline, repair, resolve, run, undo. The answer comes when it is done. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "control/internal.h"
#include "migrate/migration.h"

struct ledger_wait {
	struct engine *engine;
	uint64_t id;
	char *version;
	bool dry_run;
};

/* The request may end before the order does. */
static int forget(struct ledger_wait *wait)
{
	engine_ledger_forget(wait->engine, wait->id);
	return 0;
}

static const char *last_word(const char *path)
{
	return strrchr(path, '/') + 1;
}

static json_t *texts(const struct mending *mending)
{
	json_t *list = json_array();

	for (uint32_t i = 0; mending && i < mending->n; i++)
		json_array_append_new(list, json_text(mending->v[i].text));
	return list;
}

static void poll_order(struct request *request, msec_t now)
{
	struct ledger_wait *wait = request->waiting;
	const struct migration_file *file;
	struct ledger_answer answer;
	json_t *document;

	(void)now;
	if (!engine_ledger_answer(request->control->engine, wait->id, &answer))
		return reply_error(request, 500, NULL, "the order is not known any more");
	if (!answer.over)
		return;
	if (!answer.ok)
		return reply_refusal(request, 409, answer.error);
	file = answer.mending ? answer.mending->file : NULL;
	document = json_document("dbreconcile.ledger_order");
	put_text(document, "action", last_word(request->route->path));
	put_text(document, "target", request->segment);
	put_text(document, "version", wait->version || !file ? wait->version : file->version);
	put_text(document, "actor", request->actor);
	put_bool(document, "dry_run", wait->dry_run);
	json_object_set_new(document, "changes", texts(answer.mending));
	json_object_set_new(document, "lint", file ? document_findings(answer.mending->findings, answer.mending->n_findings, file->script) :
			    json_array());
	put_text(document, "message", wait->dry_run ? "nothing was written" : "done and recorded");
	reply_json(request, 200, document);
}

static int read_verb(const char *name, enum ledger_verb *ret)
{
	for (unsigned i = 0; i < LEDGER_VERBS; i++)
		if (!strcmp(name, ledger_verb_name((enum ledger_verb)i))) {
			*ret = (enum ledger_verb)i;
			return 0;
		}
	return 1;
}

/* Exactly one of the three. */
static int read_resolve(struct request *request, struct ledger_order *order)
{
	const char *from = request_param(request, "from_statement");
	bool applied = request_flag(request, "applied"), not_applied = request_flag(request, "not_applied");
	unsigned long number;
	char *end;

	if (applied + not_applied + (from != NULL) != 1) {
		reply_error(request, 400, "applied=1: all of the file is done; not_applied=1: nothing of it is there; from_statement=N: go on with N",
			    "resolve needs one of applied, not_applied and from_statement");
		return 1;
	}
	order->how = applied ? RESOLVE_APPLIED : not_applied ? RESOLVE_NOT_APPLIED : RESOLVE_FROM;
	if (!from)
		return 0;
	errno = 0;
	number = strtoul(from, &end, 10);
	if (errno || *end || *from < '0' || *from > '9' || number < 1 || number > UINT32_MAX) {
		reply_error(request, 400, "statements are counted from 1", "from_statement is not a number of a statement");
		return 1;
	}
	order->from = (uint32_t)number;
	return 0;
}

static int read_order(struct request *request, struct ledger_order *order)
{
	order->version = request_param(request, "version");
	order->dry_run = request_flag(request, "dry_run");
	if (read_verb(last_word(request->route->path), &order->verb)) {
		reply_error(request, 500, NULL, "not an order on a ledger");
		return 1;
	}
	if (order->verb == LEDGER_UNDO && order->version && !*order->version)
		order->version = NULL;
	if (order->verb != LEDGER_REPAIR && order->verb != LEDGER_UNDO && (!order->version || !*order->version)) {
		reply_error(request, 400, order->verb == LEDGER_BASELINE ? "the version that the database has: what is up to it does not run" :
			    "GET /v1/targets/{target}/migrations lists them", "%s needs version", ledger_verb_name(order->verb));
		return 1;
	}
	if (order->verb == LEDGER_BASELINE && !migration_version_valid(order->version, strlen(order->version))) {
		reply_error(request, 400, "a version is numbers joined by '.' or '_', such as 7, 001 or 1.2", "'%s' is not a version", order->version);
		return 1;
	}
	order->out_of_order = order->verb == LEDGER_RUN && request_flag(request, "out_of_order");
	return order->verb == LEDGER_RESOLVE ? read_resolve(request, order) : 0;
}

void post_ledger_order(struct request *request)
{
	struct ledger_order order = { .verb = LEDGER_REPAIR };
	struct error err = { 0 };
	struct ledger_wait *wait;
	uint64_t id;

	if (!request_target(request) || read_order(request, &order))
		return;
	if (engine_ledger_order(request->control->engine, request->segment, &order, request->actor, &id, &err))
		return reply_refusal(request, 409, &err);
	wait = talloc_zero(request, struct ledger_wait);
	wait->engine = request->control->engine;
	wait->id = id;
	wait->version = order.version ? talloc_strdup(wait, order.version) : NULL;
	wait->dry_run = order.dry_run;
	talloc_set_destructor(wait, forget);
	request->waiting = wait;
	request->poll = poll_order;
}
