/* SPDX-License-Identifier: PostgreSQL */
#include "model/lint_rule.h"

#include <string.h>

#define CLASSES 6

static const char *const words[] = {
	/* in the order of enum lint_class */
	"all", "destroy", "drop", "lock", "rewrite", "scan",
	/* single rules; that called rewrite is part of the class */
	"add-check", "add-column", "add-unique", "alter-type", "attach-partition", "brief-lock", "create-index", "delete-all",
	"detach-partition", "drop-cascade", "drop-column", "drop-database", "drop-index", "drop-owned", "drop-relation", "drop-schema",
	"drop-table", "foreign-key", "lock-table", "not-classified", "partition-of", "refresh", "reindex", "rename", "set-not-null",
	"trigger", "truncate", "update-all",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

unsigned lint_class_of(const char *word)
{
	for (unsigned i = 0; i < CLASSES; i++)
		if (strcmp(words[i], word) == 0)
			return 1u << i;
	return 0;
}

bool lint_rule_known(const char *word)
{
	for (size_t i = CLASSES; i < WORDS; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return strcmp(word, "rewrite") == 0;
}

const char *const *lint_words(size_t *ret_n)
{
	*ret_n = WORDS;
	return words;
}
