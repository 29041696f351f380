-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE accounts.users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	display_name text NOT NULL,
	email text NOT NULL UNIQUE,
	password_hash text NOT NULL,
	suspended_at timestamptz
);
CREATE TABLE accounts.api_tokens (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"user" bigint NOT NULL REFERENCES accounts.users,
	digest text NOT NULL
);
