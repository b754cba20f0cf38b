package main

import "github.com/muster-iot/muster/internal/bench/search"

// indexes answer each query alone: every column that it looks at or returns is
// in one of them. The name is there for the first page, which comes in order
// of names.
var indexes = [...]string{
	"CREATE INDEX by_version ON devices (version, name) WHERE connected",
	"CREATE INDEX by_model ON devices (region, model, version)",
	"CREATE INDEX by_name ON devices (name, connected)",
	"CREATE INDEX by_site ON devices (site, version)",
	"CREATE INDEX by_temp ON devices (temp, battery)",
}

// covering are the same for PostgreSQL, whose indexes do not have the id by
// themselves.
var covering = [...]string{
	"CREATE INDEX by_version ON devices (version, name) INCLUDE (id) WHERE connected",
	"CREATE INDEX by_model ON devices (region, model, version) INCLUDE (id)",
	"CREATE INDEX by_name ON devices (name, connected) INCLUDE (id)",
	"CREATE INDEX by_site ON devices (site, version) INCLUDE (id)",
	"CREATE INDEX by_temp ON devices (temp, battery) INCLUDE (id)",
}

// values are a device's columns behind its id, in the order of search.Columns.
func values(d *search.Device) []any {
	return []any{
		d.Name, d.Connected, int32(d.Version), search.Text('r', d.Region), search.Text('m', d.Model), search.Text('s', d.Site),
		search.Text('c', d.Customer), int32(d.Build), int32(d.Battery), int32(d.Temp),
	}
}

const members = "INSERT INTO members SELECT 1, id FROM devices WHERE "
