package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muster-iot/muster/internal/bench/search"
)

// postgres is a PostgreSQL server of our own in a folder of its own, spoken to
// over a socket in it by one connection. Its tables are not logged, nothing is
// synchronised with the disk, and all of it fits into its shared buffers.
type postgres struct {
	server *exec.Cmd
	conn   *pgx.Conn
	pid    int // of the process that serves the connection
	fleet  []search.Device
}

// newPostgres starts a server. The programs refuse to run as root: then they
// run as nobody.
func newPostgres(ctx context.Context, dir, programs string) (*postgres, error) {
	if programs == "" {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		if len(found) == 0 {
			return nil, errors.New("it is not installed (Debian's package is postgresql)")
		}
		programs = filepath.Dir(found[len(found)-1])
	}
	data := filepath.Join(dir, "postgres")
	run, err := unprivileged(dir, data)
	if err != nil {
		return nil, err
	}
	db := filepath.Join(data, "db")
	if out, err := run(filepath.Join(programs, "initdb"), "-D", db, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	args := []string{"-D", db, "-k", data}
	for _, setting := range []string{
		"listen_addresses=", "shared_buffers=1GB", "work_mem=256MB", "maintenance_work_mem=512MB", "fsync=off", "synchronous_commit=off",
		"full_page_writes=off", "max_wal_size=8GB", "autovacuum=off", "random_page_cost=1.1", "effective_cache_size=4GB",
	} {
		args = append(args, "-c", setting)
	}
	p := &postgres{server: run(filepath.Join(programs, "postgres"), args...)}
	if err := p.server.Start(); err != nil {
		return nil, err
	}
	if err := p.connect(ctx, data); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// unprivileged makes a folder, and returns how to make commands that may
// write to it and do not run as root.
func unprivileged(dir, data string) (func(program string, args ...string) *exec.Cmd, error) {
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	var as *syscall.SysProcAttr
	if os.Geteuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		if err := errors.Join(os.Chown(data, uid, gid), os.Chmod(dir, 0o711)); err != nil {
			return nil, err
		}
		as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Env = data, as, []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
		return cmd
	}, nil
}

// connect waits until the server answers.
func (p *postgres) connect(ctx context.Context, data string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var err error
		if p.conn, err = pgx.Connect(ctx, "host="+data+" user=bench dbname=postgres"); err == nil {
			return p.conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&p.pid)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Name is "postgresql".
func (p *postgres) Name() string { return "postgresql" }

// Process is the one that serves the connection.
func (p *postgres) Process() int { return p.pid }

// Devices leaves the numbers: ids are places.
func (p *postgres) Devices([]uint32) {}

// Close ends the server.
func (p *postgres) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = p.conn.Close(ctx)
	p.end()
	return nil
}

// end ends the server at once, and in any case.
func (p *postgres) end() {
	_ = p.server.Process.Signal(syscall.SIGINT) // "fast shutdown"
	late := time.AfterFunc(20*time.Second, func() { _ = p.server.Process.Signal(syscall.SIGQUIT) })
	defer late.Stop()
	_ = p.server.Wait()
}

// Build copies the devices in, indexes, and vacuums, so that an index can
// answer without its table.
func (p *postgres) Build(ctx context.Context, fleet []search.Device) error {
	p.fleet = fleet
	err := p.exec(ctx, `CREATE UNLOGGED TABLE devices (id integer NOT NULL, name text NOT NULL, connected boolean NOT NULL, version integer NOT NULL,
		region text NOT NULL, model text NOT NULL, site text NOT NULL, customer text NOT NULL, build integer NOT NULL, battery integer NOT NULL, temp integer NOT NULL)`,
		"CREATE UNLOGGED TABLE members (grp integer, device integer, PRIMARY KEY (grp, device))")
	if err != nil {
		return err
	}
	columns := []string{"id", "name", "connected", "version", "region", "model", "site", "customer", "build", "battery", "temp"}
	if _, err = p.conn.CopyFrom(ctx, pgx.Identifier{"devices"}, columns, pgx.CopyFromSlice(len(fleet), func(i int) ([]any, error) {
		return append([]any{int32(i)}, values(&fleet[i])...), nil
	})); err != nil {
		return err
	}
	statements := append([]string{"ALTER TABLE devices ADD PRIMARY KEY (id)"}, covering[:]...)
	return p.exec(ctx, append(statements, "VACUUM ANALYZE devices")...)
}

// Size is that of the relations.
func (p *postgres) Size(ctx context.Context) (search.Size, error) {
	size := search.Size{Note: "relations"}
	err := p.conn.QueryRow(ctx, "SELECT pg_relation_size('devices'), pg_indexes_size('devices')").Scan(&size.Rows, &size.Index)
	return size, err
}

func (p *postgres) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := p.conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// IDs selects the ids, in the binary format.
func (p *postgres) IDs(ctx context.Context, q search.Query, ids []uint32) ([]uint32, error) {
	rows, err := p.conn.Query(ctx, "SELECT id FROM devices WHERE "+q.Where)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		ids = append(ids, binary.BigEndian.Uint32(rows.RawValues()[0]))
	}
	return ids, rows.Err()
}

// Page selects the names.
func (p *postgres) Page(ctx context.Context, q search.Query, limit int) (names []string, err error) {
	rows, err := p.conn.Query(ctx, fmt.Sprintf("SELECT name FROM devices WHERE %s ORDER BY name LIMIT %d", q.Where, limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		names = append(names, string(rows.RawValues()[0]))
	}
	return names, rows.Err()
}

// batch sends one statement for each device, all at once, in one transaction.
func (p *postgres) batch(ctx context.Context, devices []int, queue func(b *pgx.Batch, i int)) error {
	b := &pgx.Batch{}
	for _, i := range devices {
		queue(b, i)
	}
	return p.conn.SendBatch(ctx, b).Close()
}

// Flip updates the devices in one round trip.
func (p *postgres) Flip(ctx context.Context, devices []int) error {
	return p.batch(ctx, devices, func(b *pgx.Batch, i int) {
		b.Queue("UPDATE devices SET connected = NOT connected WHERE id = $1", int32(i))
	})
}

// Release updates the devices in one round trip.
func (p *postgres) Release(ctx context.Context, devices []int) error {
	return p.batch(ctx, devices, func(b *pgx.Batch, i int) {
		b.Queue("UPDATE devices SET version = $2 WHERE id = $1", int32(i), int32(p.fleet[i].Version))
	})
}

// Create writes the members down.
func (p *postgres) Create(ctx context.Context, q search.Query) (int, func() error, error) {
	tag, err := p.conn.Exec(ctx, members+q.Where)
	return int(tag.RowsAffected()), func() error { return p.exec(ctx, "TRUNCATE members") }, err
}
