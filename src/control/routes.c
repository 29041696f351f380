/* SPDX-License-Identifier: PostgreSQL */
/* The API as a table. docs: schemas/README.md; a test holds that every POST demands authority and nothing else does. */
#include "config.h"

#include "control/internal.h"

const struct route routes[] = {
	/* method  path                                verb           writes metrics params                              handler */
	{ "GET",  DBR_PATH_STATUS,                     "status",      false, false, "target* ",                          get_status },
	{ "GET",  DBR_PATH_TARGETS,                    "targets",     false, false, "",                                  get_targets },
	{ "GET",  DBR_PATH_TARGETS "/{target}",        "target",      false, false, "",                                  get_target },
	{ "GET",  DBR_PATH_TARGETS "/{target}/plan",   "plan",        false, false, "sql fresh timeout ",                get_plan },
	{ "GET",  DBR_PATH_TARGETS "/{target}/migrations", "migrations", false, false, "",                               get_migrations },
	{ "GET",  DBR_PATH_MIGRATIONS,                 "fleet",       false, false, "target* ",                          get_fleet },
	{ "GET",  DBR_PATH_EVENTS,                     "events",      false, false, "since after limit target* follow ", get_events },
	{ "GET",  DBR_PATH_ACCESS,                     "access",      false, false, "role object target* ",              get_access },
	{ "GET",  DBR_PATH_IMPORT "/{target}",         "import",      false, false, "",                                  get_import },
	{ "GET",  DBR_PATH_CONFIG,                     "config",      false, false, "",                                  get_config },
	{ "GET",  DBR_PATH_PING,                       "ping",        false, false, "",                                  get_ping },
	{ "GET",  DBR_PATH_VERSION,                    "version",     false, false, "",                                  get_version },
	{ "POST", DBR_PATH_RECONCILE,                  "reconcile",   true,  false, "target* wait timeout dry_run ",     post_reconcile },
	{ "POST", DBR_PATH_RELOAD,                     "reload",      true,  false, "",                                  post_reload },
	{ "POST", DBR_PATH_TARGETS "/{target}/suspend", "suspend",    true,  false, "reason for ",                       post_suspend },
	{ "POST", DBR_PATH_TARGETS "/{target}/resume", "resume",      true,  false, "",                                  post_resume },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/release", "release", true, false, "",                          post_release },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/accept-schema", "accept_schema", true, false, "",              post_accept_schema },
	{ "POST", DBR_PATH_TARGETS "/{target}/approve", "approve",    true,  false, "plan ",                             post_approve },
	{ "POST", DBR_PATH_TARGETS "/{target}/reject", "reject",      true,  false, "plan ",                             post_reject },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/baseline", "baseline", true, false, "version dry_run ",         post_ledger_order },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/repair", "repair", true, false, "dry_run ",                     post_ledger_order },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/resolve", "resolve", true, false,
	  "version applied not_applied from_statement dry_run ",                                                         post_ledger_order },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/run", "run", true, false, "version out_of_order dry_run ",      post_ledger_order },
	{ "POST", DBR_PATH_TARGETS "/{target}/migrations/undo", "undo_migration", true, false,
	  "version dry_run ",                                                                                            post_ledger_order },
	{ "POST", DBR_PATH_UNDO "/{change}",           "undo",        true,  false, "",                                  post_undo },
	{ "GET",  "/metrics",                          "metrics",     false, true,  NULL,                                get_metrics },
	{ "GET",  "/livez",                            "livez",       false, true,  "verbose ",                          get_livez },
	{ "GET",  "/readyz",                           "readyz",      false, true,  "verbose ",                          get_readyz },
	{ "GET",  "/healthz",                          "healthz",     false, true,  "verbose ",                          get_readyz },
};
const unsigned n_routes = sizeof(routes) / sizeof(routes[0]);
