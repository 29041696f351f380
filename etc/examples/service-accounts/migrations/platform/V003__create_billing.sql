-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE billing.invoices (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"user" bigint NOT NULL,
	cents bigint NOT NULL CHECK (cents >= 0),
	issued_on date NOT NULL DEFAULT current_date
);
CREATE TABLE billing.payments (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	invoice bigint NOT NULL REFERENCES billing.invoices,
	cents bigint NOT NULL
);
