/* SPDX-License-Identifier: PostgreSQL */
/*
 * What a statement is, by its first words: may it stand in a migration, can it
 * run in a transaction, and what is to be known of it when it was interrupted.
 * Called by script.c.
 */
#ifndef DBR_MIGRATE_RULES_H
#define DBR_MIGRATE_RULES_H

#include "migrate/migration.h"

#define WORDS_MAX 24         /* ALTER TABLE a.b DETACH PARTITION c.d CONCURRENTLY needs 8 */
#define WORD_MAX 32

/* The first words of a statement, in lower case; symbols are left out, so "REINDEX (CONCURRENTLY) TABLE t" and
   "REINDEX TABLE CONCURRENTLY t" are words alike. A quoted identifier is '"', a string begins with '\''. */
struct words {
	char v[WORDS_MAX][WORD_MAX];
	unsigned n;
	bool any;                /* a token was there, if only a symbol */
	size_t start;            /* of the first token */
	bool copy_in, copy_out;  /* COPY ... FROM stdin, COPY ... TO stdout */
};

/* OPENS, CLOSES: a transaction without options; a file may stand in one as a whole. */
enum verdict { VERDICT_ALLOWED, VERDICT_OPENS, VERDICT_CLOSES, VERDICT_TRANSACTION, VERDICT_STRINGS, VERDICT_LOCK, VERDICT_OUTSIDE, VERDICT_MIXED };

struct rule {
	const char *pattern;
	enum verdict verdict;
	enum script_kind kind;
	bool patient;            /* waits for every older transaction: no lock_timeout, which would leave it half done */
};

/* Never NULL. */
const struct rule *rule_find(const struct words *);
/* Why a file with it is refused, and what to do. */
const char *verdict_text(enum verdict);
const char *verdict_hint(enum verdict);

#endif
