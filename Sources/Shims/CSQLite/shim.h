// SQLite. SQLITE_TRANSIENT is a cast that Swift cannot import, so binding copies through here.
#ifndef QUITTANCE_CSQLITE_SHIM_H
#define QUITTANCE_CSQLITE_SHIM_H
#include <sqlite3.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>

static inline int quittance_bind_text(sqlite3_stmt *s, int i, const char *bytes, int length) {
    return sqlite3_bind_text(s, i, bytes, length, SQLITE_TRANSIENT);
}
static inline int quittance_bind_blob(sqlite3_stmt *s, int i, const void *bytes, int length) {
    return length == 0 ? sqlite3_bind_zeroblob(s, i, 0) : sqlite3_bind_blob(s, i, bytes, length, SQLITE_TRANSIENT);
}
#endif
