package proctest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/proctest"
)

// rounds is how often the server is killed: MUSTER_KILL_ROUNDS, 5 by default.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MUSTER_KILL_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MUSTER_KILL_ROUNDS=%q is not a positive number", text)
	}
	return n
}

// seeded returns the generator that a test's choices come from: MUSTER_SEED or
// a new one, printed. The same seed makes the same choices; when messages
// arrive is still up to the machine.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("MUSTER_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 0, 64); err != nil {
			t.Fatalf("MUSTER_SEED=%q is not a number", text)
		}
	}
	t.Logf("seed: MUSTER_SEED=%#x", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func split(rng *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }

// moment is when the server is killed.
type moment string

const (
	// afterAck is up to 2 ms after a client got an acknowledgement.
	afterAck moment = "right after an acknowledgement"
	// inBurst is at any time while all clients work.
	inBurst moment = "in a burst"
	// inStart is while the server starts again after such a kill.
	inStart moment = "during the start"
)

// TestKillKeepsWhatWasAcknowledged kills the server again and again while
// operators and devices work, and holds every restart against the ledger of
// what they were told.
func TestKillKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	n, rng := rounds(t), seeded(t)
	h := newHavoc(t, rng)
	moments := []moment{afterAck, inBurst, inStart}
	for h.round = 1; h.round <= n; h.round++ {
		at := moments[(h.round-1)%len(moments)]
		before := h.ledger.Acks()
		h.strike(at)
		h.server.start()
		h.verify(string(at))
		t.Logf("round %d, killed %s: %d acknowledgements hold", h.round, at, h.ledger.Acks()-before)
	}
	// An orderly stop loses nothing either.
	h.work(func() { <-time.After(200 * time.Millisecond) }, h.server.Stop)
	h.server.start()
	h.verify("stopped in order")
	h.server.Stop()
}

// havoc is a server with its clients.
type havoc struct {
	*world
	rng    *rand.Rand
	server *musterd
	actors []func(ctx context.Context)
	// fire is sent to when the number of acknowledgements reaches target.
	fire   chan struct{}
	mu     sync.Mutex
	target int
}

func newHavoc(t *testing.T, rng *rand.Rand) *havoc {
	h := &havoc{rng: rng, server: newMusterd(t), fire: make(chan struct{}, 1)}
	h.world = &world{t: t, api: newAPI(h.server.http), mqtt: h.server.mqtt, ledger: proctest.NewLedger(h.acked)}
	h.server.start()
	ctx := t.Context()
	var operators []*operator
	for i := range 3 {
		operators = append(operators, &operator{world: h.world, name: fmt.Sprint(i), rng: split(rng)})
	}
	for i := range 6 {
		o := operators[i%len(operators)]
		name := fmt.Sprintf("device-%d", i)
		h.devices = append(h.devices, name)
		must(t, o.createThing(ctx, name, true))
		o.own++
		d := &device{world: h.world, name: name, rng: split(rng), counts: map[string]int64{}}
		h.actors = append(h.actors, d.run)
	}
	must(t, operators[0].createGroup(ctx, "devices", "attributes.role:device"))
	must(t, operators[0].createGroup(ctx, "odd", "attributes.role:device AND attributes.parity:odd"))
	must(t, operators[0].createGroup(ctx, "online", "connectivity.connected:true AND attributes.role:device"))
	events := object{}
	for _, family := range []string{"THING", "THING_GROUP", "THING_GROUP_MEMBERSHIP", "JOB", "JOB_EXECUTION"} {
		events[family] = object{"Enabled": true}
	}
	must(t, h.api.call(ctx, iot, "PATCH", "/event-configurations", object{"eventConfigurations": events}, nil))
	for _, o := range operators {
		h.actors = append(h.actors, o.run)
	}
	h.actors = append(h.actors, watcher{h.world}.run)
	for _, over := range []string{"mqtt", "http"} {
		p := &publisher{world: h.world, over: over, rng: split(rng)}
		h.actors = append(h.actors, p.run)
	}
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *havoc) acked(acks int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if acks < h.target {
		return
	}
	select {
	case h.fire <- struct{}{}:
	default:
	}
}

// await returns after some more acknowledgements, or after a while without.
func (h *havoc) await(acks int) {
	h.mu.Lock()
	h.target = h.ledger.Acks() + acks
	h.mu.Unlock()
	select { // an old signal
	case <-h.fire:
	default:
	}
	select {
	case <-h.fire:
	case <-time.After(20 * time.Second):
		h.t.Errorf("round %d: no %d acknowledgements within 20 s", h.round, acks)
	}
}

// work lets all clients run until the moment has come and the server is down.
func (h *havoc) work(moment, down func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	var wg sync.WaitGroup
	for _, actor := range h.actors {
		wg.Go(func() { actor(ctx) })
	}
	moment()
	down()
	cancel()
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = pprof.Lookup("goroutine").WriteTo(h.t.Output(), 1)
		h.t.Fatalf("round %d: the clients do not end", h.round)
	}
	h.api.http.CloseIdleConnections()
}

// strike kills the server at such a moment.
func (h *havoc) strike(at moment) {
	kill := func() { h.server.Kill() }
	few := func() {
		h.await(1 + h.rng.IntN(1500))
		<-time.After(time.Duration(h.rng.IntN(2000)) * time.Microsecond)
	}
	switch at {
	case afterAck:
		h.work(few, kill)
	case inBurst:
		h.work(func() { h.await(1); <-time.After(time.Duration(h.rng.IntN(1200)) * time.Millisecond) }, kill)
	case inStart:
		h.work(func() {
			few()
			// The clients go on trying meanwhile, and may be served for a moment.
			for range 1 + h.rng.IntN(3) {
				h.server.Kill()
				h.server.launch()
				<-time.After(time.Duration(h.rng.IntN(200)) * time.Millisecond)
			}
		}, kill)
	}
}

// verify reads the fleet and adds what it saw to the ledger. What was
// acknowledged must be there at once; groups may take their time to be built.
func (h *havoc) verify(after string) {
	h.t.Helper()
	shadows := h.ledger.Names("shadow")
	fleet, err := h.api.read(h.t.Context(), shadows)
	must(h.t, err)
	lost := slices.DeleteFunc(h.ledger.Check(fleet.Values()), func(p string) bool { return strings.HasPrefix(p, "member/") })
	if len(lost) > 0 {
		h.t.Fatalf("round %d, %s:\n%s", h.round, after, strings.Join(lost, "\n"))
	}
	eventually(h.t, 20*time.Second, func() []string {
		if fleet, err = h.api.read(h.t.Context(), shadows); err != nil {
			return []string{err.Error()}
		}
		return slices.Concat(fleet.Broken(), h.ledger.Check(fleet.Values()))
	})
	h.ledger.Learn(fleet.Values(), h.why("read after it was %s", after))
}
