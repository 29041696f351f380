/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "config/reader.h"

#define IDENTIFIER_MAX 63        /* NAMEDATALEN - 1; the server would cut the rest, and two names could become one */

int object_name_check(const char *name, const char **ret_reason)
{
	size_t len = strlen(name);

	if (len == 0)
		*ret_reason = "the name is empty";
	else if (len > IDENTIFIER_MAX)
		*ret_reason = "the name is longer than 63 bytes, which PostgreSQL would cut";
	else if (!utf8_valid(name, len))
		*ret_reason = "the name is not valid UTF-8";
	else
		return 0;
	return 1;
}

int name_check(const char *name, const char **ret_reason)
{
	if (object_name_check(name, ret_reason) != 0)
		return 1;
	if (!text_has_control(name, strlen(name)))
		return 0;
	*ret_reason = "the name holds a control character";
	return 1;
}

int role_name_check(const char *name, const char **ret_reason)
{
	if (name_check(name, ret_reason) != 0)
		return 1;
	if (strcasecmp(name, "public") == 0)
		*ret_reason = "\"public\" is no role: everybody is written PUBLIC, and only as a grantee";
	else if (strcmp(name, "none") == 0)
		*ret_reason = "\"none\" is reserved by PostgreSQL";
	else
		return 0;
	return 1;
}
