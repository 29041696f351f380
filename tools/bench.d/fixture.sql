-- SPDX-License-Identifier: PostgreSQL
-- The database that tools/bench measures, the same each time: psql -v roles=R -v schemas=S -v tables=T (per schema).
-- Groups s<i>_ro, s<i>_rw and s<i>_admin for each schema s<i>, logins login<k> until there are R roles, with one to
-- three memberships each, chosen by arithmetic; grants and default privileges on every table, column grants on every
-- 10th, policies on every 20th. tools/bench.d/manifests.awk declares the same.
\set ON_ERROR_STOP on
\set QUIET on
\o /dev/null
SET client_min_messages = warning;

SELECT format('CREATE ROLE s%s_%s NOLOGIN', i, level)
FROM generate_series(1, :schemas) AS i, unnest(ARRAY['ro', 'rw', 'admin']) AS level ORDER BY i \gexec
SELECT format('CREATE ROLE login%s LOGIN CONNECTION LIMIT %s', k, 5 + k % 10) FROM generate_series(1, :roles - 3 * :schemas) AS k \gexec
SELECT format('GRANT s%s_%s TO login%s', 1 + (k * 7 + i * 3) % :schemas, (ARRAY['ro', 'rw'])[1 + (k + i) % 2], k)
FROM generate_series(1, :roles - 3 * :schemas) AS k, generate_series(0, 2) AS i WHERE i <= k % 3 \gexec
SELECT format('ALTER ROLE login%s SET statement_timeout = %L', k, k || 's')
FROM generate_series(10, :roles - 3 * :schemas, 10) AS k \gexec

CREATE DATABASE bench TEMPLATE template0;
REVOKE ALL ON DATABASE bench FROM PUBLIC;
SELECT format('GRANT CONNECT ON DATABASE bench TO %s',
	(SELECT string_agg(rolname, ', ' ORDER BY oid) FROM pg_roles WHERE rolname ~ '^s[0-9]+_')) \gexec

\connect bench
SET client_min_messages = warning;
SELECT format($make$
	DO $do$
	BEGIN
		CREATE SCHEMA s%1$s AUTHORIZATION s%1$s_admin;
		GRANT USAGE ON SCHEMA s%1$s TO s%1$s_ro, s%1$s_rw;
		ALTER DEFAULT PRIVILEGES FOR ROLE s%1$s_admin IN SCHEMA s%1$s GRANT SELECT ON TABLES TO s%1$s_ro;
		ALTER DEFAULT PRIVILEGES FOR ROLE s%1$s_admin IN SCHEMA s%1$s
			GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON TABLES TO s%1$s_rw;
		SET LOCAL ROLE s%1$s_admin;
		FOR j IN 1..%2$s LOOP
			EXECUTE format('CREATE TABLE s%1$s.t%%s (id int PRIMARY KEY, v text)', j);
			IF j %% 10 = 0 THEN
				EXECUTE format('GRANT UPDATE (v) ON s%1$s.t%%s TO s%1$s_ro', j);
			END IF;
			IF j %% 20 = 0 THEN
				EXECUTE format('CREATE POLICY p ON s%1$s.t%%s FOR SELECT TO s%1$s_ro USING (id > 0)', j);
			END IF;
		END LOOP;
		CREATE FUNCTION s%1$s.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
		REVOKE ALL ON FUNCTION s%1$s.f(int) FROM PUBLIC;
		GRANT EXECUTE ON FUNCTION s%1$s.f(int) TO s%1$s_rw;
		CREATE TYPE s%1$s.e AS ENUM ('a', 'b');
	END
	$do$ $make$, i, :tables)
FROM generate_series(1, :schemas) AS i \gexec
VACUUM (ANALYZE);
CHECKPOINT;
