#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# The alerts are valid, fire when they should and only then, and use no metric that the daemon does not have.
set -u
src=${top_srcdir:-.}
command -v promtool > /dev/null || { echo "skipped: promtool is not installed"; exit 77; }
promtool check rules "$src/monitoring/alerts.yaml" && promtool test rules "$src"/monitoring/*_test.yaml || exit 1
failed=0
for metric in $(grep -v '^ *#' "$src/monitoring/alerts.yaml" | grep -oE 'dbreconcile_[a-z_]+' | sort -u); do
	grep -q "\"${metric#dbreconcile_}\"" "$src/src/control/metrics.c" || { echo "FAILED: no metric $metric"; failed=1; }
done
for alert in $(sed -nE 's/.*alert: (.*)/\1/p' "$src/monitoring/alerts.yaml"); do
	grep -q "alertname: $alert\$" "$src"/monitoring/*_test.yaml || { echo "FAILED: $alert is tested by nothing"; failed=1; }
done
exit $failed
