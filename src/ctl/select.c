/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"

static bool named(struct ctl *ctl, int first, const char *target, bool *matched)
{
	bool any = first >= ctl->n_args;

	for (int i = first; i < ctl->n_args; i++) {
		if (glob_match(ctl->args[i], target)) {
			matched[i] = true;
			any = true;
		}
	}
	return any;
}

static int unknown(struct ctl *ctl, const char *word, const json_t *rows)
{
	const char **names = talloc_zero_array(ctl->scratch, const char *, json_array_size(rows) + 1);
	const char *near;
	size_t n = 0, i;
	json_t *row;

	json_array_foreach(rows, i, row)
		names[n++] = ctl_raw(row, "target");
	ctl_complain(DBR_EXIT_USAGE, "there is no target \"%s\"", word);
	near = n <= 1000 ? text_nearest(word, names, n) : NULL;
	if (near)
		ctl_hint(talloc_asprintf(ctl->scratch, "did you mean \"%s\"?", near));
	else if (n == 0)
		ctl_hint("no targets are configured: servers stand in dbreconciled.conf(5)");
	else
		ctl_hint("`dbreconcilectl status` lists the targets; patterns such as 'prod/*' work too");
	return DBR_EXIT_USAGE;
}

int select_targets(struct ctl *ctl, const json_t *status, int first, json_t **ret)
{
	const json_t *rows = json_object_get(status, "targets");
	bool *matched = talloc_zero_array(ctl->scratch, bool, (size_t)ctl->n_args + 1);
	json_t *row;
	size_t i;

	*ret = json_array();
	json_array_foreach(rows, i, row)
		if (named(ctl, first, ctl_raw(row, "target"), matched))
			json_array_append(*ret, row);
	for (int a = first; a < ctl->n_args; a++) {
		if (matched[a])
			continue;
		json_decref(*ret);
		*ret = NULL;
		return unknown(ctl, ctl->args[a], rows);
	}
	return DBR_EXIT_OK;
}

int select_fetch(struct ctl *ctl, int first, json_t **ret_status, json_t **ret_rows)
{
	json_t *status;
	int code = client_get(ctl, DBR_PATH_STATUS, "status", &status);

	if (code != 0)
		return code;
	code = select_targets(ctl, status, first, ret_rows);
	if (code == 0 && ret_status)
		*ret_status = json_incref(status);
	json_decref(status);
	return code;
}
