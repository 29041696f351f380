-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE app.customers (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL,
	email text NOT NULL UNIQUE
);
