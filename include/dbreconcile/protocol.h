/* SPDX-License-Identifier: PostgreSQL */
/* What dbreconciled and dbreconcilectl share: paths, versions, limits and exit codes. Nothing else. */
#ifndef DBRECONCILE_PROTOCOL_H
#define DBRECONCILE_PROTOCOL_H

#define DBR_FORMAT_VERSION "1.0"     /* of every JSON document: minor adds keys, major may break readers */
#define DBR_REAL_DIGITS 15           /* of spans: thousandths or millionths, and no digits of the binary number behind them */

#define DBR_PATH_STATUS   "/v1/status"
#define DBR_PATH_TARGETS  "/v1/targets"      /* /{target}, /{target}/plan, /{target}/migrations, /{target}/suspend ... */
#define DBR_PATH_MIGRATIONS "/v1/migrations"  /* of the whole fleet */
#define DBR_PATH_EVENTS   "/v1/events"
#define DBR_PATH_ACCESS   "/v1/access"
#define DBR_PATH_IMPORT   "/v1/import"       /* /{target} */
#define DBR_PATH_CONFIG   "/v1/config"
#define DBR_PATH_RECONCILE "/v1/reconcile"
#define DBR_PATH_RELOAD   "/v1/reload"
#define DBR_PATH_UNDO     "/v1/undo"         /* /{change} */
#define DBR_PATH_PING     "/v1/ping"
#define DBR_PATH_VERSION  "/v1/version"

#define DBR_REQUEST_HEADERS_MAX (8 * 1024)
#define DBR_REQUEST_BODY_MAX    (64 * 1024)
#define DBR_CLIENTS_MAX         64           /* per socket */

enum dbr_exit {
	DBR_EXIT_OK = 0,
	DBR_EXIT_DRIFT = 1,
	DBR_EXIT_USAGE = 2,
	DBR_EXIT_UNREACHABLE = 3,
	DBR_EXIT_PERMISSION = 4,
	DBR_EXIT_FAILED = 5,        /* a target failed or a change is blocked */
	DBR_EXIT_CONFIG_DAEMON = 6, /* dbreconciled: not configured, or configuration invalid */
	DBR_EXIT_TIMEOUT = 6,       /* dbreconcilectl: timed out */
	DBR_EXIT_CONFIG = 7,        /* dbreconcilectl: configuration invalid */
	DBR_EXIT_INTERNAL = 70,
};

#endif
