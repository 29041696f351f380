-- SPDX-License-Identifier: PostgreSQL
-- The floor: the cheapest queries that still read everything a look reads, with pg_class grouped by its access control
-- lists. Nothing is joined, sorted or made readable. One query a line.
SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit, rolpassword, rolvaliduntil, rolbypassrls FROM pg_authid
SELECT roleid, member, grantor, admin_option, inherit_option, set_option FROM pg_auth_members
SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting
SELECT oid, datname, datdba, datacl FROM pg_database WHERE datname = current_database()
SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
SELECT relnamespace, relkind, relowner, relrowsecurity, relforcerowsecurity, relacl, array_agg(relname), array_agg(oid) FROM pg_class WHERE oid >= 16384 AND relkind IN ('r','p','v','m','f','S') AND relpersistence <> 't' GROUP BY 1,2,3,4,5,6
SELECT attrelid, attnum, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384
SELECT oid, pronamespace, proname, pg_get_function_identity_arguments(oid), prokind, proowner, proacl FROM pg_proc WHERE oid >= 16384
SELECT oid, typnamespace, typname, typtype, typowner, typacl FROM pg_type WHERE oid >= 16384 AND (typtype IN ('e','d','r','m') OR (typtype = 'b' AND typelem = 0))
SELECT oid, defaclrole, defaclnamespace, defaclobjtype, defaclacl FROM pg_default_acl
SELECT polrelid, polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy
SELECT oid, extname, extowner, extnamespace, extversion FROM pg_extension
