/* SPDX-License-Identifier: PostgreSQL */
/*
 * A host name looked up in a thread of its own, because the system's resolver
 * blocks and may take half a minute. The caller waits for the descriptor.
 */
#ifndef DBR_SESSION_LOOKUP_H
#define DBR_SESSION_LOOKUP_H

struct lookup;

/* 0 ok, or -errno. A talloc child of parent; freeing it abandons the answer without waiting. */
int lookup_start(void *parent, const char *host, struct lookup **ret);
int lookup_fd(const struct lookup *);                  /* readable when it is done */
/* 0 ok: numeric addresses, in the order to try, a talloc array of parent; 1 still busy; 2 not found: *ret_reason. */
int lookup_result(struct lookup *, void *parent, char ***ret, unsigned *n, const char **ret_reason);

#endif
