package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/server/registry"
)

// state is the fleet in memory. It belongs to the worker's goroutine.
type state struct {
	cfg  *Config
	boot string

	names  map[protocol.ThingName]*entry
	things order[protocol.ThingName]

	types     map[protocol.ThingTypeName]*registry.ThingType
	typeOrder order[protocol.ThingTypeName]

	groups     map[protocol.ThingGroupName]*groupEntry
	groupOrder order[protocol.ThingGroupName]
	matcher    *group.Matcher // dynamic groups and their members
	// refused are the joins that the step found no room for (AWS IoT reference 4.3).
	refused    []group.Membership
	namings    namings
	tree       *group.Tree  // static groups and their members
	index      *index.Index // of things
	groupIndex *index.Index // of thing groups
	indexing   Indexing
	// reconfigured counts the changes of what is indexed since the start.
	reconfigured uint64

	jobs     map[protocol.JobID]*jobEntry
	jobOrder order[protocol.JobID]
	// targetingGroup finds the jobs in progress that target a group.
	targetingGroup map[protocol.ThingGroupName][]protocol.JobID

	tags     map[resource]registry.Tags
	retained retainedMessages

	identities

	events EventConfig
	timers timers
	// loadedAt is when the state was loaded, or when the clock was set after
	// that; unset is that it still has to be (clock.go).
	loadedAt time.Time
	unset    bool
	// armed is for when a running execution's timer is set.
	armed map[*job.Execution]time.Time
	// waits are what the step under way made wait, or not wait any more (rule 9).
	waits []group.Wait
	// background is work in slices: building groups, rebuilding the index.
	background []func(t *tx) error
	// seq orders executions that are queued at the same time.
	seq int64
}

// entry is everything filed under one name: a registered thing, or just a
// client's session or shadow.
type entry struct {
	thing    *registry.Thing
	shadows  map[string]shadow.Document // "" is the classic one
	presence presence.Presence
	// execs are the thing's executions in order of creation.
	execs []*job.Execution
}

// groupEntry is a thing group.
type groupEntry struct {
	group.Group
	query *query.Query // nil of a static group
	// held are the things that joined while the group was not ACTIVE: jobs
	// learn of them when it is (rule 8).
	held map[protocol.ThingName]bool
	// progress is that of the build under way.
	progress BuildProgress
	debounces
}

// jobEntry is a job with its executions.
type jobEntry struct {
	job.Job
	execs   []*job.Execution // in order of creation
	latest  map[protocol.ThingName]*job.Execution
	counts  job.Counts
	waiting waitlist
	// visits are those of things that came again, or that no execution tells of.
	visits map[protocol.ThingName]job.Visits
	// releaseSet is that a timer for the waiting things is set.
	releaseSet bool
}

// Indexing is the configuration and state of the fleet index.
type Indexing struct {
	Thing index.Config  `json:"thing"`
	Group GroupIndexing `json:"group"`
	// Status is the state of the index of things, GroupStatus that of the
	// index of thing groups.
	Status      IndexStatus `json:"status"`
	GroupStatus IndexStatus `json:"groupStatus,omitempty"`
}

// GroupIndexing is the thing-group indexing configuration.
type GroupIndexing struct {
	Mode         index.Mode    `json:"thingGroupIndexingMode"`
	CustomFields []index.Field `json:"customFields,omitempty"`
}

// IndexStatus is the state of an index (AWS IoT reference 3.1).
type IndexStatus string

// The states of DescribeIndex; an index that is off has none.
const (
	IndexOff        IndexStatus = ""
	IndexBuilding   IndexStatus = "BUILDING"
	IndexActive     IndexStatus = "ACTIVE"
	IndexRebuilding IndexStatus = "REBUILDING"
)

// EventConfig says which event families are published.
type EventConfig struct {
	Enabled        map[event.Type]bool `json:"enabled"`
	CreatedAt      time.Time           `json:"createdAt,omitzero"`
	LastModifiedAt time.Time           `json:"lastModifiedAt,omitzero"`
}

func newState(cfg *Config, boot string) *state {
	s := &state{
		cfg: cfg, boot: boot,
		names:          map[protocol.ThingName]*entry{},
		types:          map[protocol.ThingTypeName]*registry.ThingType{},
		groups:         map[protocol.ThingGroupName]*groupEntry{},
		matcher:        group.New(),
		namings:        newNamings(),
		tree:           group.NewTree(),
		jobs:           map[protocol.JobID]*jobEntry{},
		targetingGroup: map[protocol.ThingGroupName][]protocol.JobID{},
		tags:           map[resource]registry.Tags{},
		armed:          map[*job.Execution]time.Time{},
		events:         EventConfig{Enabled: map[event.Type]bool{}},
		identities:     newIdentities(),
	}
	s.matcher.Debounce(s.debounced())
	if cfg.Rules.GroupsPerThing > 0 {
		s.matcher.Bound(group.Bound{
			Room:    s.room,
			Created: func(g protocol.ThingGroupName) time.Time { return s.groups[g].CreatedAt },
			Refused: func(n protocol.ThingName, g protocol.ThingGroupName) {
				s.refused = append(s.refused, group.Membership{Thing: n, Group: g})
			},
		})
	}
	s.index, s.groupIndex = index.New(), index.New()
	s.indexing.Thing = index.Config{}.Normal()
	s.indexing.Group.Mode = index.Off
	if cfg.Rules.IndexingOn {
		s.indexing.Thing = index.Config{ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status}.Normal()
		s.indexing.Status = IndexActive
	}
	return s
}

// name returns the entry of a name, made if needed.
func (s *state) name(n protocol.ThingName) *entry {
	e, ok := s.names[n]
	if !ok {
		e = &entry{}
		s.names[n] = e
	}
	return e
}

// tidy forgets a name under which nothing is filed any more.
func (s *state) tidy(n protocol.ThingName) {
	e := s.names[n]
	if e != nil && e.thing == nil && len(e.shadows) == 0 && len(e.execs) == 0 && !e.presence.Connected {
		delete(s.names, n)
	}
}

// registered returns the entry of a registered thing.
func (s *state) registered(n protocol.ThingName) (*entry, error) {
	if e := s.names[n]; e != nil && e.thing != nil {
		return e, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "thing %q does not exist", n)
}

func (s *state) arn(kind, name string) string {
	return protocol.ARN{Region: s.cfg.Region, Account: s.cfg.Account, Kind: kind, Name: name}.String()
}

// order lists names by the time of their creation, then by name (rule 26).
type order[K ~string] struct{ items []ordered[K] }

type ordered[K ~string] struct {
	at  int64 // Unix nanoseconds
	key K
}

func (o ordered[K]) compare(p ordered[K]) int {
	return cmp.Or(cmp.Compare(o.at, p.at), cmp.Compare(o.key, p.key))
}

// inOrder puts names in the order of their creation.
func inOrder[K ~string](names []K, created func(K) time.Time) *order[K] {
	o := order[K]{items: make([]ordered[K], len(names))}
	for i, n := range names {
		o.items[i] = ordered[K]{created(n).UnixNano(), n}
	}
	slices.SortFunc(o.items, ordered[K].compare)
	return &o
}

func (o *order[K]) len() int { return len(o.items) }

func (o *order[K]) find(at time.Time, key K) (int, bool) {
	return slices.BinarySearchFunc(o.items, ordered[K]{at.UnixNano(), key}, ordered[K].compare)
}

func (o *order[K]) insert(at time.Time, key K) {
	if i, found := o.find(at, key); !found {
		o.items = slices.Insert(o.items, i, ordered[K]{at.UnixNano(), key})
	}
}

func (o *order[K]) remove(at time.Time, key K) {
	if i, found := o.find(at, key); found {
		o.items = slices.Delete(o.items, i, i+1)
	}
}

// after returns the items that follow one, which need not be there any more.
func (o *order[K]) after(last ordered[K]) []ordered[K] {
	i, found := slices.BinarySearchFunc(o.items, last, ordered[K].compare)
	if found {
		i++
	}
	return o.items[i:]
}

// before returns the items that precede one, which need not be there any more;
// all of them if it is the zero item.
func (o *order[K]) before(last ordered[K]) []ordered[K] {
	if last == (ordered[K]{}) {
		return o.items
	}
	i, _ := slices.BinarySearchFunc(o.items, last, ordered[K].compare)
	return o.items[:i]
}
