/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the files of engine/ share: the engine, its servers and their targets.
 * Nobody outside this folder includes it.
 *
 *   fleet.c   which targets there are, and when each is due
 *   slots.c   how many may be connected
 *   waves.c   who is migrated before whom    brake.c   what failed is not tried again
 *   turn.c    the order of one turn of the loop
 *   target.c  executes what target_fsm.c says for one target
 *   pass.c    how a pass begins and ends   connection.c  its connection
 *   look.c    the batches of one look      ledger.c  the ledger's, after it
 *   unchanged.c  a look that found what the one before found
 *   judge.c   a look -> a plan -> what to do next
 *   apply.c   groups of changes as transactions
 *   quiet.c   has anything changed at all
 *   migrations.c  what is pending   runner.c  runs it, by migrator.h   held.c  what waits for somebody's word (held.h)
 *   orders.c  what people order of a target   ledger_order.c  and of a ledger
 *   secrets.c, password.c  where passwords come from, and whether those on the server match
 *   publish.c what people see   history.c  what is recorded of changes
 *   undo.c    what is to be taken back, and what was (undo.h)
 *   schema.c  what schemas hold beside what migrations made (schema.h)
 */
#ifndef DBR_ENGINE_INTERNAL_H
#define DBR_ENGINE_INTERNAL_H

#include "engine/brake.h"
#include "engine/engine.h"
#include "engine/target_fsm.h"
#include "engine/waves.h"

struct event;
struct passwords;
struct flapping;
struct migration_source;
struct apply;
struct ledger_read;
struct hook;
struct migrator;
struct secrets;
struct look_time;
struct schema_job;
struct schema_peers;
struct schema_watch;
struct undo_list;

/* ---- counted things: a pass keeps what it began with ---- */

struct settings_hold {
	unsigned refs;
	struct settings *settings;        /* a talloc child */
};

/* One server under one generation of the settings. Names are shared by its looks and wishes. */
struct generation {
	unsigned refs;
	struct settings_hold *hold;
	const struct server_settings *server;
	struct names *names;
	struct desired *desired;          /* of the server target; NULL: it could not be compiled, see error */
	struct error error;
};

/* What one look found, with the rows under it. */
struct look {
	unsigned refs;
	struct generation *gen;
	struct server_state *server_state;        /* of a server target */
	struct database_state *database_state;    /* of a database target */
	const char *snapshot;
	unsigned epoch;                           /* of the server's kept connection; 0 = cannot be compared */
	msec_t at;
	unsigned char digest[32];                 /* of what was asked and answered; see unchanged.c */
	struct look_time *time;                   /* when it was found again; NULL = once only */
};

struct settings_hold *settings_hold_new(void *parent, struct settings *);
void settings_hold_unref(struct settings_hold *);
struct generation *generation_new(void *parent, struct settings_hold *, const struct server_settings *);
struct generation *generation_ref(struct generation *);
void generation_unref(struct generation *);
struct look *look_new(void *parent, struct generation *);
struct look *look_ref(struct look *);
void look_unref(struct look *);

/* ---- waiting for a socket ---- */

struct watch {
	struct event *event;
	int fd;
	unsigned epoch, wants, ready;
};

/* ---- outcomes of one batch ---- */

struct collect {
	void *parent;                     /* of the outcomes */
	struct outcome **v;
	unsigned n;
	bool over;
	const struct outcome *error;      /* the first */
};

/* ---- one pass ---- */

/* The steps of TS_MIGRATE. */
enum run_step { RUN_BEFORE, RUN_FILES, RUN_AFTER, RUN_SEED, RUN_OVER };

struct pass {
	msec_t started, deadline;
	msec_t server_by;                 /* a plan that waits for the server's look is made then all the same; 0 = it does not wait */
	int64_t started_us, cpu_us, applied_us;
	bool ordered, admitted, migrated, wrote, observed_only;
	bool retry;                       /* somebody ordered that what failed is tried again */
	struct collect collect;
	struct batch batch;
	struct statement *statements;
	unsigned n_statements;
	enum query_id *ids;               /* of the look under way, QUERIES long */
	unsigned n_ids;
	unsigned look_step;
	unsigned sizes;                   /* statements of sizes.c */
	const char *retiring;             /* roles that are to go, as array text: their dependencies are part of the look */
	unsigned rounds;                  /* of applying */
	bool progress;                    /* something was committed in the last of them */
	struct look *look;                /* being made, or the target's when it found nothing else */
	bool unchanged;                   /* the latter */
	struct look_time *time;           /* of a look that found nothing else */
	struct server_facts facts;
	struct apply *apply;
	struct migrator *migrator;
	struct hook *hook;
	enum run_step run;                /* of the migrations: what runs now */
	unsigned ready;                   /* what the socket was ready for in this turn */
	msec_t runner_deadline;
	int64_t migration_event;          /* the one that is stored and open */
	msec_t recorded;                  /* when events of migrations were written last */
	msec_t told;                      /* when the view was told last what the runner does */
	bool cancelled, file_failed;
	struct ledger_read *ledger;
	struct expressions *expressions;
	struct source_files *files;       /* read in this pass, not compared yet */
	struct source_files *seed_files;
	struct schema_job *schema;        /* a look at the schemas under way */
	bool schema_looked, schema_migrated;      /* made in this pass; after its migrations */
	bool files_ran;                   /* of migrations or of seed data, however they ended */
	/* the first thing that went wrong without ending the pass */
	enum failure failure;
	struct error error;
	const char *approved;             /* the id of the held plan that an operator released */
};

/* A transaction whose COMMIT was sent and not answered. */
struct doubt {
	char *xid;
	int64_t *events;
	uint32_t n_events;
};

struct target {
	struct engine *engine;
	struct server *server;
	const char *name;                 /* "prod", "prod/orders" */
	const char *database;             /* NULL: the server target */
	bool from_match;                  /* found by a glob: vanishes with its database */
	bool removed;                     /* no longer configured: free when stopped */
	enum target_state state;

	struct generation *gen;           /* of the pass under way or the last one */
	const struct database_settings *db;      /* within gen */
	const struct database_settings *configured;      /* within the server's newest generation; NULL: not any more */
	struct desired *desired;          /* database target: for gen */

	/* schedule */
	msec_t due;                       /* MSEC_NEVER = waits for its server */
	bool ordered, again, order_observed;
	bool soon;                        /* something was changed beside the pass under way: another one when it is over */
	unsigned failures;                /* in a row */
	msec_t wake;                      /* when it must be turned at the latest */
	uint32_t heap_at;                 /* position + 1 in the heap, 0 = not in it */
	bool marked, queued;
	struct target *mark_next, *queue_next;

	/* connection */
	struct session *session;
	struct watch watch;
	bool has_slot, kept;              /* kept: a database's connection, between two passes */
	bool asserted;                    /* this session is on the right server, with our settings: only such a one is kept */

	struct pass *pass;
	struct doubt *doubt;

	/* the last look and what was planned from it */
	struct look *look, *plan_look;    /* plan_look: the server's look that the plan stands on */
	struct plan *plan;
	enum target_event verdict;        /* of the last plan */
	bool plan_stale;                  /* something but the catalogs changed: an approval, a suspension, a password */
	bool plan_applies;                /* it was made to be applied */
	const char *rejected_by;          /* a child of plan */
	char held_noted[17];              /* id of the plan of which history says that it is held; also in state.db */
	bool waiting_quiet, waiting_secret;
	struct target *quiet_next;        /* of those that wait for the same answer */
	msec_t pass_due;                  /* when the pass under way was due */
	msec_t resume_due;                /* when it was due before a pass that only looks was ordered */
	char identity_offered[17];        /* what answered instead of who we knew; approve accepts it */

	struct flapping *flapping;
	struct undo_list *undo;           /* NULL = nothing is to be undone, and nothing was */
	struct source_files *files;       /* what the last look compared */
	struct migration_list *migrations;
	struct brake brake;               /* what failed and waits for other files or an order */
	bool after_owed;                  /* files have run, and the hook after the last one has not been called yet */
	bool retry;                       /* an order of that came: for the next pass */
	void *migrations_ctx;
	char *ledger_noted;               /* in state.db: it has been seen; NULL = not by this process */
	struct ledger_known {             /* of what migrations was made; see ledger_same.c */
		bool valid, superuser;
		uint32_t oid;
		uint64_t seed, generation;
		struct ledger_sum sum;
		bool unhashable;          /* a column has a type without a hash: it is always read */
	} ledger_known;

	struct schema_watch *schema;      /* NULL = not watched, or not yet */

	/* waves */
	struct wave_wait wait;            /* at rest: why it is not migrated; only .why is good later */
	bool migrating, at_version;
	int version_rank;                 /* of the newest row in the ledger, and since when it was seen */
	int64_t version_since_ms;
	uint64_t line_released;           /* digest of the files for which nobody waits for this one */

	/* a database that we created: the only kind that is seeded */
	struct created {
		uint64_t system_identifier;
		uint32_t oid;             /* 0 = we did not, or do not know it yet */
		bool just_now, seeded;
	} created;

	bool suspended;
	char *suspend_reason;
	int64_t suspend_until;

	bool once_done;
	struct target_view view;
	void *view_ctx;                   /* texts of the view */
	msec_t last_logged_failure;
};

struct server {
	struct engine *engine;
	const char *name;
	struct generation *gen;
	struct target *root;              /* the server target */
	struct target **databases;
	uint32_t n_databases;
	struct look *look;                /* the last good one of root */
	bool released;                    /* root has come to rest once under gen: its databases may work */
	bool down;                        /* root could not connect */
	bool removed;
	unsigned migrating, called;       /* databases that run migrations; that were told to begin in this turn */
	unsigned open, kept;              /* connections of ours; those to databases that are kept between passes */
	struct target *queue, **queue_tail;
	/* learned by root, used to pin settings of every later connection */
	int version_num;
	bool superuser;
	unsigned epoch;                   /* counts kept connections */
	/* the quiet check under way on root's session */
	bool asking;
	struct target *waiting;           /* for the answer */
	struct statement ask_statement;
	struct batch ask_batch;
	struct collect ask_collect;
	msec_t ask_deadline;
	struct passwords *passwords;
};

/* What was already said of the history. */
struct history_watch {
	uint64_t changed, lost, lost_before;
	bool failing, moved;
};

struct engine {
	struct event_base *base;
	struct engine_options options;
	struct state *state;
	struct settings_hold *hold;
	uint64_t generation;
	struct server **servers;
	uint32_t n_servers;
	struct target **order;            /* servers as configured, databases by name; last those of servers that were replaced */
	uint32_t n_order, n_shown;        /* for engine_view(): without the latter, each name once */
	struct target **heap;
	uint32_t n_heap, heap_cap;
	struct target *marked, **marked_tail;
	struct migration_source *sources;
	unsigned open, server_turn;
	unsigned reap;                    /* stopped targets that are no longer configured */
	struct schema_peers *schema_peers;
	struct secrets *secrets;
	struct ledger_job *ledger_jobs;
	uint64_t next_ledger_job;
	uint64_t random;
	struct event *timer;
	msec_t timer_at;                  /* MSEC_NEVER = not armed */
	msec_t timer_fired;               /* what it was armed for when it fired in this turn; 0 = it did not */
	msec_t now;
	int64_t cpu_mark;                 /* CPU time that is accounted for, us */
	msec_t first_event;               /* when the first socket of this turn was seen ready; 0 = none */
	bool schemas_moved;               /* databases are to be compared with their peers again */
	bool line_moved;                  /* who waits for another wave is to be asked again */
	bool stopping;
	msec_t stop_deadline;
	msec_t cycle_started;
	struct engine_numbers numbers;
	struct history_watch history;
};

/* ---- turn.c ---- */
void target_mark(struct target *);
void target_wake_at(struct target *, msec_t when);      /* replaces the earlier wake */
void target_unmark(struct target *);
void engine_arm(struct engine *, msec_t now);             /* after wakes that were set outside a turn */

/* ---- watch.c ---- */
void watch_update(struct target *);                      /* after anything that may have changed the session's socket */
void watch_close(struct target *);
void watch_fd(struct target *, int fd, unsigned wants, unsigned epoch);

/* ---- target.c ---- */
void target_event(struct target *, enum target_event, msec_t now);
void target_turn(struct target *, msec_t now);
/* Ends the pass as failed; err is copied. */
void target_fail(struct target *, enum failure, const struct error *err, msec_t now);
void target_failf(struct target *, enum failure, msec_t now, const char *hint, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Pulls outcomes: 0 more to come, 1 the batch is over, 2 the session failed. */
int collect_turn(struct target *, struct collect *);
void collect_begin(struct collect *, void *parent);
int target_submit(struct target *, enum batch_mode, struct statement *, unsigned n, msec_t budget, msec_t now);

/* ---- pass.c ---- */
void pass_begin(struct target *, msec_t now);
void pass_admitted(struct target *, msec_t now);         /* a connection is there: the deadline runs from now on */
/* What is worked between the two counts as the CPU time of the target's pass. */
void target_work_begin(struct target *);
void target_work_end(struct target *);
/* Remembers a failure that does not end the pass. */
void pass_note_failure(struct pass *, enum failure, const struct error *);
/* It is over: as well as it could, or failed with what pass->error says. */
void pass_rest(struct target *, msec_t now);
void pass_backoff(struct target *, msec_t now);
void server_looked(struct server *);                     /* the plans of its databases that waited for it can be made */

/* ---- connection.c ---- */
void connection_open(struct target *, msec_t now);       /* begins; connection_turn() raises TE_READY or fails the pass */
void connection_turn(struct target *, msec_t now);
void connection_failed(struct target *, msec_t now);     /* the session is: its reason ends the pass */
void target_disconnect(struct target *);

/* ---- fleet.c ---- */
struct target *fleet_target(const struct engine *, const char *name);     /* NULL = there is none */
void fleet_configure(struct engine *, struct settings_hold *, msec_t now);
void fleet_expand(struct server *, msec_t now);          /* databases appear and vanish with a look of the server */
void fleet_release(struct server *, msec_t now);         /* root has come to rest: its databases may work */
void fleet_reap(struct engine *);
bool target_rebase(struct target *, msec_t now);         /* takes the newest generation; false: failed, event raised */

/* ---- schedule.c ---- */
msec_t schedule_next(struct engine *, msec_t interval, msec_t started, msec_t now);
msec_t schedule_backoff(struct engine *, unsigned failures, msec_t cap);
uint64_t engine_random(struct engine *);                 /* uniform 64 bits; seeded, so that simulations replay */

/* ---- slots.c ---- */
void slots_queue(struct target *, bool first);
void slots_unqueue(struct target *);
void slots_release(struct target *);
void slots_admit(struct engine *, msec_t now);
bool slots_may_keep(const struct target *);
void slots_keep(struct target *, bool keep);

/* expressions.c: policy expressions compared on the server, between look and plan. begin: false when there is nothing to
   compare; turn: 0 under way, 1 over (or the pass has failed), 2 the session failed. */
bool expressions_begin(struct target *, msec_t now);
int expressions_turn(struct target *, msec_t now);
enum expression_state expression_state(void *target, const char *schema, const char *table, const char *wanted, const char *live,
				       const char **ret_reason);

/* sizes.c: pending migrations beside the live tables. begin: false when there is nothing to ask; turn as above. */
bool sizes_begin(struct target *, msec_t now);
int sizes_turn(struct target *);

/* ---- look.c, ledger.c ---- */
/* Names, as array text, of the ledger, of that of seed data, and of what stands beside them. A talloc child of parent. */
const char *ledger_tables(void *parent, const char *table);
/* A catalog query, prepared where the connection stays. */
struct statement look_query(const struct target *, enum query_id);
int look_begin(struct target *, msec_t now);
void look_turn(struct target *, msec_t now);
int facts_begin(struct target *, msec_t now);
void facts_turn(struct target *, msec_t now);
/* The pass fails with an error of the server; a lock on the ledger is named. */
void ledger_fail(struct target *, const struct outcome *failed, msec_t now);
bool ledger_begin(struct target *, msec_t now);          /* false: there is nothing to read */
int ledger_turn(struct target *, msec_t now);            /* 0 more to come, 1 over, 2 the session failed */
char *ledger_lock_sql(void *parent, const char *schema, const char *table);

/* ledger_same.c: a ledger that is as it was read last is not read again. begin: false when it must be; turn: 0 more to come, 1 it
   is the same, 2 the session failed, 3 it is not, 4 nor can that be said: the transaction has failed. */
bool ledger_same_begin(struct target *, msec_t now);
int ledger_same_turn(struct target *, msec_t now);
void ledger_same_note(struct target *, const struct rowset *rows);      /* the list was made of these */
const char *ledger_same_seed(struct target *, void *parent);            /* for the rows that are read next */

/* ---- unchanged.c ---- */
/* When the answers of the pass's look are those of the target's last one, that one takes its place, undecoded. 0 it did or did
   not, see pass->unchanged; 1 the facts could not be understood. */
int look_recognise(struct target *, struct error *err);
/* The last look holds from now on. */
void look_renew(struct target *);
/* Does the last plan hold too, with nothing to do in it? */
bool plan_stands(const struct target *);

/* ---- identity.c ---- */
/* 0 the right one; 1 not: err says what it is and what to do. */
int identity_check(struct target *, const struct server_facts *, struct error *err);
/* A root target, and a database that it had when it was looked at last. */
bool identity_database_known(void *root, const char *database);
/* The database was made anew by us: what was known of the one before, its ledger too, is of no use. */
void identity_forget(struct target *);
/* Is this what the target was last known to be? What nobody could read (0) cannot differ. */
bool identity_is(struct target *, uint64_t system_identifier, uint32_t oid);
void identity_approval_id(uint64_t system_identifier, uint32_t oid, char id[17]);

/* ---- judge.c ---- */
int plan_make(struct target *, msec_t now, struct error *err);
enum target_event plan_verdict(const struct target *);
bool plan_stage_first(const struct target *);            /* migrations are to run in this pass: only the phases before them */

/* ---- flapping.c ---- */
void flapping_pass(struct target *);                     /* a pass begins: history moves by one */
void flapping_mark_plan(struct target *, struct plan *); /* blocks what was corrected too often */
void flapping_count(struct target *, const struct plan *, const struct change *);
/* Does the plan hold again what was made in this very pass? */
bool flapping_made_now(const struct target *, const struct plan *);
void flapping_forget(struct target *);

/* ---- apply.c, history.c ---- */
void apply_begin(struct target *, msec_t now);
void apply_turn(struct target *, msec_t now);
void apply_lost(struct target *);                        /* the connection went: close or doubt the events */
void doubt_settle(struct target *, const char *status);  /* pg_xact_status(): "committed", "aborted", NULL */
void history_watch(struct engine *);                     /* says what could not be recorded */

/* ---- secrets.c ---- */
struct secrets *secrets_new(struct engine *);
/* secret_read() for every kind, NULL for SECRET_NONE: 0 ok; 1 unavailable; 2 a command runs: the target is marked when it is over. */
int secrets_get(struct target *, void *parent, const struct secret_source *, char **ret, struct error *err);
/* The same for who is no target: it asks again with every turn. */
int secrets_ask(struct engine *, void *parent, const struct secret_source *, char **ret, struct error *err);
void secrets_forget(struct engine *, const struct secret_source *);      /* it was refused: not from memory the next time */
void secrets_turn(struct engine *, msec_t now);
void secrets_watch(struct engine *);
msec_t secrets_deadline(const struct engine *);

/* ---- password.c ---- */
struct passwords *passwords_new(void *parent);
/* Works for at most budget ms; true when every secret that the plan will ask for is known. */
bool passwords_prepare(struct target *, const struct server_state *, msec_t budget);
enum password_state password_state(void *data, const struct role_wish *, const struct role *live, const char **ret_verifier,
				   const char **ret_reason);
void passwords_applied(struct target *, const struct plan *, const struct change *);
/* Where the migration user's password comes from: its own source, else that of its role in the manifests. */
const struct secret_source *password_source_of_migrations(const struct server_settings *, const struct migration_settings *);

/* ---- quiet.c ---- */
bool quiet_possible(const struct target *, msec_t now);
void quiet_ask(struct target *, msec_t now);
void quiet_turn(struct server *, msec_t now);            /* root's session has something */
void quiet_lost(struct server *, msec_t now);            /* nobody gets an answer */
void quiet_forget(struct target *);                      /* it waits for none any more */

/* ---- files.c: migration files, shared by the targets that name the same directories ---- */
struct source_files {
	unsigned refs;
	struct migration_files *files;    /* NULL: they could not be read, see error */
	struct error error;
	uint64_t digest;                  /* see source_files_digest(); 0 = not reckoned yet */
	struct source_files *raw;         /* of what this is a view; NULL: the files as they are */
	uint64_t values;                  /* of a view: digest of what was put in, but for the time of day */
};
/* The files as they are now, read again when a directory or file has changed; the caller unrefs. */
struct source_files *source_files_get(struct engine *, const struct migration_settings *);
/* The same as one database sees them: with its placeholders. Shared by all that see the same. */
struct source_files *source_files_view(struct engine *, const struct migration_settings *, const char *database);
void source_files_unref(struct source_files *);
/* Do both get the same reading from source_files_get()? */
bool source_same(const struct migration_settings *, const struct migration_settings *);
/* Is it a view of these files, or these themselves? */
bool source_files_of(const struct source_files *view, const struct source_files *files);
/* Of names, lengths, checksums and side files: equal for the same files, 0 when they could not be read. */
uint64_t source_files_digest(struct source_files *);
/* The same, and of what the placeholders stand for. */
uint64_t source_files_digest_shown(struct source_files *);
/* The next reading looks at the directories, however short ago the last was: somebody ordered something, maybe after an edit. */
void source_files_ask_again(struct engine *, const struct migration_settings *);

/* ---- migrations.c ---- */
bool migrations_refresh(struct target *);                /* false: the files cannot be read, the list says why */
bool migrations_changed(struct target *);                /* are the files others than those of the last look */
void migrations_look_ahead(struct target *);             /* looks whether the files have changed, while the server works */
void migrations_keep(struct target *);                   /* instead of migrations_compare(): files and ledger are as they were */
bool migrations_superuser(const struct target *);        /* is the migration user one */
/* ctx holds the rows and becomes the target's; rows NULL = no ledger yet. */
void migrations_compare(struct target *, void *ctx, const struct ledger_row *rows, uint32_t n_rows,
			const struct migration_progress *progress, uint32_t n_progress);
void migrations_warn(struct target *, const char *text);  /* about the list of the last comparison; copied */
/* There is none yet. why: what is pending must not run without somebody's word; NULL = it may. */
void migrations_without_ledger(struct target *, const struct error *why);
/* A file that failed and left no row is pending: its note says why. */
void migrations_note_failure(struct target *, const struct error *err);
void migrations_unknown(struct target *, const struct error *why);
void migrations_append(struct target *, struct plan *);
uint32_t migrations_pending(const struct target *);
bool migrations_wants(const struct target *);            /* there is something to run, and nothing in the ledger forbids it */
/* And it may run now. */
bool migrations_runnable(const struct target *);

/* ---- runner.c, runner_tell.c ---- */
void migrations_run(struct target *, msec_t now);
void migrations_turn(struct target *, msec_t now);
void migrations_forget(struct target *);                 /* the pass is over: ends the runner */
struct migrator_progress;
void runner_tell(struct target *, const struct migrator_progress *, msec_t now);
void runner_tell_hook(struct target *, msec_t now);

/* ---- ledger_order.c: what operators order to be done to a ledger ---- */
void ledger_orders_turn(struct engine *, msec_t now);
msec_t ledger_orders_deadline(const struct engine *);
void ledger_orders_stop(struct engine *, msec_t now);    /* what runs is rolled back, or ends */
bool ledger_orders_over(const struct engine *);

/* ---- orders.c ---- */
struct target *order_target(const struct engine *, const char *name, struct error *err);      /* NULL: err */
void order_record(struct engine *, const char *target, const char *kind, const char *actor, const char *object, const char *plan);
void order_judge_again(struct target *);
void order_pass(struct target *, bool observed_only, msec_t now);
void suspension_expire(struct target *);

/* ---- publish.c ---- */
void publish_start(struct target *);
void publish_state(struct target *);
/* A message until the pass is over. */
void publish_doing(struct target *, const char *message);
void publish_rest(struct target *, msec_t now);
void publish_failure(struct target *, enum failure, const struct error *, msec_t now);
void publish_server_down(struct server *, msec_t now);
void publish_suspension(struct target *);
enum run_mode target_mode(const struct target *);
bool target_applies(const struct target *);              /* what is planned for it is meant to be done */

static inline bool target_is_root(const struct target *t)
{
	return t->database == NULL;
}

static inline const struct server_settings *target_server_settings(const struct target *t)
{
	return t->gen->server;
}

static inline const struct settings *target_settings(const struct target *t)
{
	return t->gen->hold->settings;
}

#endif
