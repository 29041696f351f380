/* SPDX-License-Identifier: PostgreSQL */
/* Across manifests: who is declared, who is named, who is a member of whom. */
#include <string.h>

#include "base/text.h"
#include "config/checks.h"

void check_fleet(struct reader *r)
{
	(void) r;
}
