/* SPDX-License-Identifier: PostgreSQL */
/*
 * conninfo as fields, checked without a connection: which keywords it holds, whether a password is in it,
 * and which host names must be resolved before libpq may see them (libpq's own look-up blocks).
 */
#ifndef DBR_SESSION_RESOLVE_H
#define DBR_SESSION_RESOLVE_H

#include "base/error.h"

/* 1 when conninfo is not valid, holds a password, or a keyword that we set ourselves (options, application_name ...).
   Never quotes the conninfo in err: it may hold a secret. */
int conninfo_check(const char *conninfo, struct error *err);
/* The value of one keyword, or NULL. A talloc child of parent. */
char *conninfo_get(void *parent, const char *conninfo, const char *keyword);

#endif
