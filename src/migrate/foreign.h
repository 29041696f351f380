/* SPDX-License-Identifier: PostgreSQL */
/*
 * Ledgers of dbmate, golang-migrate, Alembic and Sqitch against their files: what
 * is applied, pending and unknown. They are read, never written, and nothing is
 * run: the list is always blocked when something is pending, and says why. Pure.
 */
#ifndef DBR_MIGRATE_FOREIGN_H
#define DBR_MIGRATE_FOREIGN_H

#include "migrate/migration.h"
#include "model/ledger_format.h"

/* One Alembic revision, beside the migration_file of the same index. */
struct foreign_revision {
	const char *path;
	unsigned line;                   /* of down_revision, or of revision */
	const char **downs, **depends, **labels;       /* ended by NULL, or NULL: none */
};

struct foreign_files {
	enum ledger_format format;
	const char *project;             /* Sqitch's */
	struct foreign_revision *revisions;            /* Alembic's */
};

/* As migration_files_read(), by the rules of the tool. The files are in the order of running; text is "". */
int foreign_files_read(void *parent, enum ledger_format, const char *const *directories, uint32_t n, struct migration_files **ret,
		       struct error **errs, uint32_t *n_errs);
/* Columns without casts or functions: a cast could be somebody else's code. */
char *foreign_sql_select(void *parent, enum ledger_format, const char *schema, const char *table);
int foreign_decode(void *parent, enum ledger_format, const struct rowset *, struct ledger_row **ret, uint32_t *ret_n, struct error *err);
struct migration_list *foreign_compare(void *parent, const struct migration_files *, const struct ledger_row *rows, uint32_t n_rows);

/* The parts. 0, 1 with a reason in err, or -ENOMEM. */
/* file and revision of one Alembic file. */
int alembic_parse(void *parent, const char *path, const char *text, struct migration_file *, struct foreign_revision *, struct error *err);
/* Brings files->v and revisions into an order in which every one comes after those it builds on, and warns of several heads. */
int alembic_order(struct migration_files *, struct foreign_files *, struct error *err);
/* applied[i] of every file that a head is built on; false when no file has the head. */
bool alembic_mark(const struct migration_files *, const char *head, bool *applied);
/* sqitch.plan: adds its changes to files; version is NAME and the time it was planned. */
int sqitch_parse(struct migration_files *, struct foreign_files *, const char *path, const char *text, struct error *err);
void foreign_warn(struct migration_files *, const char *text);
struct migration_file *foreign_add(struct migration_files *);      /* zeroed; NULL = no memory */

#endif
