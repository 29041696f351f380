/* SPDX-License-Identifier: PostgreSQL */
/* Why a request failed, for people, and the exit code of it. Called by client.c alone. */
#ifndef DBR_CTL_REFUSAL_H
#define DBR_CTL_REFUSAL_H

#include "ctl/client.h"

/* Each returns answer->exit. */
int refusal_set(struct answer *, int code, const char *text, const char *hint);
int refusal_connect(struct answer *, const char *socket, int os_errno);
int refusal_lost(struct answer *, const char *socket, const char *why);
int refusal_http(struct answer *, const char *socket);
/* 0 when the document is dbreconcile.FORMAT of a version that this program can read. */
int refusal_format(struct answer *, const char *format);

#endif
