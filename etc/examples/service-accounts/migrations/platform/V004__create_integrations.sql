-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE integrations.platform_integrations (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	platform text NOT NULL,
	"user" bigint NOT NULL,
	settings jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE integrations.webhook_events (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	platform text NOT NULL,
	received_at timestamptz NOT NULL DEFAULT now(),
	payload jsonb NOT NULL
);
CREATE INDEX ON integrations.webhook_events (platform, received_at);
