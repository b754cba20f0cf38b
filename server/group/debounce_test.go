package group_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

func TestParseDebounce(t *testing.T) {
	for _, row := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"30s", 30 * time.Second, true},
		{"1m30s", 90 * time.Second, true},
		{"0", 0, true},
		{"0s", 0, true},
		{"1h", time.Hour, true},
		{"1h0m1s", 0, false},
		{"-1s", 0, false},
		{"30", 0, false},
		{"", 0, false},
		{"soon", 0, false},
	} {
		got, err := group.ParseDebounce(row.text)
		if got != row.want || (err == nil) != row.ok {
			t.Errorf("%q: %s, %v; want %s", row.text, got, err, row.want)
		}
		if err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
			t.Errorf("%q: code %s", row.text, protocol.CodeOf(err))
		}
	}
}

func FuzzParseDebounce(f *testing.F) {
	for _, s := range []string{"30s", "-1h", "1e9s", "9999999999h", "1.5m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := group.ParseDebounce(s); err == nil && (d < 0 || d > group.MaxDebounce) {
			t.Errorf("%q is %s", s, d)
		}
	})
}

// TestDebounce drives a matcher and its owner's clock through random flips at
// random times, and compares each membership with a model of rule 9.
func TestDebounce(t *testing.T) {
	for name, bounded := range map[string]bool{"without bound": false, "two groups a thing": true} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				d := newDwells(bounded)
				d.start()
				for _, g := range d.groups {
					d.take(t, d.matcher.Scan(g.name, d.index.Range("", 0)))
				}
				t.Repeat(map[string]func(*rapid.T){
					"flip":         d.flip,
					"attribute":    d.attribute,
					"delete":       d.delete,
					"advance":      d.advance,
					"change query": d.changeQuery,
					"configure":    d.configure,
					"restart":      d.restart,
					"":             d.check,
				})
			})
		})
	}
}

// asked is a query with the attributes that it mentions.
type asked struct {
	text  string
	about []string
}

func (a asked) query() *query.Query {
	q, err := query.Parse(a.text)
	if err != nil {
		panic(err)
	}
	return q
}

func askedQueries() []asked {
	return []asked{
		{"connectivity.connected:true", nil},
		{"NOT connectivity.connected:true", nil},
		{"connectivity.connected:true AND attributes.a:1", []string{"a"}},
		{"connectivity.connected:true OR attributes.b:1", []string{"b"}},
		{"connectivity.connected:true AND NOT attributes.a:* AND NOT attributes.b:1", []string{"a", "b"}},
		{"connectivity.connected:true AND NOT 1", []string{"a", "b", "c"}},
		{"attributes.a:1", []string{"a"}},
	}
}

// dwells is a fleet of two things and three groups.
type dwells struct {
	index   *index.Index
	matcher *group.Matcher
	bounded bool
	now     time.Time
	groups  []*dwellGroup // the oldest first
	// waits are those that the matcher told of, with the time that is over.
	waits map[[2]string]wait
	// The model: whether a group counts as matching, and until when a
	// difference to that waits.
	holds map[[2]string]bool
	until map[[2]string]time.Time
	// member are the memberships that were answered.
	member map[[2]string]bool
}

type wait struct {
	until  time.Time
	leaves bool
}

type dwellGroup struct {
	name     protocol.ThingGroupName
	asked    asked
	debounce time.Duration
}

func newDwells(bounded bool) *dwells {
	d := &dwells{
		index: index.New(), bounded: bounded, now: time.Unix(1_000_000, 0),
		waits: map[[2]string]wait{}, holds: map[[2]string]bool{}, until: map[[2]string]time.Time{}, member: map[[2]string]bool{},
	}
	for i, a := range askedQueries()[:3] {
		d.groups = append(d.groups, &dwellGroup{name: protocol.ThingGroupName(fmt.Sprintf("g%d", i)), asked: a, debounce: 10 * time.Second})
	}
	return d
}

// start makes a matcher with the groups.
func (d *dwells) start() {
	d.matcher = group.New()
	if d.bounded {
		d.matcher.Bound(group.Bound{
			Room:    func(protocol.ThingName) int { return 2 },
			Created: func(g protocol.ThingGroupName) time.Time { return time.Unix(int64(g[1]), 0) },
		})
	}
	d.matcher.Debounce(group.Debounce{
		Waits: func(g protocol.ThingGroupName) bool { return d.group(g).debounce > 0 },
		Changed: func(w group.Wait) {
			k := [2]string{string(w.Thing), string(w.Group)}
			if w.Over {
				delete(d.waits, k)
				return
			}
			d.waits[k] = wait{d.now.Add(d.group(w.Group).debounce), w.Leaves}
		},
	})
	for _, g := range d.groups {
		d.matcher.Put(g.name, g.asked.query())
	}
}

func (d *dwells) group(name protocol.ThingGroupName) *dwellGroup {
	return d.groups[slices.IndexFunc(d.groups, func(g *dwellGroup) bool { return g.name == name })]
}

func (d *dwells) take(t *rapid.T, ms []group.Membership) {
	for _, m := range ms {
		k := [2]string{string(m.Thing), string(m.Group)}
		if d.member[k] == m.Joined {
			t.Fatalf("%+v twice in a row", m)
		}
		d.member[k] = m.Joined
	}
}

// put makes a change of a thing and lets the model follow.
func (d *dwells) put(t *rapid.T, src index.Source, changed string) {
	doc := index.Flatten(src, config())
	fresh := d.index.Get(src.ThingName) == nil
	told, toldWaits := d.matcher.Would(d.index.Diff(index.Flatten(src, config())))
	before := maps.Clone(d.waits)
	moves := d.matcher.Apply(d.index.Put(doc))
	if !slices.Equal(told, moves) {
		t.Fatalf("told %+v, did %+v", told, moves)
	}
	for _, w := range toldWaits {
		k := [2]string{string(w.Thing), string(w.Group)}
		if got, waits := d.waits[k]; !waits || got == before[k] || got.leaves == w.Joined {
			t.Fatalf("told that %+v waits, has %+v", w, got)
		}
		delete(before, k)
	}
	for k := range d.waits {
		if _, was := before[k]; !was && !slices.ContainsFunc(toldWaits, func(w group.Membership) bool { return k == [2]string{string(w.Thing), string(w.Group)} }) {
			t.Fatalf("%v waits and was not told", k)
		}
	}
	d.take(t, moves)
	for _, g := range d.groups {
		k := [2]string{string(src.ThingName), string(g.name)}
		matches := g.asked.query().Match(doc)
		_, waits := d.until[k]
		mentioned := fresh || slices.Contains(g.asked.about, changed)
		switch {
		case matches == d.holds[k]:
			delete(d.until, k)
		case waits && mentioned, !waits && (changed != "" || fresh || g.debounce == 0):
			delete(d.until, k)
			d.holds[k] = matches
		case !waits:
			d.until[k] = d.now.Add(g.debounce)
		}
	}
}

func (d *dwells) source(t *rapid.T) index.Source {
	thing := protocol.ThingName(rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "thing"))
	if doc := d.index.Get(thing); doc != nil {
		return doc.Source()
	}
	return index.Source{ThingName: thing}
}

func (d *dwells) flip(t *rapid.T) {
	src := d.source(t)
	src.Connectivity = index.Connectivity{Connected: !src.Connectivity.Connected, Timestamp: d.now.UnixMilli()}
	d.put(t, src, "")
}

func (d *dwells) attribute(t *rapid.T) {
	src, name := d.source(t), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	value := rapid.SampledFrom([]string{"1", "2", ""}).Draw(t, "value")
	if value == src.Attributes[name] {
		t.Skip("no change")
	}
	next := maps.Clone(src.Attributes)
	if next == nil {
		next = map[string]string{}
	}
	if next[name] = value; value == "" {
		delete(next, name)
	}
	src.Attributes = next
	d.put(t, src, name)
}

func (d *dwells) delete(t *rapid.T) {
	thing := d.source(t).ThingName
	d.take(t, d.matcher.Apply(d.index.Delete(thing)))
	for _, g := range d.groups {
		k := [2]string{string(thing), string(g.name)}
		delete(d.until, k)
		delete(d.holds, k)
	}
}

// advance lets time pass and settles what is over, the earliest first.
func (d *dwells) advance(t *rapid.T) {
	d.now = d.now.Add(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds")) * time.Second)
	due := slices.SortedFunc(maps.Keys(d.waits), func(a, b [2]string) int {
		return cmp.Or(d.waits[a].until.Compare(d.waits[b].until), cmp.Compare(a[0]+a[1], b[0]+b[1]))
	})
	for _, k := range due {
		if !d.waits[k].until.After(d.now) {
			d.take(t, d.matcher.EndWait(protocol.ThingGroupName(k[1]), d.index.Get(protocol.ThingName(k[0]))))
		}
	}
	for k, until := range d.until {
		if !until.After(d.now) {
			d.holds[k] = !d.holds[k]
			delete(d.until, k)
		}
	}
}

func (d *dwells) changeQuery(t *rapid.T) {
	g := rapid.SampledFrom(d.groups).Draw(t, "group")
	g.asked = rapid.SampledFrom(askedQueries()).Draw(t, "query")
	q := g.asked.query()
	d.matcher.Put(g.name, q)
	docs := d.index.Range("", 0)
	d.take(t, d.matcher.Scan(g.name, docs))
	for _, doc := range docs {
		k := [2]string{string(doc.Thing()), string(g.name)}
		d.holds[k] = q.Match(doc)
		delete(d.until, k)
	}
}

func (d *dwells) configure(t *rapid.T) {
	rapid.SampledFrom(d.groups).Draw(t, "group").debounce = time.Duration(rapid.SampledFrom([]int{0, 5, 10}).Draw(t, "debounce")) * time.Second
}

// restart builds a new matcher from what its owner has stored.
func (d *dwells) restart(t *rapid.T) {
	d.start()
	docs := d.index.Range("", 0)
	for k, in := range d.member {
		if in && !d.matcher.Restore(protocol.ThingGroupName(k[1]), d.index.Get(protocol.ThingName(k[0]))) {
			t.Fatalf("cannot restore %v", k)
		}
	}
	for k, w := range d.waits {
		if !d.matcher.RestoreWait(protocol.ThingGroupName(k[1]), d.index.Get(protocol.ThingName(k[0])), w.leaves) {
			t.Fatalf("cannot restore that %v waits", k)
		}
	}
	for _, doc := range docs {
		d.matcher.Recall(doc)
	}
}

func (d *dwells) check(t *rapid.T) {
	for _, doc := range d.index.Range("", 0) {
		room := len(d.groups)
		if d.bounded {
			room = 2
		}
		for _, g := range d.groups {
			k := [2]string{string(doc.Thing()), string(g.name)}
			want := d.holds[k] && room > 0
			if d.holds[k] {
				room--
			}
			if got := d.matcher.Contains(g.name, doc); got != want || d.member[k] != want {
				t.Fatalf("%v, query %s: is a member: %t, answered %t, want %t; waits until %v", k, g.asked.text, got, d.member[k], want, d.until[k])
			}
			if got, want := d.waits[k].until, d.until[k]; !got.Equal(want) {
				t.Fatalf("%v waits until %s, want %s", k, got, want)
			}
			if d.matcher.Waits(g.name, doc) != !d.until[k].IsZero() {
				t.Fatalf("%v waits: %t", k, d.until[k].IsZero())
			}
		}
	}
}
