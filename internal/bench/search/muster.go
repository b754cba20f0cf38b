package search

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"strconv"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// Muster is the fleet index of Muster, with its matcher.
type Muster struct {
	fleet   []Device
	index   *index.Index
	matcher *group.Matcher
	things  map[uint32]uint32 // places in the fleet by number
	groups  int
}

// NewMuster returns an empty index.
func NewMuster() *Muster {
	return &Muster{index: index.New(), matcher: group.New(), things: map[uint32]uint32{}}
}

// Name is "muster".
func (m *Muster) Name() string { return "muster" }

// Process is none.
func (m *Muster) Process() int { return 0 }

// Close does nothing.
func (m *Muster) Close() error { return nil }

func config() index.Config {
	return index.Config{
		ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status,
	}
}

// source is what the registry and the sessions know of a device.
func source(d *Device) index.Source {
	return index.Source{
		ThingName: protocol.ThingName(d.Name),
		Attributes: map[string]string{
			"softwareVersion": strconv.Itoa(d.Version), "region": Text('r', d.Region), "model": Text('m', d.Model),
			"site": Text('s', d.Site), "customer": Text('c', d.Customer), "build": strconv.Itoa(d.Build),
			"battery": strconv.Itoa(d.Battery), "temp": strconv.Itoa(d.Temp),
		},
		Connectivity: index.Connectivity{Connected: d.Connected},
	}
}

// Build flattens every device and puts it into the index.
func (m *Muster) Build(_ context.Context, fleet []Device) error {
	m.fleet = fleet
	for i := range fleet {
		doc := index.Flatten(source(&fleet[i]), config())
		m.index.Put(doc)
		m.things[m.index.Get(doc.Thing()).ID()] = uint32(i)
	}
	return nil
}

// Size measures with another index of the same fleet.
func (m *Muster) Size(context.Context) (Size, error) {
	return measureSize(m.fleet, func(d *Device) (index.Source, error) { return source(d), nil })
}

// heap is what is in use on the heap.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what has a finalizer or sits in a pool takes two
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// IDs parses the query and searches.
func (m *Muster) IDs(_ context.Context, q Query, ids []uint32) ([]uint32, error) {
	parsed, err := query.Parse(q.Muster)
	if err != nil {
		return nil, err
	}
	found := m.index.Select(parsed).IDs()
	n, first := int(found.GetCardinality()), len(ids)
	ids = append(ids, make([]uint32, n)...)
	found.ManyIterator().NextMany(ids[first:])
	return ids, nil
}

// Devices looks the numbers up.
func (m *Muster) Devices(ids []uint32) {
	for i, id := range ids {
		ids[i] = m.things[id]
	}
}

// Page is the first page of SearchIndex.
func (m *Muster) Page(_ context.Context, q Query, limit int) ([]string, error) {
	parsed, err := query.Parse(q.Muster)
	if err != nil {
		return nil, err
	}
	docs, _ := m.index.Select(parsed).Page("", limit)
	names := make([]string, len(docs))
	for i, doc := range docs {
		names[i] = string(doc.Thing())
	}
	return names, nil
}

// Flip is what a connect or disconnect does to the index.
func (m *Muster) Flip(_ context.Context, devices []int) error {
	for _, i := range devices {
		doc := m.index.Get(protocol.ThingName(m.fleet[i].Name))
		c := doc.Source().Connectivity
		c.Connected = !c.Connected
		m.index.Put(doc.WithConnectivity(c))
	}
	return nil
}

// Release is what a mirrored version does to the index.
func (m *Muster) Release(_ context.Context, devices []int) error {
	for _, i := range devices {
		src := m.index.Get(protocol.ThingName(m.fleet[i].Name)).Source()
		src.Attributes = maps.Clone(src.Attributes)
		src.Attributes["softwareVersion"] = strconv.Itoa(m.fleet[i].Version)
		m.index.Put(index.Flatten(src, config()))
	}
	return nil
}

// Create registers a group and searches for its members.
func (m *Muster) Create(_ context.Context, q Query) (int, func() error, error) {
	parsed, err := query.Parse(q.Muster)
	if err != nil {
		return 0, nil, err
	}
	m.groups++
	name := protocol.ThingGroupName(fmt.Sprintf("group-%d", m.groups))
	m.matcher.Put(name, parsed)
	members := m.index.Select(parsed).Count()
	return members, func() error { m.matcher.Remove(name); return nil }, nil
}
