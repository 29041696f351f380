/* SPDX-License-Identifier: PostgreSQL */
#include "model/ledger_format.h"

#include <stddef.h>

static const struct ledger_tool tools[LEDGER_FORMATS] = {
	[LEDGER_FLYWAY] = { "flyway", "dbreconcile", "migration_ledger", NULL },
	[LEDGER_DBMATE] = { "dbmate", "public", "schema_migrations", "dbmate up" },
	[LEDGER_GOLANG_MIGRATE] = { "golang-migrate", "public", "schema_migrations", "migrate up" },
	[LEDGER_ALEMBIC] = { "alembic", "public", "alembic_version", "alembic upgrade heads" },
	[LEDGER_SQITCH] = { "sqitch", "sqitch", "changes", "sqitch deploy" },
};

const struct ledger_tool *ledger_tool(enum ledger_format format)
{
	return &tools[format];
}
