// SQLite. SQLITE_TRANSIENT is a cast that Swift cannot import, so binding copies through here; variadic calls likewise.
#ifndef QUITTANCE_CSQLITE_SHIM_H
#define QUITTANCE_CSQLITE_SHIM_H
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

static inline int quittance_bind_text(sqlite3_stmt *s, int i, const char *bytes, int length) {
    return sqlite3_bind_text(s, i, bytes, length, SQLITE_TRANSIENT);
}
static inline int quittance_bind_blob(sqlite3_stmt *s, int i, const void *bytes, int length) {
    return length == 0 ? sqlite3_bind_zeroblob(s, i, 0) : sqlite3_bind_blob(s, i, bytes, length, SQLITE_TRANSIENT);
}
static inline int quittance_db_config_flag(sqlite3 *db, int option, int on) {
    return sqlite3_db_config(db, option, on, (int *)0);
}

/// While `*context` is set (a closure has the connection), nobody may end our transaction, attach a file or become a writer.
static inline int quittance_authorize(
    void *context, int action, const char *first, const char *second, const char *database, const char *trigger) {
    (void)database;
    (void)trigger;
    if (*(const int *)context == 0) return SQLITE_OK;
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return SQLITE_DENY;
    case SQLITE_PRAGMA:
        return first != 0 && second != 0 && sqlite3_stricmp(first, "query_only") == 0 ? SQLITE_DENY : SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}
static inline int quittance_set_authorizer(sqlite3 *db, int *lent) {
    return sqlite3_set_authorizer(db, quittance_authorize, lent);
}

/// Keeps the number of pages in the write-ahead log after each commit.
static inline int quittance_keep_wal_pages(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    *(int *)context = pages;
    return SQLITE_OK;
}
static inline void quittance_watch_wal(sqlite3 *db, int *pages) { sqlite3_wal_hook(db, quittance_keep_wal_pages, pages); }
#endif
