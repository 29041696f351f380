/* SPDX-License-Identifier: PostgreSQL */
/*
 * Migration files and the ledger, and how the two compare. Names, order,
 * checksum and table are Flyway's (flyway_schema_history), so that a history
 * that is there continues. Pure: bytes and rows in, a list with states out.
 */
#ifndef DBR_MIGRATE_MIGRATION_H
#define DBR_MIGRATE_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/rowset.h"

enum migration_type { MIGRATION_VERSIONED, MIGRATION_REPEATABLE, MIGRATION_BASELINE, MIGRATION_UNDO };

enum migration_state {
	MIGRATION_APPLIED,
	MIGRATION_PENDING,
	MIGRATION_MISSING,             /* in the ledger, no file */
	MIGRATION_FAILED,              /* success = false in the ledger */
	MIGRATION_CHECKSUM_MISMATCH,
	MIGRATION_OUT_OF_ORDER,        /* pending, but below the highest applied version */
	MIGRATION_FUTURE,              /* in the ledger, above every file */
	MIGRATION_IGNORED,             /* below the baseline */
	MIGRATION_BASELINED,           /* the ledger's baseline or schema marker row */
	MIGRATION_OUTDATED,            /* repeatable whose text changed: runs again */
	MIGRATION_INDETERMINATE,       /* non-transactional and interrupted */
	MIGRATION_UNDONE,              /* the ledger says that it was taken back; its file, when there is one, runs by order only */
	MIGRATION_UNKNOWN,             /* in a ledger of another tool, and nothing here is it (foreign.h) */
	MIGRATION_STATES
};
const char *migration_state_name(enum migration_state);   /* "checksum_mismatch" */

/* The data lines of one COPY ... FROM stdin; points into the file's text. */
struct script_copy {
	const char *data;
	size_t len;
	unsigned line;                 /* of the first data line */
};

/* What is to be known of a statement that runs by itself. */
enum script_kind {
	SCRIPT_ORDINARY,               /* in a transaction of its own, together with the note that it is done */
	SCRIPT_SESSION,                /* likewise, and once more in the session that goes on after an interruption: SET */
	SCRIPT_TEMPORARY,              /* likewise, but what it makes goes with the session */
	/* these run outside of a transaction */
	SCRIPT_ONCE,                   /* nobody can tell afterwards whether it happened */
	SCRIPT_AGAIN,                  /* to run it twice does no harm: VACUUM, REINDEX */
	SCRIPT_CREATE_INDEX, SCRIPT_DROP_INDEX,        /* CONCURRENTLY */
	SCRIPT_CREATE_DATABASE, SCRIPT_DROP_DATABASE, SCRIPT_CREATE_TABLESPACE, SCRIPT_DROP_TABLESPACE,
};

struct script_statement {
	size_t start, len;             /* in migration_file.text, without the semicolon */
	enum script_kind kind;
	bool patient;                  /* ... CONCURRENTLY: a lock_timeout would leave it half done */
	uint32_t copies;               /* how many of migration_file.copies belong to statements before it */
};

/* Where a value stands in the text that runs, and the placeholder in the file; bytes. */
struct placeholder_span {
	size_t at, len, raw_at, raw_len;
};

struct migration_file {
	enum migration_type type;
	const char *version;           /* ledger text: "001", "1.2"; NULL when repeatable */
	const char *description;       /* '_' -> ' ' */
	const char *script;            /* path relative to the location */
	const char *path;
	const char *text;              /* the bytes that are hashed and run, read once; BOM stripped; terminated */
	size_t len;
	int32_t checksum;
	/* said by its side file, NAME.sql.conf */
	enum { SIDE_SILENT, SIDE_TRUE, SIDE_FALSE } side;      /* executeInTransaction */
	bool verbatim;                 /* placeholderReplacement=false */
	/* filled by migration_files_render() where values were put in: text is what came out, these the file's own */
	const char *raw;
	size_t raw_len;
	int32_t raw_checksum;          /* without replacement: Flyway takes it for a repeatable too */
	struct placeholder_span *spans;
	uint32_t n_spans;
	/* filled by migration_script_check(): */
	const char *sql;               /* what is sent: text, with COPY data and \restrict lines blanked character for
	                                  character, so that a position in it is a position in the file */
	struct script_copy *copies;
	uint32_t n_copies;
	struct script_statement *statements;   /* as the server counts them: empty ones are none */
	uint32_t n_statements;
	bool transactional;            /* false: runs statement by statement. Set to false before the check when the side file says
	                                  so; else the check decides, by the directive and the statements of the file */
	struct error refused;          /* set: the file may not run (transaction control, psql command ...). Judged only when it
	                                  is pending: a history that Flyway wrote may hold such files, applied and unchangeable */
};

struct migration_files {
	struct migration_file *v;      /* versioned (and baseline) in version order, then repeatable by description */
	uint32_t n;
	struct migration_file *undo;   /* U files, in version order: each runs by order only. One that cannot be used is refused */
	uint32_t n_undo;
	const char **warnings;         /* callbacks that were recognised and left alone, undo files that cannot be used */
	uint32_t n_warnings;
	unsigned tolerate;             /* enum migration_tolerance: MIGRATION_TOLERATE_FUTURE unless a view says otherwise */
	const struct foreign_files *foreign;   /* of another tool, whose ledger is only read (foreign.h); else NULL */
};

/* What blocks unless it is tolerated (Flyway's ignoreMigrationPatterns). */
enum migration_tolerance {
	MIGRATION_TOLERATE_FUTURE = 1 << 0,
	MIGRATION_TOLERATE_MISSING = 1 << 1,              /* versioned */
	MIGRATION_TOLERATE_MISSING_REPEATABLE = 1 << 2,
	MIGRATION_TOLERATE_IGNORED = 1 << 3,              /* out of order: never applied */
};

struct migration_placeholder {
	const char *name, *value;
};

/* How one database sees the files. */
struct migration_view {
	const struct migration_placeholder *placeholders;   /* names without regard to case; ${flyway:filename} is added */
	uint32_t n;
	const char *prefix, *suffix;   /* "${", "}" */
	bool replace;
	unsigned tolerate;
};

/* A row of the ledger. */
struct ledger_row {
	int rank;
	const char *version, *description, *type, *script, *installed_by, *installed_on;
	bool has_checksum; int32_t checksum;
	int execution_time_ms;
	bool success;
};

struct migration_progress;
struct migration_finding;

struct migration {
	enum migration_state state;
	const struct migration_file *file;   /* NULL when only the ledger knows it */
	const struct ledger_row *row;        /* NULL when pending; of one that was undone that of its undo */
	const struct migration_file *undo;   /* of an applied version: the file that undoes it; NULL = there is none */
	const char *note;                    /* why, for people: "only line ends differ"; may be NULL */
	/* of a file that runs statement by statement and has not finished (progress.h) */
	const struct migration_progress *progress;
	struct migration_finding *findings;  /* of one that is to run: what it does to others (lint.h) */
	uint32_t n_findings;
	/* of one that is to run and that a policy holds (hold.h) */
	const struct migration_finding *hold;   /* the first such finding; NULL = none */
	const char *approval;                /* the id under which it is approved */
	bool released;                       /* it is */
	const char *released_by;
	uint32_t from;                       /* the statement it goes on with, from 0 */
	bool waits;                          /* behind one that was undone, while there is something to run before that */
	bool find_out;                       /* INDETERMINATE, but the server can tell */
	bool interrupted;                    /* OUT_OF_ORDER likewise: when it is ordered again */
};

struct migration_list {
	struct migration *v;
	uint32_t n;
	uint32_t counts[MIGRATION_STATES];
	int last_rank, last_undo;            /* of all rows, of those that undo; 0 = none does */
	const char *current_version;         /* highest applied, NULL = none */
	const char **warnings;               /* future versions, what the files warned of */
	uint32_t n_warnings;
	bool blocked;                        /* a mismatch, a missing or failed row, a refused file: nothing may run */
	const struct migration *stop;        /* this one waits for approval, and what is to run after it waits with it; NULL = none */
	bool empty;                          /* nobody has a table in the database yet: known only when a policy asks */
	int64_t oldest_s, oldest_pid;        /* the oldest transaction, when it is over a minute old; 0 = none is */
	struct error why;                    /* the first reason when blocked: names the file or version, and what to do */
};

/* Reads the directories once, with the folders in them. 1: a bad name, duplicate version, NUL byte, bad UTF-8, too big:
   every reason in errs (a talloc array of n_errs, children of parent). Unrecognised names ending in .sql are errors; Flyway's
   callbacks are left alone with a warning, other suffixes and names that begin with '.' silently. A directory or file that group
   or others can write is refused. What a script may not hold, and all that is wrong with a U file, is in migration_file.refused. */
int migration_files_read(void *parent, const char *const *directories, uint32_t n, struct migration_files **ret,
			 struct error **errs, uint32_t *n_errs);

/* The files as the view shows them; what it does not change still belongs to raw, which must outlive it. A placeholder without
   a value refuses its file. 0 or -ENOMEM. */
int migration_files_render(void *parent, const struct migration_files *raw, const struct migration_view *, struct migration_files **ret);
/* Is the word anywhere in the texts, without regard to case? */
bool migration_files_mention(const struct migration_files *, const char *word);
/* Offset in the file itself of an offset in text. */
size_t migration_raw_offset(const struct migration_file *, size_t at);
/* Reads NAME.sql.conf into side and verbatim; 1: err says what cannot be understood. */
int migration_side_file(struct migration_file *, const char *path, const char *text, size_t len, struct error *err);

/* The parts, for tests and tools. */
enum migration_name {
	MIGRATION_NAME_OK,
	MIGRATION_NAME_BAD,            /* ends in .sql and is nothing we know: err names the expected form */
	MIGRATION_NAME_OTHER,          /* another suffix */
	MIGRATION_NAME_UNDO,           /* U1__x.sql: as OK, with type MIGRATION_UNDO */
	MIGRATION_NAME_CALLBACK,       /* beforeMigrate.sql and the like */
};
/* Fills type, version, description and script of ret; the strings are children of parent. */
int migration_name_parse(void *parent, const char *script, struct migration_file *ret, struct error *err);
/* <0, 0, >0. Both are versions as migration_name_parse() accepts them; other text compares as text, after every version. */
int migration_version_compare(const char *a, const char *b);
bool migration_version_valid(const char *text, size_t len);
/* Of the raw bytes of the file, byte order mark included. */
int32_t migration_checksum(const char *text, size_t len);
/* What else the checksum of this file may have been: "only line ends differ", "only a byte order mark ..."; NULL = nothing known. */
const char *migration_checksum_explain(const struct migration_file *, int32_t checksum);
/* Reads file->text; fills sql, copies, statements, transactional, note and refused. 0 it may run; 1 refused; negative -ENOMEM. */
int migration_script_check(void *parent, struct migration_file *);
/* Line, column and the line's text (at most max bytes, a child of parent) of a 1-based character position in file->sql.
   false when the position is outside. */
bool migration_position(void *parent, const struct migration_file *, unsigned position, unsigned *ret_line,
			unsigned *ret_column, char **ret_text);
/* Line and first line of the index-th statement, from 0. */
bool migration_statement(void *parent, const struct migration_file *, uint32_t index, unsigned *ret_line, char **ret_text);
/* How far lines were counted; zeroed at first. */
struct script_place {
	size_t at;
	unsigned lines;
};
/* The line alone, of statements that are asked for in their order. */
unsigned migration_statement_line(const struct migration_file *, uint32_t index, struct script_place *);

/* What the ledger's columns hold for a file: Flyway's words and its cuts (description 200, script 1000 characters). */
const char *ledger_type(const struct migration_file *);
char *ledger_description(void *parent, const struct migration_file *);
char *ledger_script(void *parent, const struct migration_file *);

/* The ledger: SQL text for one table (quoted names inside), for a connection of the migration user or a reader of it. */
/* Several statements, for one transaction; fails when the table is there, on purpose. */
char *ledger_sql_create(void *parent, const char *schema, const char *table);
/* hashed: with two hashes of each row as the last columns; $1 is their seed. */
char *ledger_sql_select(void *parent, const char *schema, const char *table, bool hashed);
/* The number of rows, and the sums of their hashes: costs less than reading them. $1 is the seed of the hashes. */
char *ledger_sql_sum(void *parent, const char *schema, const char *table);
/* INSERT ... VALUES ($1..$8): rank, version, description, type, script, checksum, execution_time, success; installed_by is current_user. */
char *ledger_sql_insert(void *parent, const char *schema, const char *table);
/* Flyway's advisory lock key of the table: made of "Flyway" and the Java hashCode of the quoted name. */
int64_t ledger_lock_key(const char *schema, const char *table);
/* Of either select. */
int ledger_decode(void *parent, const struct rowset *, struct ledger_row **ret, uint32_t *ret_n, struct error *err);

/* Same sums with the same seed, same rows. */
struct ledger_sum {
	uint64_t rows, sum, mixed;           /* sums of hashes, modulo 2^64 */
};
bool ledger_sum_rows(const struct rowset *, struct ledger_sum *ret);        /* of the hashed select */
bool ledger_sum_decode(const struct rowset *, struct ledger_sum *ret);      /* of ledger_sql_sum() */
bool ledger_sum_same(const struct ledger_sum *, const struct ledger_sum *);

/* Must this one run now? */
static inline bool migration_runs(const struct migration *m)
{
	return ((m->state == MIGRATION_PENDING || m->state == MIGRATION_OUTDATED) && !m->waits) || m->find_out;
}

/* Is a version at or above this one applied? Then it is out of order. */
bool migration_is_late(const struct migration_list *, const char *version);

/* For who fills a list: v has room. A text belongs to the list, or outlives it. */
void migration_list_add(struct migration_list *, enum migration_state, const struct migration_file *, const struct ledger_row *, const char *note);
void migration_list_warn(struct migration_list *, const char *text);

/* Compares files with rows (in order of rank); rows may be NULL (no ledger yet). First what the ledger holds, in its order,
   then what runs or would run, in the order of running. The list points into files and rows: both must outlive it. NULL = no memory. */
struct migration_list *migration_compare(void *parent, const struct migration_files *, const struct ledger_row *rows, uint32_t n_rows);

#endif
