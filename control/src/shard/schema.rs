//! The tables of a Shard object, as a list of migrations, each applied once. Every statement elsewhere names the
//! company; only what is looked up by digest alone (a key that is sent, a record that must be published) does not.

use crate::sql::{
    Sql, SqlError,
    migrations::{self, Migration},
};

/// The migrations in order; never changed once released, only added to.
const MIGRATIONS: &[Migration] = &[VERSION_1, VERSION_2];

const VERSION_1: Migration = &[
    // One row each: `rev`, and what else the object must remember about itself.
    "CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE texts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE companies (
        company TEXT PRIMARY KEY, name TEXT NOT NULL, active INTEGER NOT NULL, max_key_lifetime_days INTEGER,
        created_at INTEGER NOT NULL, rev INTEGER NOT NULL, changed_at INTEGER NOT NULL, announced_at INTEGER
    ) WITHOUT ROWID",
    "CREATE TABLE owners (
        company TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, email TEXT, permissions TEXT NOT NULL, active INTEGER NOT NULL,
        created_at INTEGER NOT NULL, rev INTEGER NOT NULL, changed_at INTEGER NOT NULL, announced_at INTEGER,
        PRIMARY KEY (company, owner)
    ) WITHOUT ROWID",
    // `place` is the revision at which the key was made: unique in the shard, so lists have a stable order.
    "CREATE TABLE keys (
        company TEXT NOT NULL, key_id TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL, hint TEXT NOT NULL,
        place INTEGER NOT NULL, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, parent TEXT, expires_at INTEGER, permissions TEXT,
        networks TEXT NOT NULL, rate_limit TEXT, metadata TEXT NOT NULL, manages_keys INTEGER NOT NULL, bootstrap INTEGER NOT NULL,
        revoked_at INTEGER, revoked_by TEXT, revoke_reason TEXT, supersedes TEXT, superseded_by TEXT,
        rev INTEGER NOT NULL, changed_at INTEGER NOT NULL, announced_at INTEGER,
        PRIMARY KEY (company, key_id)
    )",
    "CREATE INDEX keys_by_company ON keys (company, place)",
    "CREATE INDEX keys_by_owner ON keys (company, owner, place)",
    "CREATE INDEX keys_by_parent ON keys (company, parent) WHERE parent IS NOT NULL",
    // Digests that were used once and never may be again.
    "CREATE TABLE tombstones (digest TEXT PRIMARY KEY) WITHOUT ROWID",
    // The use of keys, apart from the rows that hold their digests.
    "CREATE TABLE key_usage (company TEXT NOT NULL, key_id TEXT NOT NULL, last_used_at INTEGER NOT NULL, PRIMARY KEY (company, key_id)) WITHOUT ROWID",
    "CREATE TABLE key_buckets (
        company TEXT NOT NULL, key_id TEXT NOT NULL, width TEXT NOT NULL, at INTEGER NOT NULL, allowed INTEGER NOT NULL, refused INTEGER NOT NULL,
        PRIMARY KEY (company, key_id, width, at)
    ) WITHOUT ROWID",
    "CREATE INDEX key_buckets_by_age ON key_buckets (width, at)",
    // The audit trail: a chain of hashes per company, and its last link.
    "CREATE TABLE audit (
        company TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
        note TEXT, entry TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (company, sequence)
    ) WITHOUT ROWID",
    "CREATE INDEX audit_by_target ON audit (company, target, sequence)",
    "CREATE INDEX audit_by_actor ON audit (company, actor, sequence)",
    "CREATE INDEX audit_by_action ON audit (company, action, sequence)",
    "CREATE UNIQUE INDEX audit_by_note ON audit (company, note) WHERE note IS NOT NULL",
    "CREATE TABLE audit_heads (company TEXT PRIMARY KEY, sequence INTEGER NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sessions (
        digest TEXT PRIMARY KEY, company TEXT NOT NULL, owner TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX sessions_by_owner ON sessions (company, owner)",
    "CREATE INDEX sessions_by_age ON sessions (expires_at)",
    "CREATE TABLE used_links (company TEXT NOT NULL, nonce TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (company, nonce)) WITHOUT ROWID",
    "CREATE INDEX used_links_by_age ON used_links (expires_at)",
    "CREATE TABLE idempotency (
        company TEXT NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, key TEXT NOT NULL,
        fingerprint TEXT NOT NULL, answer TEXT NOT NULL, expires_at INTEGER NOT NULL,
        PRIMARY KEY (company, actor, method, path, key)
    ) WITHOUT ROWID",
    "CREATE INDEX idempotency_by_age ON idempotency (expires_at)",
    // Digests whose record must be published, and when one was last.
    "CREATE TABLE dirty (
        digest TEXT PRIMARY KEY, rev INTEGER NOT NULL, due_at INTEGER NOT NULL, round INTEGER NOT NULL, attempts INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX dirty_by_due ON dirty (due_at)",
    "CREATE TABLE puts (digest TEXT PRIMARY KEY, put_at INTEGER NOT NULL) WITHOUT ROWID",
    // Owners and companies (owner '') whose keys are being marked, one handful after the other.
    "CREATE TABLE sweeps (
        company TEXT NOT NULL, owner TEXT NOT NULL, rev INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (company, owner)
    ) WITHOUT ROWID",
    // What other objects must still be told.
    "CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, company TEXT NOT NULL, subject TEXT NOT NULL, rev INTEGER NOT NULL,
        body TEXT, due_at INTEGER NOT NULL, attempts INTEGER NOT NULL
    )",
    "CREATE INDEX outbox_by_due ON outbox (due_at, id)",
];

const VERSION_2: Migration = &[
    // Keys in orders of their own, for lists and for what is done to many. Each costs about 50 bytes a key; a key that was
    // never used has a row of use too (`last_used_at` 0), which makes the unused ones be found.
    // Columns of their own for the order, because a place in an index of expressions is not looked up in one step.
    "ALTER TABLE keys ADD COLUMN name_order TEXT COLLATE NOCASE GENERATED ALWAYS AS (name) VIRTUAL",
    "CREATE INDEX keys_by_name ON keys (company, name_order, place)",
    "ALTER TABLE keys ADD COLUMN expiry_order INTEGER GENERATED ALWAYS AS (COALESCE(expires_at, 9007199254740991)) VIRTUAL",
    "CREATE INDEX keys_by_expiry ON keys (company, expiry_order, place)",
    "INSERT OR IGNORE INTO key_usage (company, key_id, last_used_at) SELECT company, key_id, 0 FROM keys",
    "CREATE INDEX key_usage_by_time ON key_usage (company, last_used_at, key_id)",
    // When the successor of a key was made.
    "ALTER TABLE keys ADD COLUMN superseded_at INTEGER",
    "UPDATE keys SET superseded_at = (SELECT s.created_at FROM keys s WHERE s.company = keys.company AND s.key_id = keys.superseded_by)
        WHERE superseded_by IS NOT NULL",
    // What grows with the number of keys and is done in handfuls; marks that wait behind those of single changes.
    "ALTER TABLE dirty ADD COLUMN later INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX dirty_by_rank ON dirty (later, due_at)",
    "DROP INDEX dirty_by_due",
    // Deleted owners whose keys read as revoked and are not yet written so; `rev` is the deletion's, `last_place` that of the
    // last key that was made before it.
    "CREATE TABLE departures (
        company TEXT NOT NULL, owner TEXT NOT NULL, rev INTEGER NOT NULL, last_place INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, announced_at INTEGER,
        place INTEGER NOT NULL, PRIMARY KEY (company, owner, rev)
    ) WITHOUT ROWID",
    "CREATE INDEX departures_announced ON departures (company, owner, rev) WHERE announced_at IS NOT NULL",
    // Companies that are gone and whose rows are not yet.
    "CREATE TABLE erasures (company TEXT PRIMARY KEY, rev INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX outbox_registrations ON outbox (company) WHERE kind = 'registration'",
    "CREATE INDEX owners_active ON owners (company, owner) WHERE active = 1",
    // Sign-in with tokens: up to when tokens were issued that are dealt with, and the revision of the owner's entry in the directory that
    // the last one left. Apart from the entry, because it outlives one that is deleted.
    "CREATE TABLE sign_ins (
        company TEXT NOT NULL, owner TEXT NOT NULL, issued_at INTEGER NOT NULL, rev INTEGER NOT NULL, PRIMARY KEY (company, owner)
    ) WITHOUT ROWID",
    // Imported keys, whose records have another name: a mark remembers which, because the key may be gone.
    "ALTER TABLE keys ADD COLUMN imported INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE dirty ADD COLUMN imported INTEGER NOT NULL DEFAULT 0",
    // Every digest that was ever imported, also where the key is gone: what the Registry is to know as this shard's.
    "CREATE TABLE imported (digest TEXT PRIMARY KEY) WITHOUT ROWID",
    // Companies that come back from a backup, or did lately: how far each is.
    "CREATE TABLE imports (company TEXT PRIMARY KEY, state TEXT NOT NULL, touched_at INTEGER NOT NULL, progress TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX imports_by_state ON imports (state, touched_at)",
    // Webhooks. `since` is the number of the last event before it was made. `due_at` is when one of its deliveries is due next,
    // `rest_until` how long it is left alone after a failure, `served_at` when it was last served: nobody is served twice before all.
    "CREATE TABLE webhooks (
        company TEXT NOT NULL, id TEXT NOT NULL, url TEXT NOT NULL, events TEXT, name TEXT, active INTEGER NOT NULL, disabled_reason TEXT,
        created_at INTEGER NOT NULL, created_by TEXT NOT NULL, since INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0, due_at INTEGER,
        served_at INTEGER NOT NULL DEFAULT 0, rest_until INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, failing_since INTEGER,
        failed_at INTEGER, ended INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (company, id)
    ) WITHOUT ROWID",
    "CREATE INDEX webhooks_by_due ON webhooks (due_at) WHERE due_at IS NOT NULL",
    // What happened, with the body as it is sent; `spread`: every webhook that wants it has a delivery of it.
    "CREATE TABLE webhook_events (
        number INTEGER PRIMARY KEY AUTOINCREMENT, company TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL,
        spread INTEGER NOT NULL DEFAULT 0
    )",
    "CREATE UNIQUE INDEX webhook_events_by_id ON webhook_events (company, id)",
    "CREATE INDEX webhook_events_to_spread ON webhook_events (number) WHERE spread = 0",
    // `attempts` counts what was taken to be sent, `failures` what is known to have failed since the last beginning.
    "CREATE TABLE webhook_deliveries (
        company TEXT NOT NULL, webhook TEXT NOT NULL, event INTEGER NOT NULL, status TEXT NOT NULL, attempts INTEGER NOT NULL,
        failures INTEGER NOT NULL, created_at INTEGER NOT NULL, due_at INTEGER, attempted_at INTEGER, ended_at INTEGER, code INTEGER, error TEXT,
        PRIMARY KEY (company, webhook, event)
    ) WITHOUT ROWID",
    "CREATE INDEX webhook_deliveries_by_due ON webhook_deliveries (company, webhook, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (company, webhook, status, event)",
    "CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event)",
    "CREATE INDEX webhook_deliveries_by_end ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL",
    // What is due by the clock alone, for each company that wants to hear of it: `seen` is up to when it was told, `place` the
    // last key of that millisecond.
    "CREATE TABLE webhook_watches (
        company TEXT NOT NULL, kind TEXT NOT NULL, seen INTEGER NOT NULL, place TEXT NOT NULL, due_at INTEGER, PRIMARY KEY (company, kind)
    ) WITHOUT ROWID",
    "CREATE INDEX webhook_watches_by_due ON webhook_watches (due_at) WHERE due_at IS NOT NULL",
    // The keys that a key made, those apart that make keys themselves, and of the others those that are not revoked.
    "DROP INDEX keys_by_parent",
    "CREATE INDEX keys_by_parent ON keys (company, parent, manages_keys, revoked_at) WHERE parent IS NOT NULL",
    "CREATE INDEX keys_by_end ON keys (company, expires_at, key_id) WHERE expires_at IS NOT NULL AND revoked_at IS NULL",
];

/// Creates the tables or brings them up to date; does nothing where they are.
pub fn migrate(sql: &impl Sql) -> Result<(), SqlError> {
    migrations::migrate(sql, MIGRATIONS)
}

/// All statements, as they are pinned.
pub fn text() -> String {
    migrations::text(MIGRATIONS)
}
