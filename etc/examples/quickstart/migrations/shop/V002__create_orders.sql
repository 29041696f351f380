-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE app.orders (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer bigint NOT NULL REFERENCES app.customers,
	placed_at timestamptz NOT NULL DEFAULT now(),
	total numeric(10, 2) NOT NULL CHECK (total >= 0)
);
CREATE INDEX ON app.orders (customer);
