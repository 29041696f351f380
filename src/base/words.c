/* SPDX-License-Identifier: PostgreSQL */
#include "base/words.h"

#include <stdbool.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

/* One word from *p, which stands on its first character. False when a quote is open at the end. */
static bool take_word(const char **p, struct text *word)
{
	char quote = '\0';

	for (; **p && (quote || (**p != ' ' && **p != '\t')); (*p)++) {
		if (quote ? **p == quote : **p == '\'' || **p == '"')
			quote = quote ? '\0' : **p;
		else if (**p == '\\' && quote != '\'' && (*p)[1])
			text_add_char(word, *++*p);
		else
			text_add_char(word, **p);
	}
	return !quote;
}

int words_split(void *parent, const char *line, char ***ret, const char **ret_reason)
{
	char **words = talloc_array(parent, char *, 1);
	unsigned n = 0;

	for (const char *p = line + strspn(line, " \t"); *p; p += strspn(p, " \t")) {
		struct text *word = text_new(words);

		if (!take_word(&p, word)) {
			*ret_reason = "a quote is not closed";
			talloc_free(words);
			return 1;
		}
		words = talloc_realloc(parent, words, char *, n + 2);
		words[n++] = word->s;
	}
	words[n] = NULL;
	*ret = words;
	if (n > 0)
		return 0;
	*ret_reason = "it is empty";
	talloc_free(words);
	return 1;
}
