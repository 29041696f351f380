/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/rules.h"

#include <string.h>

/* First match wins. "*" any words, "[x]" may be missing; a row without "*" at its end matches the whole statement. The list of
   what cannot run in a transaction is PostgreSQL's PreventInTransactionBlock() calls, wider than Flyway's. */
static const struct rule rules[] = {
	{ "rollback [work] [transaction] to *", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "commit prepared *", VERDICT_OUTSIDE, SCRIPT_ONCE, false },
	{ "rollback prepared *", VERDICT_OUTSIDE, SCRIPT_ONCE, false },
	{ "begin [work] [transaction]", VERDICT_OPENS, SCRIPT_ORDINARY, false },
	{ "start transaction", VERDICT_OPENS, SCRIPT_ORDINARY, false },
	{ "commit [work] [transaction]", VERDICT_CLOSES, SCRIPT_ORDINARY, false },
	{ "end [work] [transaction]", VERDICT_CLOSES, SCRIPT_ORDINARY, false },
	{ "begin *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	{ "start transaction *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	{ "commit *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	{ "end *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	{ "rollback *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	{ "abort *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	{ "prepare transaction *", VERDICT_TRANSACTION, SCRIPT_ORDINARY, false },
	/* pg_dump writes this one, and it changes nothing */
	{ "set [session] [local] standard_conforming_strings [to] on", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "set [session] [local] standard_conforming_strings [to] 'on", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "set [session] [local] standard_conforming_strings [to] true", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "set [session] [local] standard_conforming_strings *", VERDICT_STRINGS, SCRIPT_ORDINARY, false },
	{ "set local *", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "set transaction *", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "set constraints *", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
	{ "set *", VERDICT_ALLOWED, SCRIPT_SESSION, false },
	{ "reset *", VERDICT_ALLOWED, SCRIPT_SESSION, false },
	{ "load *", VERDICT_ALLOWED, SCRIPT_SESSION, false },
	{ "select [pg_catalog] set_config *", VERDICT_ALLOWED, SCRIPT_SESSION, false },
	{ "create [global] [local] temp *", VERDICT_ALLOWED, SCRIPT_TEMPORARY, false },
	{ "create [global] [local] temporary *", VERDICT_ALLOWED, SCRIPT_TEMPORARY, false },
	{ "create or replace temp *", VERDICT_ALLOWED, SCRIPT_TEMPORARY, false },
	{ "create or replace temporary *", VERDICT_ALLOWED, SCRIPT_TEMPORARY, false },
	{ "prepare *", VERDICT_ALLOWED, SCRIPT_TEMPORARY, false },
	{ "declare *", VERDICT_ALLOWED, SCRIPT_TEMPORARY, false },
	{ "create database *", VERDICT_OUTSIDE, SCRIPT_CREATE_DATABASE, false },
	{ "drop database *", VERDICT_OUTSIDE, SCRIPT_DROP_DATABASE, false },
	{ "alter database * set tablespace *", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "create tablespace *", VERDICT_OUTSIDE, SCRIPT_CREATE_TABLESPACE, false },
	{ "drop tablespace *", VERDICT_OUTSIDE, SCRIPT_DROP_TABLESPACE, false },
	{ "create subscription *", VERDICT_OUTSIDE, SCRIPT_ONCE, false },
	{ "drop subscription *", VERDICT_OUTSIDE, SCRIPT_ONCE, false },
	{ "alter subscription * publication *", VERDICT_OUTSIDE, SCRIPT_ONCE, false },
	{ "alter system *", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "create [unique] index concurrently *", VERDICT_OUTSIDE, SCRIPT_CREATE_INDEX, true },
	{ "drop index concurrently *", VERDICT_OUTSIDE, SCRIPT_DROP_INDEX, true },
	{ "reindex * concurrently *", VERDICT_OUTSIDE, SCRIPT_AGAIN, true },
	{ "reindex [verbose] schema *", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "reindex [verbose] database *", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "reindex [verbose] system *", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "alter table * detach partition * concurrently", VERDICT_OUTSIDE, SCRIPT_ONCE, true },
	{ "vacuum *", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "cluster [verbose]", VERDICT_OUTSIDE, SCRIPT_AGAIN, false },
	{ "discard all", VERDICT_LOCK, SCRIPT_ORDINARY, false },
	/* what they call may commit, which works outside a transaction only */
	{ "call *", VERDICT_ALLOWED, SCRIPT_ONCE, false },
	{ "do *", VERDICT_ALLOWED, SCRIPT_ONCE, false },
	{ "*", VERDICT_ALLOWED, SCRIPT_ORDINARY, false },
};

static const struct {
	const char *text, *hint;
} verdicts[] = {
	[VERDICT_TRANSACTION] = { "a migration must not begin or end transactions: the file runs in one, with its row in the ledger",
				  "take the statement out of the file (allowed are a plain COMMIT as its last statement, with or without a plain "
				  "BEGIN as its first, SAVEPOINT, and ROLLBACK TO SAVEPOINT)" },
	[VERDICT_STRINGS] = { "standard_conforming_strings stays on", "write strings with backslash escapes as E'...'" },
	[VERDICT_LOCK] = { "it would let the lock of the ledger go", "use RESET ALL, DISCARD TEMP or DEALLOCATE ALL" },
	[VERDICT_OUTSIDE] = { "the statement cannot run inside a transaction, and the file says transaction=true or stands in BEGIN and COMMIT",
			      "take the line -- dbreconcile:transaction=true, or BEGIN and COMMIT, away" },
	[VERDICT_MIXED] = { "the statement cannot run inside a transaction, and others of this file can: a failure would leave the file "
			    "applied in part",
			    "put it into a file of its own; or write -- dbreconcile:transaction=false above the first statement: then each "
			    "statement runs by itself, and a file that failed goes on where it stopped" },
};

const char *verdict_text(enum verdict verdict)
{
	return verdicts[verdict].text;
}

const char *verdict_hint(enum verdict verdict)
{
	return verdicts[verdict].hint;
}

static bool matches(const char *pattern, const struct words *words, unsigned at)
{
	size_t len = strcspn(pattern, " ");
	const char *rest = pattern + len + (pattern[len] == ' ');

	if (!len)
		return at == words->n;
	if (*pattern == '*') {
		for (unsigned i = at; i <= words->n; i++)
			if (matches(rest, words, i))
				return true;
		return false;
	}
	if (*pattern == '[') {
		if (matches(rest, words, at))
			return true;
		pattern++;
		len -= 2;
	}
	return at < words->n && strlen(words->v[at]) == len && !memcmp(words->v[at], pattern, len) && matches(rest, words, at + 1);
}

const struct rule *rule_find(const struct words *words)
{
	const char first = words->n ? *words->v[0] : '\0';
	size_t i = 0;

	/* by the first letter first: large files have a million statements */
	while ((rules[i].pattern[0] != first && rules[i].pattern[0] != '*') || !matches(rules[i].pattern, words, 0))
		i++;
	return &rules[i];
}
