/* SPDX-License-Identifier: PostgreSQL */
/* The inside of the migration runner: migrator.c moves the machine, migrator_ledger.c brings it to the comparison under the
   lock, migrator_file.c runs one file. */
#ifndef DBR_ENGINE_MIGRATOR_INTERNAL_H
#define DBR_ENGINE_MIGRATOR_INTERNAL_H

#include "engine/migrator.h"

#define MIGRATOR_STATEMENTS 10

enum migrator_state {
	MS_CONNECT, MS_IDENTITY, MS_WATCHFUL, MS_ASK, MS_LOCK, MS_HOLDER, MS_RELATION, MS_READ, MS_CREATE,
	MS_BEGIN, MS_SCRIPT, MS_RECORD, MS_COMMIT, MS_CLEAN, MS_ROLLBACK, MS_UNLOCK, MS_END, MIGRATOR_STATES
};

struct migrator_queued {
	struct migrator_event event;
	struct error error;
	struct migrator_queued *next;
};

struct migrator {
	struct migrator_params params;
	struct session *session;
	enum migrator_state state;
	enum migrator_status status;
	enum failure failure;
	struct error error;
	bool waiting;                     /* for wake; then the state begins again */
	msec_t wake;
	bool cancelled;                   /* during COMMIT: ends after its answer */

	/* the batch under way */
	void *step;                       /* parent of what belongs to it */
	struct statement statements[MIGRATOR_STATEMENTS];
	struct batch batch;
	struct outcome *outcomes[MIGRATOR_STATEMENTS];    /* kept except for scripts */
	struct outcome *failed;           /* the first error */

	bool watchful;                    /* the server can notice that we are gone while it works */
	msec_t lock_deadline;
	bool ledger_exists;
	void *run;                        /* rows and list of the last comparison */
	struct migration_list *list;
	uint32_t next;                    /* position in the list */
	uint32_t done, total;
	int rank;                         /* of the last row */

	/* the file under way */
	const struct migration_file *file;
	char *xid;
	msec_t began;
	int execution_time_ms;
	unsigned attempts;
	/* COMMIT was sent and not answered: xid tells */
	bool in_doubt;
	unsigned asked, reconnects, doubts;

	struct migrator_queued *first, **last;
};

/* migrator.c */
void migrator_add(struct migrator *, const char *sql, unsigned n_params, const char *const *params);
void migrator_submit(struct migrator *, enum batch_mode, msec_t budget, msec_t now);
void migrator_go(struct migrator *, enum migrator_state, msec_t now);
void migrator_wait(struct migrator *, enum migrator_state, msec_t span, msec_t now);
void migrator_end(struct migrator *, enum migrator_status, enum failure, const struct error *);
void migrator_note(struct migrator *, enum migrator_event_kind, const struct error *);
/* Cell of an outcome, or NULL. */
const char *migrator_cell(const struct migrator *, unsigned statement, unsigned column);
/* BEGIN and a search_path in which our own names cannot be caught; migrator_finish adds the COMMIT. */
void migrator_begin_own(struct migrator *);

/* What a state does: begin sends; over and error have the outcomes. error NULL: the run fails with that error. */
struct migrator_step {
	const char *name;
	void (*begin)(struct migrator *, msec_t now);
	void (*over)(struct migrator *, msec_t now);
	void (*error)(struct migrator *, msec_t now);
	void (*lost)(struct migrator *, msec_t now);      /* the connection broke; NULL: the run fails with that */
};

/* migrator_ledger.c */
void identity_begin(struct migrator *, msec_t now);
void identity_over(struct migrator *, msec_t now);
void watchful_begin(struct migrator *, msec_t now);
void watchful_over(struct migrator *, msec_t now);
void watchful_error(struct migrator *, msec_t now);
void lock_begin(struct migrator *, msec_t now);
void lock_over(struct migrator *, msec_t now);
void holder_begin(struct migrator *, msec_t now);
void holder_over(struct migrator *, msec_t now);
void relation_begin(struct migrator *, msec_t now);
void relation_over(struct migrator *, msec_t now);
void read_begin(struct migrator *, msec_t now);
void read_over(struct migrator *, msec_t now);
void create_begin(struct migrator *, msec_t now);
void create_over(struct migrator *, msec_t now);
void create_error(struct migrator *, msec_t now);
void unlock_begin(struct migrator *, msec_t now);
void unlock_over(struct migrator *, msec_t now);

/* migrator_file.c */
void file_next(struct migrator *, msec_t now);            /* the next one that runs, or the end */
void file_begin(struct migrator *, msec_t now);
void file_begun(struct migrator *, msec_t now);
void file_error(struct migrator *, msec_t now);
void file_lost(struct migrator *, msec_t now);
void script_begin(struct migrator *, msec_t now);
void script_over(struct migrator *, msec_t now);
void record_begin(struct migrator *, msec_t now);
void record_over(struct migrator *, msec_t now);
void commit_begin(struct migrator *, msec_t now);
void commit_over(struct migrator *, msec_t now);
void commit_lost(struct migrator *, msec_t now);
void clean_begin(struct migrator *, msec_t now);
void clean_over(struct migrator *, msec_t now);
void rollback_begin(struct migrator *, msec_t now);
void rollback_over(struct migrator *, msec_t now);
void ask_begin(struct migrator *, msec_t now);
void ask_over(struct migrator *, msec_t now);
void doubt_lost(struct migrator *, msec_t now);

#endif
