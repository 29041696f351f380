-- SPDX-License-Identifier: PostgreSQL
INSERT INTO shop.customers (email) VALUES ('ada@example.com'), ('grace@example.com');
