-- SPDX-License-Identifier: PostgreSQL
-- A hundred grants go: SELECT of <schema>_ro and INSERT of <schema>_rw on 50 tables, round robin over the schemas.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT n.nspname AS s, c.relname AS t FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname ~ '^s[0-9]+$' AND c.relkind = 'r' ORDER BY substr(c.relname, 2)::int, n.oid LIMIT 50 LOOP
		EXECUTE format('REVOKE SELECT ON %I.%I FROM %I', r.s, r.t, r.s || '_ro');
		EXECUTE format('REVOKE INSERT ON %I.%I FROM %I', r.s, r.t, r.s || '_rw');
	END LOOP;
END $$;
