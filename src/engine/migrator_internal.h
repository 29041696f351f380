/* SPDX-License-Identifier: PostgreSQL */
/* The inside of the migration runner: migrator.c moves the machine, migrator_ledger.c brings it to the comparison under the
   lock, migrator_file.c runs one file in one transaction (migrator_message.c: what surrounds it), migrator_split.c one statement by statement, and migrator_lookup.c
   finds out what became of a statement. */
#ifndef DBR_ENGINE_MIGRATOR_INTERNAL_H
#define DBR_ENGINE_MIGRATOR_INTERNAL_H

#include "engine/migrator.h"
#include "migrate/progress.h"

#define MIGRATOR_STATEMENTS 14
#define MIGRATOR_OUTCOMES 24

enum migrator_state {
	MS_CONNECT, MS_IDENTITY, MS_WATCHFUL, MS_ASK, MS_LOCK, MS_HOLDER, MS_RELATION, MS_JUDGE, MS_READ, MS_CREATE,
	MS_BEGIN, MS_SCRIPT, MS_RECORD, MS_COMMIT, MS_CLEAN, MS_ROLLBACK, MS_BLOCKER,
	MS_TABLE, MS_SETUP, MS_REPLAY, MS_LOOK, MS_VERDICT, MS_INTENT, MS_ALONE, MS_DONE, MS_OPEN, MS_STATEMENT, MS_DEFERRED, MS_NOTE, MS_CLOSE,
	MS_AGAIN, MS_FAIL, MS_FINISH, MS_MEND_TABLE, MS_MEND,
	MS_UNLOCK, MS_END, MIGRATOR_STATES
};

/* When a new index is looked up. */
enum lookup { LOOKUP_INTERRUPTED, LOOKUP_BEFORE, LOOKUP_AFTER };

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
	bool enough;                      /* no other file begins */

	/* the batch under way */
	void *step;                       /* parent of what belongs to it */
	struct statement statements[MIGRATOR_STATEMENTS];
	struct batch batch;
	struct text *message;             /* statements of ours for one message, NULL: the batch has none */
	unsigned n_message;
	struct outcome *outcomes[MIGRATOR_OUTCOMES];      /* kept except those of a file */
	struct outcome *failed;           /* the first error */

	bool watchful;                    /* the server can notice that we are gone while it works */
	msec_t lock_deadline;
	char *holder;                     /* who has the lock of the ledger; NULL = not asked yet */
	bool ledger_exists;
	void *run;                        /* rows and list of the last comparison */
	struct migration_list *list;
	uint32_t next;                    /* position in the list */
	uint32_t done, total;
	int rank;                         /* of the last row */

	/* the file under way */
	const struct migration_file *file;
	char *xid;
	unsigned xid_at, deferred_at, commit_at;          /* in the message */
	uint32_t follows;                 /* position in the list of the file that begins with the COMMIT of this one; n: none */
	bool dirty;                       /* a file may have left settings, temporary tables and so on */
	bool may_prepare;                 /* and prepared statements, cursors, listening */
	char *login;                      /* whom the session belongs to, as the server reports it */
	unsigned prepared;                /* number of the statement that we prepared; 0: none that is still there for certain */
	unsigned preparations;
	msec_t began;
	int execution_time_ms;
	unsigned attempts;
	/* COMMIT was sent and not answered: xid tells */
	bool in_doubt;
	unsigned asked, reconnects, doubts;

	/* statement by statement */
	bool progress_exists;
	uint32_t at, replay;              /* the statement under way; the one that is set again for the session */
	enum lookup lookup;
	bool doubted;                     /* the lookup found an invalid index, and asks once more */
	msec_t building_since;            /* 0 = nobody builds it */
	enum progress_state verdict;      /* of the lookup, to be noted */
	char *verdict_text;
	char *saved_lock_timeout, *saved_statement_timeout;
	char *blocked_relations;          /* array text: on one of them there is a lock that was not to be had */
	struct error reason;              /* of the statement that failed, while it is recorded */
	enum failure reason_failure;

	struct mending mending;           /* of the order */
	char *order_version;              /* of the file that it began to run */

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
/* BEGIN, a search_path in which our own names cannot be caught, and no role that the login's settings or a file have put on; the
   caller adds the COMMIT. His first statement is number MIGRATOR_OWN. In a new session SET is some 0.4 ms cheaper than set_config(). */
#define MIGRATOR_OWN 3
void migrator_begin_own(struct migrator *);
/* A table of ours: the login's own, whatever role its settings put on. */
void migrator_create(struct migrator *, const char *sql, msec_t now);

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
void judge_begin(struct migrator *, msec_t now);
void judge_over(struct migrator *, msec_t now);
void read_begin(struct migrator *, msec_t now);
void read_over(struct migrator *, msec_t now);
void create_begin(struct migrator *, msec_t now);
void create_over(struct migrator *, msec_t now);
void create_error(struct migrator *, msec_t now);
void unlock_begin(struct migrator *, msec_t now);
void unlock_over(struct migrator *, msec_t now);

/* migrator_message.c: statements of ours around a file, in one message of the simple protocol */
#define MESSAGE_OTHER_TRANSACTION "dbreconcile: other transaction"
#define MESSAGE_NO_LOCK "dbreconcile: no lock"
void message_begin(struct migrator *);
unsigned message_add(struct migrator *, const char *sql);         /* its index among the outcomes */
void message_add_clean(struct migrator *);
void message_add_begin(struct migrator *);
void message_add_record(struct migrator *);
void message_submit(struct migrator *, msec_t budget, msec_t now);
bool message_is_safe(const struct migrator *);           /* the server reads texts as we write them */
/* A statement that defines something leaves nothing in the session by itself; any other may call what does. */
bool message_defines(const char *command_tag);

/* Does the run end before this entry: is it held, or behind one that is? */
bool migrator_is_end(const struct migrator *, uint32_t entry);

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
void commit_error(struct migrator *, msec_t now);
void commit_lost(struct migrator *, msec_t now);
void clean_begin(struct migrator *, msec_t now);
void clean_over(struct migrator *, msec_t now);
void rollback_begin(struct migrator *, msec_t now);
void rollback_over(struct migrator *, msec_t now);
void ask_begin(struct migrator *, msec_t now);
void ask_over(struct migrator *, msec_t now);
void doubt_lost(struct migrator *, msec_t now);

/* Its parts that a file which runs statement by statement uses too. */
void file_fail(struct migrator *, enum failure, const struct error *);
void file_describe(struct migrator *, const struct outcome *failed, struct error *ret);
void file_applied(struct migrator *);
void file_end_cancelled(struct migrator *);
msec_t file_backoff(unsigned attempt);
bool file_wants_lock(const struct migrator *);           /* the statement failed because somebody else holds a lock */
#define FILE_ATTEMPTS_MAX 5
/* It gave up: the file fails with err, which names who holds the lock, as far as that can be found. */
void blocker_find(struct migrator *, enum failure, const struct error *err, msec_t now);
/* SET LOCAL of all that the file may have changed, so that our own statements mean what they say: four of them. */
void file_pin(struct migrator *);
void file_add_lock_check(struct migrator *);
void file_add_record(struct migrator *, bool success);
void file_lock_was_released(struct migrator *);

/* migrator_blocker.c */
void blocker_begin(struct migrator *, msec_t now);
void blocker_over(struct migrator *, msec_t now);
void blocker_error(struct migrator *, msec_t now);

/* migrator_split.c */
void split_table_begin(struct migrator *, msec_t now);
void split_table_over(struct migrator *, msec_t now);
void split_setup_begin(struct migrator *, msec_t now);
void split_setup_over(struct migrator *, msec_t now);
void split_replay_begin(struct migrator *, msec_t now);
void split_replay_over(struct migrator *, msec_t now);
void split_replay_error(struct migrator *, msec_t now);
void split_intent_begin(struct migrator *, msec_t now);
void split_intent_over(struct migrator *, msec_t now);
void split_run_begin(struct migrator *, msec_t now);
void split_alone_over(struct migrator *, msec_t now);
void split_alone_lost(struct migrator *, msec_t now);
void split_done_begin(struct migrator *, msec_t now);
void split_done_over(struct migrator *, msec_t now);
void split_open_begin(struct migrator *, msec_t now);
void split_open_over(struct migrator *, msec_t now);
void split_statement_over(struct migrator *, msec_t now);
void split_statement_error(struct migrator *, msec_t now);
void split_deferred_begin(struct migrator *, msec_t now);
void split_deferred_over(struct migrator *, msec_t now);
void split_note_begin(struct migrator *, msec_t now);
void split_note_over(struct migrator *, msec_t now);
void split_close_begin(struct migrator *, msec_t now);
void split_close_over(struct migrator *, msec_t now);
void split_again_over(struct migrator *, msec_t now);
void split_fail_begin(struct migrator *, msec_t now);
void split_fail_over(struct migrator *, msec_t now);
void split_fail_error(struct migrator *, msec_t now);
void split_finish_begin(struct migrator *, msec_t now);
void split_finish_over(struct migrator *, msec_t now);
void split_own_error(struct migrator *, msec_t now);
void split_lost(struct migrator *, msec_t now);
void split_next(struct migrator *, msec_t now);          /* the statement at m->at, or the end of the file */
void split_add_put(struct migrator *, enum progress_state, const char *message);
bool split_is_alone(const struct migrator *);            /* the statement at m->at runs outside of a transaction */

/* migrator_mend.c */
void mend_begin(struct migrator *, const struct ledger_row *rows, uint32_t n, msec_t now);
void mend_created(struct migrator *, msec_t now);        /* the ledger was */
void mend_table_begin(struct migrator *, msec_t now);
void mend_table_over(struct migrator *, msec_t now);
void mend_write_begin(struct migrator *, msec_t now);
void mend_write_over(struct migrator *, msec_t now);
void mend_error(struct migrator *, msec_t now);
void mend_lost(struct migrator *, msec_t now);

/* migrator_lookup.c */
void lookup_interrupted(struct migrator *, uint32_t entry, msec_t now);
void lookup_begin(struct migrator *, msec_t now);
void lookup_over(struct migrator *, msec_t now);
void verdict_begin(struct migrator *, msec_t now);
void verdict_over(struct migrator *, msec_t now);

#endif
