/* SPDX-License-Identifier: PostgreSQL */
/* Assertions about the inverse of one change. What they allocate becomes a child of the names. */
#ifndef DBR_TESTS_INVERSE_CHECK_H
#define DBR_TESTS_INVERSE_CHECK_H

#include "base/names.h"
#include "model/change.h"

/* Its statements, and that they are the same after it was kept as text and read by somebody with other names. */
void expect_inverse(struct names *, const struct change *, int version, const char *sql);
/* There is none, and the reason says why. */
void expect_none(struct names *, const struct change *, const char *why);

#endif
