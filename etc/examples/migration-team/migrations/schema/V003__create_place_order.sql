-- SPDX-License-Identifier: PostgreSQL
CREATE FUNCTION shop.place_order(customer bigint) RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO shop.orders (customer) VALUES (place_order.customer) RETURNING id;
END;
