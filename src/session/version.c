/* SPDX-License-Identifier: PostgreSQL */
#include "session/session.h"

#include <libpq-fe.h>
#include <stdio.h>

const char *session_library_version(void)
{
	static char text[24];
	int version = PQlibVersion();

	if (!text[0])
		snprintf(text, sizeof(text), "%d.%d", version / 10000, version % 10000);
	return text;
}
