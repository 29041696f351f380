/* SPDX-License-Identifier: PostgreSQL */
/* The text of QUERY_SCHEMA_OBJECTS, which is long. Private to this folder. */
#ifndef DBR_CATALOG_SCHEMA_QUERY_H
#define DBR_CATALOG_SCHEMA_QUERY_H

extern const char schema_objects_sql[];

#endif
