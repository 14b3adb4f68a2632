CREATE TABLE change (
        subject TEXT PRIMARY KEY,
        rev INTEGER NOT NULL,
        announced_at INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE INDEX change_by_time ON change (announced_at);
CREATE TABLE feed (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        feed_group INTEGER NOT NULL,
        since INTEGER NOT NULL,
        last_stamp INTEGER NOT NULL,
        last_change INTEGER NOT NULL,
        published_stamp INTEGER NOT NULL,
        attempted_at INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        asked_at INTEGER NOT NULL
    );
CREATE TABLE schema_version (version INTEGER PRIMARY KEY) WITHOUT ROWID;
