-- That somebody's personal data was erased: when, by whom and how much; never whose.
CREATE TABLE access_erasures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    payments INTEGER NOT NULL,
    changed_rows INTEGER NOT NULL,
    files INTEGER NOT NULL
) STRICT;
CREATE TRIGGER access_erasures_no_update BEFORE UPDATE ON access_erasures
BEGIN SELECT RAISE(ABORT, 'the record of erasures is append-only'); END;
CREATE TRIGGER access_erasures_no_delete BEFORE DELETE ON access_erasures
BEGIN SELECT RAISE(ABORT, 'the record of erasures is append-only'); END;
