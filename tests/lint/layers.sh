#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Who may include whom: a folder includes itself and the folders listed for it, nothing above and nothing beside.
# The libraries of the outside world each have one home.
. "$(dirname "$0")/lib.sh"

core="base model"
pure="base model config catalog migrate"
declare -A may=(
	[base]="" [model]="base" [config]="$core" [catalog]="$core" [migrate]="$core" [reconcile]="$pure"
	[session]="$pure reconcile" [state]="$pure reconcile" [engine]="$pure reconcile session state"
	[control]="$pure reconcile session state engine" [service]="$pure reconcile session state engine"
	[ctl]="base model config"
)
# header: folders that may include it
declare -A home=(
	[libpq-fe.h]="session" [sqlite3.h]="state" [systemd/]="service" [event2/]="session engine control service"
	[curl/]="ctl" [libsmartcols/]="ctl" [pg_query.h]="migrate reconcile"
)

while IFS=: read -r file line include; do
	folder=${file#src/}
	case $folder in
	*/*) folder=${folder%%/*} ;;
	*) folder= ;;                       # dbreconciled.c and dbreconcilectl.c: composition, see below
	esac
	name=${include#*[\"<]}
	name=${name%%[\">]*}
	case $include in
	*'"'*)
		case $name in
		dbreconcile/* | config.h) continue ;;
		*/*) ;;
		*) found "$file:$line: includes \"$name\" without its folder"; continue ;;
		esac
		other=${name%%/*}
		if [ -z "$folder" ]; then
			[ "$file" != src/dbreconcilectl.c ] || case " ctl ${may[ctl]} " in
			*" $other "*) ;;
			*) found "$file:$line: dbreconcilectl may not include $other/" ;;
			esac
			[ "$file" = src/dbreconcilectl.c ] || [ "$other" != ctl ] || found "$file:$line: the daemon may not include ctl/"
			continue
		fi
		[ -n "${may[$folder]+x}" ] || { found "$file:$line: folder $folder has no place in the layers"; continue; }
		case " $folder ${may[$folder]} " in
		*" $other "*) ;;
		*) found "$file:$line: $folder/ may not include $other/" ;;
		esac
		;;
	*)
		for header in "${!home[@]}"; do
			case $name in
			"$header"*)
				case " ${home[$header]} " in
				*" ${folder:-none} "*) ;;
				*) [ -z "$folder" ] && [ "$header" = event2/ ] || found "$file:$line: <$name> belongs to ${home[$header]}" ;;
				esac
				;;
			esac
		done
		;;
	esac
done < <(find src -name '*.[ch]' -exec grep -nHE '^[[:space:]]*#[[:space:]]*include' {} +)

while IFS=: read -r file line _; do
	found "$file:$line: the contract of daemon and ctl includes nothing of the project"
done < <(find include -name '*.h' -exec grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} +)
finish
