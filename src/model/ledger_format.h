/* SPDX-License-Identifier: PostgreSQL */
/* Whose ledger it is: Flyway's is ours and written; those of other tools are only read. */
#ifndef DBR_MODEL_LEDGER_FORMAT_H
#define DBR_MODEL_LEDGER_FORMAT_H

enum ledger_format { LEDGER_FLYWAY, LEDGER_DBMATE, LEDGER_GOLANG_MIGRATE, LEDGER_ALEMBIC, LEDGER_SQITCH, LEDGER_FORMATS };

struct ledger_tool {
	const char *name;                /* as in the configuration */
	const char *schema, *table;      /* where its ledger is when nothing else is said */
	const char *command;             /* what runs the pending ones; NULL for ours */
};
const struct ledger_tool *ledger_tool(enum ledger_format);

#endif
