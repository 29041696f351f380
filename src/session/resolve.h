/* SPDX-License-Identifier: PostgreSQL */
/*
 * conninfo as fields, checked without a connection: which keywords it holds, and whether a password is in it. Host names are
 * looked up by the session itself.
 */
#ifndef DBR_SESSION_RESOLVE_H
#define DBR_SESSION_RESOLVE_H

#include "base/error.h"

/* 1 when conninfo is not valid, is a URI, holds a password, a keyword that we set ourselves (options, application_name ...) or
   a word that libpq would refuse when connecting. err->text reads on after "setting 'servers.[0].conninfo': " and never quotes
   the conninfo: it may hold a secret. Needs no network. */
int conninfo_check(const char *conninfo, struct error *err);
/* The value of one keyword, or NULL. A talloc child of parent. */
char *conninfo_get(void *parent, const char *conninfo, const char *keyword);

#endif
