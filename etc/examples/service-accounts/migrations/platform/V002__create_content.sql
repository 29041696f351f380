-- SPDX-License-Identifier: PostgreSQL
CREATE TABLE content.videos (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"user" bigint NOT NULL,
	title text NOT NULL,
	published_at timestamptz
);
CREATE TABLE content.comments (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	video bigint NOT NULL REFERENCES content.videos,
	"user" bigint NOT NULL,
	body text NOT NULL
);
