// Package matching measures what a change of a device costs the matcher of
// dynamic groups (package group), beside other ways to find the same answer.
//
//	w, err := matching.New(matching.Config{Devices: 100_000, Groups: 10_000})
//	results, err := w.Measure(rounds)    // of each way, in turns
//
// A [Workload] is a fleet, its groups and a list of changes with the answer to
// each; the answers are checked by asking every query. A [Way] answers changes:
// naive, by field, by rarest term and the matcher; the floor is told the
// answers and only carries them out. It is what the figures of "bench groups"
// are made with, and knows nothing of tables or targets.
package matching

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/muster-iot/muster/internal/bench/search"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// Config is the size and kind of a workload.
type Config struct {
	Devices, Groups int
	// Tenants makes every query name a customer, about 20 groups each.
	Tenants bool
	// Ranges makes every query a lone threshold of the temperature, and every
	// change a step of it by at most two.
	Ranges bool
	// Changes is how many there are; 0 is 2000. They are made and then undone.
	Changes int
}

// customers is how many there are.
func (c Config) customers() int {
	const groupsEach = 20
	if c.Tenants {
		return max(1, c.Groups/groupsEach)
	}
	return 500
}

// Workload is a fleet, groups and changes.
type Workload struct {
	Config
	queries []*query.Query // of the groups by number
	docs    []*index.Document
	// changes are made, and then undone in the opposite order, so that all of
	// them leave everything as it was; answers are what each does.
	changes []index.Change
	answers [][]move
	// start are the groups of each device before the changes.
	start [][]uint32
}

// move is that a device joins or leaves a group.
type move struct {
	group  uint32
	joined bool
}

func groupName(number int) protocol.ThingGroupName {
	return protocol.ThingGroupName(fmt.Sprintf("g%06d", number))
}

// New makes a workload, always the same for a configuration.
func New(c Config) (*Workload, error) {
	if c.Changes == 0 {
		c.Changes = 2000
	}
	w := &Workload{Config: c}
	rng := rand.New(rand.NewPCG(7, 7))
	fleet := search.Fleet(c.Devices)
	ix := index.New()
	for i := range fleet {
		fleet[i].Customer = rng.IntN(c.customers())
		ix.Put(document(&fleet[i]))
	}
	for range c.Groups {
		q, err := query.Parse(c.query(rng, &fleet[rng.IntN(len(fleet))]))
		if err != nil {
			return nil, err
		}
		w.queries = append(w.queries, q)
	}
	w.docs = ix.Range("", 0)
	for range c.Changes {
		d := &fleet[rng.IntN(len(fleet))]
		w.changes = append(w.changes, ix.Put(c.change(rng, d, ix)))
	}
	for _, change := range slices.Backward(w.changes) {
		w.changes = append(w.changes, index.Change{Thing: change.Thing, Old: change.New, New: change.Old, Fields: change.Fields})
	}
	return w, w.answer()
}

// query draws the query of a group that a device is in, or nearly: the mix of
// the benchmark.
func (c Config) query(rng *rand.Rand, d *search.Device) string {
	if c.Ranges {
		return fmt.Sprintf("attributes.temp>=%.2f", rng.Float64()*120-20)
	}
	if c.Tenants {
		return fmt.Sprintf("attributes.customer:c%d AND (%s)", d.Customer, mixed(rng, d))
	}
	return mixed(rng, d)
}

// mixed draws one of nine forms.
func mixed(rng *rand.Rand, d *search.Device) string {
	const online = "connectivity.connected:true"
	version := fmt.Sprintf("attributes.softwareVersion:%d", d.Version)
	region := fmt.Sprintf("attributes.region:r%d", d.Region)
	model := fmt.Sprintf("attributes.model:m%d", d.Model)
	site := fmt.Sprintf("attributes.site:s%d", d.Site)
	battery, temp := fmt.Sprintf("attributes.battery<%d", rng.IntN(100)), fmt.Sprintf("attributes.temp>%d", rng.IntN(120)-20)
	from := max(0, d.Build-rng.IntN(20_000))
	build := fmt.Sprintf("attributes.build:[%d TO %d]", from, from+20_000)
	low := max(1, d.Version-rng.IntN(4))
	switch n := rng.IntN(1000); {
	case n < 300:
		return online + " AND " + version + " AND " + region
	case n < 400:
		return online + " AND " + version + " AND " + model
	case n < 500:
		return fmt.Sprintf("attributes.softwareVersion:[%d TO %d] AND %s", low, low+4, model)
	case n < 575:
		return build + " AND " + site
	case n < 650:
		return build + " AND " + site + " AND " + online
	case n < 750:
		return "thingName:" + d.Name[:len("dev-00012")] + "* AND " + version
	case n < 850:
		return region + " AND " + site + " AND NOT " + version + " AND " + online
	case n < 900:
		return "(" + region + " AND " + model + ") OR (" + site + " AND " + version + ")"
	case n < 950:
		return site + " AND " + battery
	case n < 999:
		return site + " AND " + temp
	}
	return fmt.Sprintf("attributes.battery<%d", 1+rng.IntN(3))
}

// document is a device as the index has it.
func document(d *search.Device) *index.Document {
	return index.Flatten(index.Source{
		ThingName: protocol.ThingName(d.Name),
		Attributes: map[string]string{
			"softwareVersion": strconv.Itoa(d.Version), "region": search.Text('r', d.Region), "model": search.Text('m', d.Model),
			"site": search.Text('s', d.Site), "customer": search.Text('c', d.Customer), "build": strconv.Itoa(d.Build),
			"battery": strconv.Itoa(d.Battery), "temp": strconv.Itoa(d.Temp),
		},
		Connectivity: index.Connectivity{Connected: d.Connected},
	}, index.Config{ThingIndexingMode: index.Registry, ThingConnectivityIndexingMode: index.Status})
}

// change draws what happens to a device, which always changes something.
func (c Config) change(rng *rand.Rand, d *search.Device, ix *index.Index) *index.Document {
	n := rng.IntN(100)
	if c.Ranges {
		n = 99
	}
	switch {
	case n < 50:
		d.Connected = !d.Connected
		return ix.Get(protocol.ThingName(d.Name)).WithConnectivity(index.Connectivity{Connected: d.Connected})
	case n < 70:
		d.Version = d.Version%20 + 1
	case n < 80:
		d.Build += 1 + rng.IntN(1000)
	case n < 90:
		d.Battery = (d.Battery + 1 + rng.IntN(5)) % 101
	case n < 93:
		d.Model = (d.Model + 1) % 100
	case d.Temp > 99 || d.Temp > -20 && rng.IntN(2) == 0:
		d.Temp -= 1 + rng.IntN(2)
	default:
		d.Temp += 1 + rng.IntN(2)
	}
	return document(d)
}

// matcher returns the matcher with all groups and members.
func (w *Workload) matcher() *group.Matcher {
	m := group.New()
	for i, q := range w.queries {
		m.Put(groupName(i), q)
	}
	for i, groups := range w.start {
		for _, g := range groups {
			m.Restore(groupName(int(g)), w.docs[i])
		}
	}
	return m
}

// answer finds the memberships and what each change does, with the matcher,
// and checks the first of them by asking every query.
func (w *Workload) answer() error {
	const checked = 300
	m := w.matcher()
	number := make(map[protocol.ThingGroupName]uint32, len(w.queries))
	for i := range w.queries {
		number[groupName(i)] = uint32(i)
	}
	w.start = make([][]uint32, len(w.docs))
	old := map[protocol.ThingName]*index.Document{}
	for _, c := range slices.Backward(w.changes[:w.Changes]) {
		old[c.Thing] = c.Old
	}
	for i, doc := range w.docs {
		if first := old[doc.Thing()]; first != nil {
			w.docs[i], doc = first, first
		}
		for _, joined := range m.Apply(index.Change{Thing: doc.Thing(), New: doc, Fields: doc.Fields()}) {
			w.start[i] = append(w.start[i], number[joined.Group])
		}
	}
	for n, c := range w.changes {
		var moves []move
		for _, ms := range m.Apply(c) {
			moves = append(moves, move{number[ms.Group], ms.Joined})
		}
		w.answers = append(w.answers, moves)
		if n < checked {
			if err := w.check(m, c.New); err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares the groups of a device with what every query says.
func (w *Workload) check(m *group.Matcher, doc *index.Document) error {
	var want []protocol.ThingGroupName
	for i, q := range w.queries {
		if q.Match(doc) {
			want = append(want, groupName(i))
		}
	}
	if got := m.GroupsOf(doc); !slices.Equal(got, want) {
		return fmt.Errorf("device %s is in %d groups, not in the %d that match it", doc.Thing(), len(got), len(want))
	}
	return nil
}
