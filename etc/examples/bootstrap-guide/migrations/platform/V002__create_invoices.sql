-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE billing.invoices (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	account bigint NOT NULL REFERENCES accounts.users,
	cents bigint NOT NULL CHECK (cents >= 0),
	issued_on date NOT NULL DEFAULT current_date
);
