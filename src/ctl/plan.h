/* SPDX-License-Identifier: PostgreSQL */
/* Plan documents: for people and as SQL. Used by diff and show. */
#ifndef DBR_CTL_PLAN_H
#define DBR_CTL_PLAN_H

#include "ctl/ctl.h"

/* One line of a change and, when blocked, what to do about it; width is that of the description column, 0 = none. */
void plan_print_change(struct ctl *, const char *target, const char *plan, const json_t *change, size_t width);
/* The lint of a document, max lines of it: "lint: V2__x.sql:3: ACCESS EXCLUSIVE on app.orders: blocks reads and writes" */
void plan_print_lint(struct ctl *, const json_t *of, const char *indent, size_t max);
void plan_print(struct ctl *, const json_t *plan, bool unmanaged);
/* The statements that would run, each ended by a semicolon; comments for those that would not. */
void plan_print_sql(struct ctl *, const json_t *plan);
/* Does the plan hold a statement that would run, or one that is held or blocked? */
bool plan_has_ready(const json_t *plan);

#endif
