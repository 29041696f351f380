/* SPDX-License-Identifier: PostgreSQL */
/*
 * What no row of a table can say by itself: hooks of the groups (one wish, one
 * server) and the checks across manifests and servers. Inside config/ only.
 */
#ifndef DBR_CONFIG_CHECKS_H
#define DBR_CONFIG_CHECKS_H

#include "config/reader.h"

/* check_settings.c */
void init_server(struct reader *, const void *outer, void *base);
void init_database(struct reader *, const void *outer, void *base);
void check_server(struct reader *, const config_setting_t *, void *base);
void check_database(struct reader *, const config_setting_t *, void *base);
void check_migrations(struct reader *, const config_setting_t *, void *base);
void check_control(struct reader *, const config_setting_t *, void *base);

/* check_wishes.c */
void check_role(struct reader *, const config_setting_t *, void *base);
void check_extension(struct reader *, const config_setting_t *, void *base);
void check_schema(struct reader *, const config_setting_t *, void *base);
void check_owner(struct reader *, const config_setting_t *, void *base);
void check_grant(struct reader *, const config_setting_t *, void *base);
void check_default(struct reader *, const config_setting_t *, void *base);
void check_database_wish(struct reader *, const config_setting_t *, void *base);
void check_policy(struct reader *, const config_setting_t *, void *base);
void check_row_security(struct reader *, const config_setting_t *, void *base);
void check_level(struct reader *, const config_setting_t *, void *base);
void check_manifest(struct reader *, const config_setting_t *, void *base);

/* check_fleet.c: when everything has been read. */
void check_fleet(struct reader *);

#endif
