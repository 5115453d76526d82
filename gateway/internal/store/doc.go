// Package store keeps every record of the gateway in SQL: one portable set of statements for
// SQLite (the embedded default) and PostgreSQL (fleets). It is the only package that speaks
// SQL. Each room declares the small Store interface it needs; *Store satisfies them all, one
// file a noun. Only the roof and tests open it.
//
// Rules of the SQL here: $1 parameters, ids TEXT, times BIGINT Unix microseconds by the
// gateway's clock (0 means never), JSON as TEXT decoded in Go, booleans BOOLEAN, upserts by
// ON CONFLICT, keyset paging, no arrays, ILIKE or now(). A table has one writing noun.
//
// Errors: mdm.ErrNotFound, mdm.ErrAlreadyExists, mdm.ErrConflict and mdm.ErrInvalid are for
// callers to decide on; mdm.ErrUnavailable (database away or busy) and mdm.ErrFull (no
// space) mean that nothing was written and the same call may succeed later.
package store
