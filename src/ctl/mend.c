/* SPDX-License-Identifier: PostgreSQL */
#include "ctl/mend.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/plan.h"

static const struct verb {
	const char *name;
	enum { VERSION_NONE, VERSION_NEEDED, VERSION_OPTIONAL } version;
	const char *options;           /* those that it knows, each with blanks around */
	const char *format;            /* of the answer */
} verbs[] = {
	{ "baseline", VERSION_NEEDED, " dry-run ", "ledger_order" },
	{ "repair", VERSION_NONE, " dry-run ", "ledger_order" },
	{ "resolve", VERSION_NEEDED, " dry-run applied not-applied from-statement ", "ledger_order" },
	{ "run", VERSION_NEEDED, " dry-run out-of-order ", "ledger_order" },
	{ "undo", VERSION_OPTIONAL, " dry-run ", "ledger_order" },
	{ "release", VERSION_NONE, "", "ack" },
	{ "accept-schema", VERSION_NONE, "", "ack" },
};

static const struct verb *find(const char *word)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (!strcmp(verbs[i].name, word))
			return &verbs[i];
	return NULL;
}

bool mend_is_order(struct ctl *ctl)
{
	char *word = ctl->args[0];

	if (ctl->n_args < 2)
		return false;
	if (find(ctl->args[1]))
		return true;
	if (!find(word))
		return false;
	ctl->args[0] = ctl->args[1];
	ctl->args[1] = word;
	return true;
}

static int check(struct ctl *ctl, const struct verb *verb)
{
	int ways = !!ctl_option(ctl, "applied") + !!ctl_option(ctl, "not-applied") + !!ctl_option(ctl, "from-statement");

	for (const struct ctl_option *o = ctl->command->options; o->name; o++) {
		char *known = talloc_asprintf(ctl->scratch, " %s ", o->name);

		if (ctl_option(ctl, o->name) && !strstr(verb->options, known))
			return ctl_complain(DBR_EXIT_USAGE, "%s knows no --%s", verb->name, o->name);
	}
	if (ctl->watching)
		return ctl_complain(DBR_EXIT_USAGE, "--watch would give the order again and again");
	if (verb->version != VERSION_OPTIONAL && (verb->version == VERSION_NEEDED) != (ctl->n_args == 3))
		return ctl_complain(DBR_EXIT_USAGE, verb->version == VERSION_NEEDED ? "%s needs the version: dbreconcilectl migrations TARGET %s VERSION" :
				    "%s takes no version", verb->name, verb->name);
	if (!strcmp(verb->name, "resolve") && ways != 1)
		return ctl_complain(DBR_EXIT_USAGE, "resolve needs one of --applied, --not-applied and --from-statement=N");
	return 0;
}

/* from-statement -> from_statement */
static const char *parameter(struct ctl *ctl, const char *option)
{
	char *name = talloc_strdup(ctl->scratch, option);

	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	return name;
}

static int print(struct ctl *ctl, const json_t *doc)
{
	const char *mark = json_is_true(json_object_get(doc, "dry_run")) ? "would " : "";
	json_t *text;
	size_t i;

	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	json_array_foreach(json_object_get(doc, "changes"), i, text) {
		if (ctl->output == OUTPUT_TSV)
			printf("%s\t%s\n", ctl_text(ctl, doc, "target", ""), ctl_escape(ctl, json_string_value(text)));
		else
			printf("%s%s\n", mark, ctl_escape(ctl, json_string_value(text)));
	}
	if (ctl->output == OUTPUT_TSV)
		return DBR_EXIT_OK;
	plan_print_lint(ctl, doc, "", SIZE_MAX);
	printf("%s: %s\n", ctl_text(ctl, doc, "target", ""), ctl_text(ctl, doc, "message", "done"));
	return DBR_EXIT_OK;
}

int mend_order(struct ctl *ctl)
{
	const struct verb *verb = find(ctl->args[1]);
	struct text *path = client_path(ctl, DBR_PATH_TARGETS, ctl->args[0], "migrations");
	struct answer *answer;
	int code = check(ctl, verb);

	if (code != 0)
		return code;
	text_addf(path, "/%s", verb->name);
	if (ctl->n_args == 3)
		client_query(path, "version", ctl->args[2]);
	for (const struct ctl_option *o = ctl->command->options; o->name; o++)
		if (ctl_option(ctl, o->name))
			client_query(path, parameter(ctl, o->name), o->arg == ARG_NONE ? "1" : ctl_option(ctl, o->name));
	answer = client_send(ctl, &(struct request){ .method = "POST", .path = path->s, .format = verb->format, .unlimited = true });
	code = answer->exit != 0 ? answer_complain(answer) : print(ctl, answer->doc);
	answer_free(answer);
	return code;
}
