/* SPDX-License-Identifier: PostgreSQL */
#include "model/quote.h"

#include <string.h>

void quote_ident_len(struct text *out, const char *name, size_t len)
{
	text_add_char(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '"')
			text_add_char(out, '"');
		text_add_char(out, name[i]);
	}
	text_add_char(out, '"');
}

void quote_ident(struct text *out, const char *name)
{
	quote_ident_len(out, name, strlen(name));
}

void quote_literal(struct text *out, const char *value)
{
	text_add_char(out, '\'');
	for (; *value; value++) {
		if (*value == '\'')
			text_add_char(out, '\'');
		text_add_char(out, *value);
	}
	text_add_char(out, '\'');
}

void quote_ident_display(struct text *out, const char *name)
{
	size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_$");

	if (name[0] && name[plain] == '\0' && !(name[0] >= '0' && name[0] <= '9') && name[0] != '$')
		text_add(out, name);
	else
		quote_ident(out, name);
}

void quote_array_add(struct text *out, const char *value)
{
	text_add(out, out->len > 0 ? ",\"" : "{\"");
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			text_add_char(out, '\\');
		text_add_char(out, *value);
	}
	text_add_char(out, '"');
}
