"""The tables, as numbered steps that are only ever added to.

    res       one row per version; `seq` is the change feed
    eq        equality: (hash, order, pk)          dte, str, num   ranges
    link      which records a version points at; own=1: it is in that patient's compartment
    commits   the sealed list of commits           audit           the sealed list of audit lines
    head      where both chains end                totals          live records by type
    keep      small records that are not health data

`pk` in the index tables is the `seq` of a current version; `d` is its main date in seconds,
negative, so that the newest stands first (sokhoe.fhir.search.extraction). Only current versions
are in eq, dte, str and num; link keeps those of all versions, for history.
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


POSTGRES: tuple[tuple[str, str], ...] = tuple((name, _postgres(text)) for name, text in SQLITE)
