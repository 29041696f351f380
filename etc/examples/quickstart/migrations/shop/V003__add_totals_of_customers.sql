-- SPDX-License-Identifier: PostgreSQL
CREATE VIEW app.customer_totals AS
	SELECT c.id, c.name, count(o.id) AS orders, coalesce(sum(o.total), 0) AS total
	FROM app.customers c LEFT JOIN app.orders o ON o.customer = c.id
	GROUP BY c.id;

INSERT INTO app.customers (name, email) VALUES ('Ada', 'ada@example.org'), ('Grace', 'grace@example.org');
INSERT INTO app.orders (customer, total) SELECT id, 10 * id FROM app.customers;
