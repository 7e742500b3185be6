PRAGMA journal_mode = WAL;
PRAGMA application_id = 1094861891;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    made TEXT NOT NULL,                  -- UTC, ISO 8601
    who TEXT NOT NULL,
    review TEXT NOT NULL DEFAULT '',     -- name of the review; '' for duplicates, which belong to the index
    kind TEXT NOT NULL,                  -- see DecisionKind
    batch INTEGER NOT NULL,              -- id of the first event of the same command
    undoes INTEGER REFERENCES events (id),
    note TEXT NOT NULL DEFAULT '',
    records TEXT NOT NULL,               -- JSON array: the identity of each record
    details TEXT NOT NULL DEFAULT '{}'   -- JSON object: what was known when the decision was made
);
INSERT INTO "events" VALUES(1,'2026-12-02T01:11:11+00:00','ann','','merge',1,NULL,'looks the same','[{"ids": ["PMID:1", "S1"], "pmid": "1", "doi": "10.1/a", "title": "Gout", "year": 2020, "author": "Liu, R"}, {"ids": ["b"], "pmid": null, "doi": null, "title": "Gout", "year": null, "author": ""}]','{"score": 0.9}');
INSERT INTO "events" VALUES(2,'2026-12-02T01:11:11+00:00','ann','main','start',2,NULL,'','[]','{"criteria": "Gout"}');
INSERT INTO "events" VALUES(3,'2026-12-02T01:11:11+00:00','ann','main','include',3,NULL,'RCT','[{"ids": ["PMID:1", "S1"], "pmid": "1", "doi": "10.1/a", "title": "Gout", "year": 2020, "author": "Liu, R"}]','{"seconds": 2.5, "key": "key-1"}');
INSERT INTO "events" VALUES(4,'2026-12-02T01:11:11+00:00','bob','main','exclude',4,NULL,'','[{"ids": ["PMID:1", "S1"], "pmid": "1", "doi": "10.1/a", "title": "Gout", "year": 2020, "author": "Liu, R"}]','{"reason": "wrong disease"}');
INSERT INTO "events" VALUES(5,'2026-12-02T01:11:11+00:00','ann','main','undo',5,4,'','[]','{"key": "key-2"}');
CREATE TRIGGER events_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',5);
COMMIT;
