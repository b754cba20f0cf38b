package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// TestSearchWhileChangesStream: while a thousand changes and failed commits
// pass, a search either answers Unavailable or shows what is durable, in order
// of name, and what was acknowledged before it is in it.
func TestSearchWhileChangesStream(t *testing.T) {
	s := &faulty{Store: mem.New()}
	f := start(t, s, rules.Safe())
	f.many(300)
	f.group("odd", "attributes.softwareVersion:(1 OR 3 OR 5 OR 7 OR 9)")
	broken := errors.New("disk full")
	var mu sync.Mutex
	made, lost := map[protocol.ThingName]bool{}, map[protocol.ThingName]bool{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			if i%400 == 150 {
				s.fail.Store(&broken)
			}
			if i%400 == 155 {
				s.fail.Store(nil)
			}
			n := protocol.ThingName(fmt.Sprintf("new%04d", i))
			_, err := engine.Do(context.Background(), f.engine, engine.CreateThing{Name: n, Attributes: map[string]string{"softwareVersion": "1"}})
			mu.Lock()
			made[n], lost[n] = err == nil, err != nil
			mu.Unlock()
			engine.Do(context.Background(), f.engine, engine.UpdateThing{
				Name: protocol.ThingName(fmt.Sprintf("dev%04d", i%300)), Update: registry.Update{Attributes: map[string]string{"softwareVersion": fmt.Sprint(i % 7)}},
			})
		}
	}()
	seen := map[protocol.ThingName]bool{}
	answered := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		var acknowledged []protocol.ThingName
		mu.Lock()
		for n, ok := range made {
			if ok {
				acknowledged = append(acknowledged, n)
			}
		}
		mu.Unlock()
		found, err := f.search("thingGroupNames:odd OR attributes.softwareVersion:1")
		if protocol.CodeOf(err) == protocol.Unavailable && err != nil {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		answered++
		now := map[protocol.ThingName]bool{}
		for i, d := range found {
			if i > 0 && found[i-1].Thing() >= d.Thing() {
				t.Fatalf("%s comes behind %s", d.Thing(), found[i-1].Thing())
			}
			now[d.Thing()], seen[d.Thing()] = true, true
		}
		for _, n := range acknowledged {
			if !now[n] {
				t.Fatalf("%s was acknowledged and is not found", n)
			}
		}
	}
	for n := range seen {
		if lost[n] {
			t.Errorf("%s was refused, but a search showed it", n)
		}
	}
	t.Logf("%d searches were answered", answered)
	if answered == 0 {
		t.Error("no search was answered")
	}
	f.check()
}

// TestSearchOfLostState: a search that looked at a state which a failed commit
// threw away begins anew, and ends with Unavailable when that goes on.
func TestSearchOfLostState(t *testing.T) {
	for _, c := range []struct {
		failures, looks int
		code            protocol.Code
	}{
		{0, 1, ""},
		{1, 2, ""},
		{2, 3, ""},
		{9, 3, protocol.Unavailable},
	} {
		t.Run(fmt.Sprint(c.failures), func(t *testing.T) {
			s := &faulty{Store: mem.New()}
			f := start(t, s, rules.Safe())
			f.thing("dev1", "5")
			looks, count := 0, 0
			broken := errors.New("disk full")
			err := engine.Select(context.Background(), f.engine, engine.Question{Query: "*"}, func(found *index.Selection) {
				looks++
				count = found.Count()
				if looks <= c.failures {
					s.fail.Store(&broken)
					refused(f, engine.CreateThing{Name: "lost"}, protocol.Unavailable)
					s.fail.Store(nil)
				}
			})
			want(t, "looks", looks, c.looks)
			want(t, "things", count, 1)
			if c.code == "" && err != nil || c.code != "" && (err == nil || protocol.CodeOf(err) != c.code) {
				t.Errorf("%v, want %q", err, c.code)
			}
		})
	}
}

// TestSearchGivenUp: whoever does not wait for a search gets no answer, and
// leaves no place taken.
func TestSearchGivenUp(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.many(1000)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*50*time.Microsecond)
			defer cancel()
			err := engine.Select(ctx, f.engine, engine.Question{Query: "NOT thingName:a*b"}, func(*index.Selection) {})
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	found, err := f.search("*")
	want(t, "error", err, nil)
	want(t, "things", len(found), 1000)
}
