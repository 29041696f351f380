-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE shop.orders (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer bigint NOT NULL REFERENCES shop.customers,
	placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON shop.orders (customer);

CREATE TABLE shop.payments (
	"order" bigint PRIMARY KEY REFERENCES shop.orders,
	iban text NOT NULL
);
