/* SPDX-License-Identifier: PostgreSQL */
#include "model/change.h"

const char *drift_kind_name(enum drift_kind kind)
{
	static const char *const names[DRIFT_KINDS] = {
		[DRIFT_ROLE] = "role", [DRIFT_MEMBERSHIP] = "membership", [DRIFT_SETTING] = "setting", [DRIFT_DATABASE] = "database",
		[DRIFT_SCHEMA] = "schema", [DRIFT_EXTENSION] = "extension", [DRIFT_OWNER] = "owner", [DRIFT_GRANT] = "grant",
		[DRIFT_DEFAULT_PRIVILEGE] = "default_privilege", [DRIFT_ROW_SECURITY] = "row_security", [DRIFT_LEDGER] = "ledger",
	};

	return kind < DRIFT_KINDS ? names[kind] : "unknown";
}
