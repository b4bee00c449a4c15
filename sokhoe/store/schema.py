"""The tables, as numbered steps that are only ever added to.

    res       one row per version; `seq` is the change feed
    commits   the sealed list of commits           audit           the sealed list of audit lines
    head      where both chains end                totals          live records by type
    keep      small records that are not health data

What can be found stands in two physical forms of one index (decision 10):

    SQLite       eq     equality: (hash, order, pk)          dte, str, num   ranges
                 link   at which records a version points; own=1: in that patient's compartment
    PostgreSQL   cur    a row per current version: all hashes as an array with GIN, the main date,
                        the references                       dte, str, num   ranges
                 res.own  the patients in whose compartments a version lies

`pk` is the `seq` of a current version; `d` its main date in seconds, negative, so that the newest
stands first (sokhoe.fhir.search.extraction). Only current versions are indexed; `link` and `own`
are kept for all versions, for history. A step that changes the index leaves it empty and takes
the word `index` out of `node`: it is then filled from the bodies (sqlstore).
"""

from __future__ import annotations

SQLITE: tuple[tuple[str, str], ...] = (
    (
        "first tables",
        """
        CREATE TABLE node(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE types(code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE dicts(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
        CREATE TABLE head(kind TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL,
                          at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE res(seq INTEGER PRIMARY KEY, type INTEGER NOT NULL, id TEXT NOT NULL,
                         version INTEGER NOT NULL, txn INTEGER NOT NULL, at INTEGER NOT NULL,
                         deleted INTEGER NOT NULL, self INTEGER NOT NULL, d INTEGER NOT NULL,
                         content BLOB NOT NULL, dict INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE UNIQUE INDEX res_id ON res(type, id, version);
        CREATE INDEX res_type ON res(type);
        CREATE TABLE eq(h INTEGER NOT NULL, d INTEGER NOT NULL, pk INTEGER NOT NULL,
                        PRIMARY KEY(h, d, pk)) WITHOUT ROWID;
        CREATE TABLE dte(p INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL,
                         pk INTEGER NOT NULL, d INTEGER NOT NULL,
                         PRIMARY KEY(p, lo, hi, pk)) WITHOUT ROWID;
        CREATE INDEX dte_pk ON dte(pk);
        CREATE TABLE str(p INTEGER NOT NULL, v TEXT NOT NULL, pk INTEGER NOT NULL,
                         d INTEGER NOT NULL, PRIMARY KEY(p, v, pk)) WITHOUT ROWID;
        CREATE INDEX str_pk ON str(pk);
        CREATE TABLE num(p INTEGER NOT NULL, v REAL NOT NULL, pk INTEGER NOT NULL,
                         d INTEGER NOT NULL, PRIMARY KEY(p, v, pk)) WITHOUT ROWID;
        CREATE INDEX num_pk ON num(pk);
        CREATE TABLE link(pk INTEGER NOT NULL, t INTEGER NOT NULL, own INTEGER NOT NULL,
                          PRIMARY KEY(pk, t)) WITHOUT ROWID;
        CREATE TABLE commits(seq INTEGER PRIMARY KEY, node TEXT NOT NULL, epoch TEXT NOT NULL,
                             prev BLOB NOT NULL, hash BLOB NOT NULL, author TEXT NOT NULL,
                             at INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
        CREATE INDEX commits_at ON commits(at, first);
        CREATE TABLE totals(type INTEGER PRIMARY KEY, n INTEGER NOT NULL);
        CREATE TABLE keep(kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                          PRIMARY KEY(kind, key)) WITHOUT ROWID;
        CREATE TABLE audit(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, hash BLOB NOT NULL,
                           body BLOB NOT NULL);
        CREATE TABLE audit_of(h INTEGER NOT NULL, seq INTEGER NOT NULL,
                              PRIMARY KEY(h, seq)) WITHOUT ROWID;
        """,
    ),
    (
        "versions are found by the hash of their name, the main date stands with them",
        """
        CREATE TABLE res_2(seq INTEGER PRIMARY KEY, type INTEGER NOT NULL, id TEXT NOT NULL,
                           version INTEGER NOT NULL, txn INTEGER NOT NULL, at INTEGER NOT NULL,
                           deleted INTEGER NOT NULL, self INTEGER NOT NULL,
                           d INTEGER NOT NULL DEFAULT 0, span INTEGER, content BLOB NOT NULL,
                           dict INTEGER NOT NULL, body BLOB NOT NULL);
        INSERT INTO res_2
            SELECT seq, type, id, version, txn, at, deleted, self, 0, NULL, content, dict, body
            FROM res ORDER BY seq;
        DROP TABLE res;
        ALTER TABLE res_2 RENAME TO res;
        CREATE UNIQUE INDEX res_self ON res(self, version);
        CREATE INDEX res_type ON res(type);
        DELETE FROM node WHERE key='index';
        """,
    ),
)


def _postgres(text: str) -> str:
    """The same tables in PostgreSQL's words; folded text is compared byte by byte."""
    for word, other in (
        (" WITHOUT ROWID", ""),
        ("INTEGER", "bigint"),
        ("BLOB", "bytea"),
        ("REAL", "double precision"),
        ("v TEXT", 'v text COLLATE "C"'),
        ("id TEXT", 'id text COLLATE "C"'),
    ):
        text = text.replace(word, other)
    return text


_FIRST = SQLITE[0]

POSTGRES: tuple[tuple[str, str], ...] = (
    (_FIRST[0], _postgres(_FIRST[1])),
    (
        "a row per current record, with arrays",
        """
        DROP TABLE eq, dte, str, num, link;
        ALTER TABLE res RENAME TO res_1;
        -- widest first, so that nothing is lost to alignment
        CREATE TABLE res(seq bigint NOT NULL, txn bigint NOT NULL, at bigint NOT NULL,
                         self bigint NOT NULL, version integer NOT NULL, type smallint NOT NULL,
                         deleted smallint NOT NULL, dict smallint NOT NULL,
                         id text COLLATE "C" NOT NULL, content bytea NOT NULL, own bigint[],
                         body bytea NOT NULL);
        ALTER TABLE res ALTER COLUMN body SET STORAGE EXTERNAL;
        INSERT INTO res(seq, txn, at, self, version, type, deleted, dict, id, content, body)
            SELECT seq, txn, at, self, version, type, deleted, dict, id, content, body
            FROM res_1 ORDER BY seq;
        DROP TABLE res_1;
        ALTER TABLE res ADD PRIMARY KEY (seq);
        CREATE UNIQUE INDEX res_self ON res(self, version);
        CREATE INDEX res_type ON res(type);
        CREATE TABLE cur(pk bigint PRIMARY KEY, d bigint NOT NULL, span integer,
                         type smallint NOT NULL, keys bigint[] NOT NULL, links bigint[]);
        ALTER TABLE cur ALTER COLUMN keys SET STATISTICS 1000;
        CREATE INDEX cur_keys ON cur USING gin(keys) WITH (fastupdate=off);
        CREATE INDEX cur_order ON cur(type, d, pk);
        CREATE TABLE dte(p bigint NOT NULL, lo bigint NOT NULL, hi bigint NOT NULL,
                         pk bigint NOT NULL);
        CREATE INDEX dte_value ON dte(p, lo);
        CREATE INDEX dte_pk ON dte(pk);
        CREATE TABLE str(p bigint NOT NULL, pk bigint NOT NULL, v text COLLATE "C" NOT NULL);
        CREATE INDEX str_value ON str(p, v);
        CREATE INDEX str_pk ON str(pk);
        CREATE TABLE num(p bigint NOT NULL, v double precision NOT NULL, pk bigint NOT NULL);
        CREATE INDEX num_value ON num(p, v);
        CREATE INDEX num_pk ON num(pk);
        DELETE FROM node WHERE key='index';
        """,
    ),
)
