# SPDX-License-Identifier: PostgreSQL
# Where fetched servers are kept: outside the tree, and where the user that runs PostgreSQL can read them
# (root's home is often closed to others). Sourced.

dbr_cache_dir() {
	if [ -n "${DBRECONCILE_CACHE:-}" ]; then
		printf '%s\n' "$DBRECONCILE_CACHE"
	elif [ "$(id -u)" -eq 0 ]; then
		printf '/var/cache/dbreconcile\n'
	else
		printf '%s/dbreconcile\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
	fi
}
