CREATE TABLE IF NOT EXISTS companies ( id TEXT PRIMARY KEY, shard TEXT NOT NULL, name TEXT NOT NULL, registered_at INTEGER NOT NULL, rev INTEGER NOT NULL, removed INTEGER NOT NULL );
CREATE TABLE IF NOT EXISTS policies ( rev INTEGER PRIMARY KEY, json TEXT NOT NULL, changed_by TEXT NOT NULL, changed_at INTEGER NOT NULL, announced_at INTEGER );
CREATE TABLE IF NOT EXISTS work ( id TEXT PRIMARY KEY, rev INTEGER NOT NULL, body TEXT NOT NULL, round INTEGER NOT NULL, due_at INTEGER, begun_at INTEGER NOT NULL, failures INTEGER NOT NULL );
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
ALTER TABLE policies ADD COLUMN rules INTEGER NOT NULL DEFAULT 0;
ALTER TABLE policies ADD COLUMN rolled_back_to INTEGER;
UPDATE policies SET rules = ifnull(json_array_length(json, '$.rules'), 0);
CREATE TABLE idempotency ( company TEXT NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, answer TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (company, actor, method, path, key) ) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (expires_at);
