/* SPDX-License-Identifier: PostgreSQL */
/* What the lint of migrations can say (migrate/lint.h), by name: what a policy and a comment in a file may name. */
#ifndef DBR_MODEL_LINT_RULE_H
#define DBR_MODEL_LINT_RULE_H

#include <stdbool.h>
#include <stddef.h>

/* Classes of findings, which a policy may name beside single rules. A finding can be of several. */
enum lint_class {
	LINT_ALL = 1 << 0,
	LINT_DESTROY = 1 << 1,     /* data goes, or its structure: whatever its size */
	LINT_DROP = 1 << 2,        /* the rules drop-... */
	LINT_LOCK = 1 << 3,        /* a lock that blocks writes, or more */
	LINT_REWRITE = 1 << 4,     /* writes the whole table anew */
	LINT_SCAN = 1 << 5,        /* reads the whole table under such a lock */
};

/* 0: the word is no class. */
unsigned lint_class_of(const char *word);
bool lint_rule_known(const char *word);
/* Every word that a policy may use, classes first. */
const char *const *lint_words(size_t *ret_n);

#endif
