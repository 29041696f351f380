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

const char *change_op_name(enum change_op op)
{
	static const char *const names[CHANGE_OPS] = {
		[CHANGE_CREATE_ROLE] = "create_role", [CHANGE_RENAME_ROLE] = "rename_role", [CHANGE_ALTER_ROLE] = "alter_role",
		[CHANGE_SET_PASSWORD] = "set_password", [CHANGE_COMMENT_ROLE] = "comment_role", [CHANGE_SET_SETTING] = "set_setting",
		[CHANGE_RESET_SETTING] = "reset_setting", [CHANGE_GRANT_MEMBERSHIP] = "grant_membership",
		[CHANGE_REVOKE_MEMBERSHIP] = "revoke_membership", [CHANGE_CREATE_SCHEMA] = "create_schema",
		[CHANGE_CREATE_DATABASE] = "create_database",
		[CHANGE_CREATE_EXTENSION] = "create_extension", [CHANGE_UPDATE_EXTENSION] = "update_extension",
		[CHANGE_MOVE_EXTENSION] = "move_extension", [CHANGE_DROP_EXTENSION] = "drop_extension", [CHANGE_MIGRATE] = "migrate",
		[CHANGE_OWNER] = "owner", [CHANGE_GRANT] = "grant", [CHANGE_REVOKE] = "revoke",
		[CHANGE_REVOKE_GRANT_OPTION] = "revoke_grant_option", [CHANGE_DEFAULT_GRANT] = "default_grant",
		[CHANGE_DEFAULT_REVOKE] = "default_revoke", [CHANGE_ROW_SECURITY] = "row_security",
		[CHANGE_CREATE_POLICY] = "create_policy", [CHANGE_ALTER_POLICY] = "alter_policy",
		[CHANGE_REPLACE_POLICY] = "replace_policy", [CHANGE_DROP_POLICY] = "drop_policy",
		[CHANGE_REASSIGN_OWNED] = "reassign_owned", [CHANGE_END_SESSIONS] = "end_sessions",
		[CHANGE_DROP_ROLE] = "drop_role",
		[CHANGE_DROP_SCHEMA] = "drop_schema", [CHANGE_COMMENT_POLICY] = "comment_policy", [CHANGE_UNDO] = "undo",
	};

	return op < CHANGE_OPS ? names[op] : "unknown";
}
