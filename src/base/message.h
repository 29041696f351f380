/* SPDX-License-Identifier: PostgreSQL */
/*
 * MESSAGE_ID of the journal, one for each kind of event that people look for:
 *   journalctl MESSAGE_ID=...   journalctl -x explains them
 * Fixed for ever. systemd/dbreconcile.catalog has the explanations; a test
 * holds the two together.
 */
#ifndef DBR_BASE_MESSAGE_H
#define DBR_BASE_MESSAGE_H

#define MESSAGE_STATUS             "7470904e2d9642fb87ced657067a3ca7"   /* a target's state changed */
#define MESSAGE_PASS_FAILED        "c352fc548e0d4ab48af062d5fcbdffea"   /* a pass failed */
#define MESSAGE_CHANGE_APPLIED     "a660f4b788c64c03bc5928fecbf68794"   /* a change was applied */
#define MESSAGE_CHANGE_FAILED      "dd97157e076747228fefc309ec6f8a01"   /* a change failed */
#define MESSAGE_ORDER              "cf06122e1684482c803ffc85ea33723c"   /* an operator gave an order */
#define MESSAGE_STATE_NOT_STORED   "1c773c801d8f459b88f12edb2091aac6"   /* an order could not be stored */
#define MESSAGE_DATABASE_FOUND     "768ea0a85a03460584d40924e9e95692"   /* a database matches now */
#define MESSAGE_DATABASE_GONE      "f18bed984687423f88f39584a8faf33e"   /* a database is gone */
#define MESSAGE_IDENTITY_ACCEPTED  "d543f2e9786848978d6f8992f36b2bed"   /* another cluster was accepted */
#define MESSAGE_IN_DOUBT           "0417ec7b48374cc8b06df8302d1469f9"   /* a commit is in doubt */
#define MESSAGE_IN_DOUBT_RESOLVED  "8859a301456f446eacfa2c763d552870"   /* a commit was in doubt */
#define MESSAGE_LOCK_HELD          "3afb2c1766a14659b59e868d1b821482"   /* the advisory lock is held by somebody */
#define MESSAGE_MIGRATION_APPLIED  "1a1331b76dc946f98d94a5c9fa5e5d14"   /* a migration was applied */
#define MESSAGE_MIGRATION_FAILED   "04fed884f3424d84be20d84c33382811"   /* a migration failed */
#define MESSAGE_HOOK               "5b0a3c52b8f34be59b0e6a6b0f3b7d14"   /* a hook of the migrations has ended */
#define MESSAGE_SCHEMA_DRIFT       "a28f9b56765842779b0cc730133607d0"   /* schemas were changed outside of migrations */
#define MESSAGE_RELOAD_REFUSED     "c3a3c30b02e14bfd869f4def2477e678"   /* a reload was refused */

#endif
