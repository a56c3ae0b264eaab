// The tables of the embedded store. A job's key is jobs::Place::key(), lane then sequence, so that
// a lane is a range and the order of dispatch is the order of rows: no table has a secondary index.
// Times are milliseconds since 1970.
#pragma once

namespace raincheck::store {

// Marks the file as ours.
constexpr int sqlite_application_id = 0x7261696e;
// Raised when the tables change. An older program refuses a newer store.
constexpr int sqlite_schema_version = 5;

constexpr char sqlite_schema[] = R"sql(
-- schema: the version above. secret: key of the ids. epoch: raised by one at every start.
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- What an operator has paused: "upstream NAME", "route NAME".
CREATE TABLE paused (what TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Sequences below tail were given out. Jobs of [head, tail) are queued in this order, `queued` of
-- them (some were canceled); `later` more wait for a retry. Written once per batch.
CREATE TABLE lane (
  lane INTEGER PRIMARY KEY,
  upstream TEXT NOT NULL,
  route TEXT NOT NULL,
  priority INTEGER NOT NULL,
  head INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  later INTEGER NOT NULL,
  UNIQUE (upstream, route, priority)
) STRICT;

-- The request: erased when the job succeeds or is canceled, and some time after it has failed.
-- Never changed but for start_by, which is 0 for a job that ended while others were queued before
-- it: it is in the queue no more.
CREATE TABLE req (
  key INTEGER PRIMARY KEY,
  random BLOB NOT NULL,
  created INTEGER NOT NULL,
  start_by INTEGER NOT NULL,
  finish_by INTEGER NOT NULL,
  retention INTEGER NOT NULL,
  may_resend INTEGER NOT NULL,
  authorizes_polls INTEGER NOT NULL,
  route TEXT NOT NULL,
  request_id TEXT NOT NULL,
  idem BLOB,
  redrive_of TEXT NOT NULL,
  labels TEXT NOT NULL,
  spool INTEGER NOT NULL,
  size INTEGER NOT NULL,
  head BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- A job that is not final and was begun: running in `epoch`, or, with epoch 0, queued again until
-- `due`. monitor: where its backend tells of the call, if that goes on there after the answer.
-- history: what came of its attempts (jobs/history.hpp).
CREATE TABLE run (
  key INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  started INTEGER NOT NULL,
  due INTEGER NOT NULL,
  monitor TEXT NOT NULL,
  history TEXT NOT NULL
) STRICT;

-- Jobs that are queued again, as they come due.
CREATE TABLE later (
  lane INTEGER NOT NULL,
  due INTEGER NOT NULL,
  key INTEGER NOT NULL,
  PRIMARY KEY (lane, due, key)
) STRICT, WITHOUT ROWID;

-- A final job and its result: never changed until erased. state: 2 succeeded, 3 failed, 4 canceled.
CREATE TABLE resp (
  key INTEGER PRIMARY KEY,
  random BLOB NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 2 AND 4),
  error INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  created INTEGER NOT NULL,
  started INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  authorizes_polls INTEGER NOT NULL,
  route TEXT NOT NULL,
  request_id TEXT NOT NULL,
  idem BLOB,
  redrive_of TEXT NOT NULL,
  labels TEXT NOT NULL,
  history TEXT NOT NULL,
  status INTEGER NOT NULL,
  spool INTEGER NOT NULL,
  size INTEGER NOT NULL,
  head BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- When to erase something of a final job: at resp.expires all of it, before that the request of a
-- failed one. A row whose job was erased meanwhile says nothing.
CREATE TABLE expire (
  at INTEGER NOT NULL,
  key INTEGER NOT NULL,
  PRIMARY KEY (at, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE idem (
  hash BLOB PRIMARY KEY,
  key INTEGER NOT NULL,
  fingerprint BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Jobs that have a label, "name=value", for as long as they are kept.
CREATE TABLE label (
  label TEXT NOT NULL,
  key INTEGER NOT NULL,
  PRIMARY KEY (label, key)
) STRICT, WITHOUT ROWID;

-- Files of the spool that rows name; the others are orphans.
CREATE TABLE spool (number INTEGER PRIMARY KEY, key INTEGER NOT NULL) STRICT;
)sql";

}  // namespace raincheck::store
