package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/muster-iot/muster/internal/bench/search"
)

// lite is SQLite in this process: one connection, its journal and its pages in
// memory, no synchronisation with the disk.
type lite struct {
	db    *sql.DB
	conn  *sql.Conn
	fleet []search.Device
	size  search.Size
	asked map[string]*sql.Stmt
}

func newSQLite(dir string) (*lite, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "fleet.db")+
		"?_pragma=journal_mode(MEMORY)&_pragma=synchronous(OFF)&_pragma=cache_size(-1000000)&_pragma=temp_store(MEMORY)&_pragma=mmap_size(1000000000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &lite{db: db, asked: map[string]*sql.Stmt{}}, nil
}

// Name is "sqlite".
func (l *lite) Name() string { return "sqlite" }

// Process is none.
func (l *lite) Process() int { return 0 }

// Devices leaves the numbers: ids are places.
func (l *lite) Devices([]uint32) {}

// Close closes the file.
func (l *lite) Close() error {
	for _, s := range l.asked {
		_ = s.Close()
	}
	if l.conn != nil {
		_ = l.conn.Close()
	}
	return l.db.Close()
}

// Build inserts in one transaction, indexes and analyses.
func (l *lite) Build(ctx context.Context, fleet []search.Device) error {
	l.fleet = fleet
	var err error
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return err
	}
	err = l.exec(ctx, `CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT NOT NULL, connected INTEGER NOT NULL, version INTEGER NOT NULL,
		region TEXT NOT NULL, model TEXT NOT NULL, site TEXT NOT NULL, customer TEXT NOT NULL, build INTEGER NOT NULL, battery INTEGER NOT NULL, temp INTEGER NOT NULL)`,
		"CREATE TABLE members (grp INTEGER, device INTEGER, PRIMARY KEY (grp, device)) WITHOUT ROWID")
	if err == nil {
		err = l.batch(ctx, "INSERT INTO devices (id,"+search.Columns+") VALUES (?,?,?,?,?,?,?,?,?,?,?)", len(fleet), func(i int) []any {
			return append([]any{i}, values(&fleet[i])...)
		})
	}
	if err != nil {
		return err
	}
	rows, err := l.pages(ctx)
	if err != nil {
		return err
	}
	if err := l.exec(ctx, append(indexes[:], "ANALYZE")...); err != nil {
		return err
	}
	all, err := l.pages(ctx)
	l.size = search.Size{Rows: rows, Index: all - rows, Note: "pages"}
	return err
}

// Size is that of the file before and after the indexes were made.
func (l *lite) Size(context.Context) (search.Size, error) { return l.size, nil }

func (l *lite) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := l.conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (l *lite) pages(ctx context.Context) (int64, error) {
	var pages, size int64
	err := errors.Join(l.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages), l.conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&size))
	return pages * size, err
}

// batch executes a statement n times in one transaction.
func (l *lite) batch(ctx context.Context, statement string, n int, args func(i int) []any) error {
	s, err := l.prepared(ctx, statement)
	if err != nil {
		return err
	}
	tx, err := l.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	in := tx.StmtContext(ctx, s)
	for i := range n {
		if _, err := in.ExecContext(ctx, args(i)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (l *lite) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := l.asked[text]; s != nil {
		return s, nil
	}
	s, err := l.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	l.asked[text] = s
	return s, nil
}

// IDs selects the ids.
func (l *lite) IDs(ctx context.Context, q search.Query, ids []uint32) ([]uint32, error) {
	err := l.each(ctx, "SELECT id FROM devices WHERE "+q.Where, func(rows *sql.Rows) error {
		var id uint32
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// Page selects the names.
func (l *lite) Page(ctx context.Context, q search.Query, limit int) (names []string, err error) {
	err = l.each(ctx, fmt.Sprintf("SELECT name FROM devices WHERE %s ORDER BY name LIMIT %d", q.Where, limit), func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

func (l *lite) each(ctx context.Context, text string, row func(*sql.Rows) error) error {
	s, err := l.prepared(ctx, text)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Flip updates the devices in one transaction.
func (l *lite) Flip(ctx context.Context, devices []int) error {
	return l.batch(ctx, "UPDATE devices SET connected = NOT connected WHERE id = ?", len(devices), func(i int) []any { return []any{devices[i]} })
}

// Release updates the devices in one transaction.
func (l *lite) Release(ctx context.Context, devices []int) error {
	return l.batch(ctx, "UPDATE devices SET version = ? WHERE id = ?", len(devices), func(i int) []any {
		return []any{l.fleet[devices[i]].Version, devices[i]}
	})
}

// Create writes the members down.
func (l *lite) Create(ctx context.Context, q search.Query) (int, func() error, error) {
	s, err := l.prepared(ctx, members+q.Where)
	if err != nil {
		return 0, nil, err
	}
	result, err := s.ExecContext(ctx)
	if err != nil {
		return 0, nil, err
	}
	n, err := result.RowsAffected()
	return int(n), func() error { return l.exec(ctx, "DELETE FROM members") }, err
}
