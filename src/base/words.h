/* SPDX-License-Identifier: PostgreSQL */
/* The words of a command line that is started without a shell: password_command and hooks. */
#ifndef DBR_BASE_WORDS_H
#define DBR_BASE_WORDS_H

/* Blanks separate; '...' as it is; "..." and outside of quotes with \ before any character. A NULL-terminated talloc array; no
   variables, no wildcards, no pipes. 1: *ret_reason is "a quote is not closed" or "is empty". */
int words_split(void *parent, const char *line, char ***ret, const char **ret_reason);

#endif
