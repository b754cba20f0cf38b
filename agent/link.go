package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
)

// filters are what a session subscribes to: the answers to the requests of
// talk.go, and notify-next.
func filters(thing protocol.ThingName) []string {
	return []string{
		topic.Jobs(thing, "notify-next"),
		topic.Jobs(thing, "start-next"+topic.Accepted),
		topic.Jobs(thing, "start-next"+topic.Rejected),
		// Describe is asked of $next and of a job by its id.
		topic.Job(thing, "+", "get"+topic.Accepted),
		topic.Job(thing, "+", "get"+topic.Rejected),
		topic.Job(thing, "+", "update"+topic.Accepted),
		topic.Job(thing, "+", "update"+topic.Rejected),
		topic.Shadow(thing, "", "update"+topic.Accepted),
		topic.Shadow(thing, "", "update"+topic.Rejected),
	}
}

// hint is a notification of a new head of the queue.
type hint struct {
	link      *link
	execution *jobs.Execution
}

// hintBox holds the newest notification of the newest session until the loop
// takes it.
type hintBox struct {
	mu     sync.Mutex
	newest *link
	box    chan hint
}

// open makes a session the one whose notifications count.
func (b *hintBox) open(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest = l
}

// put never blocks: it is the only sender, and makes room first.
func (b *hintBox) put(h hint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.link != b.newest {
		return
	}
	select {
	case <-b.box:
	default:
	}
	b.box <- h
}

// reply is an answer of the fleet side.
type reply struct {
	accepted bool
	payload  []byte
}

// link is one session with the requests that wait for their answers in it.
type link struct {
	session Session
	notify  string
	hints   *hintBox
	prefix  string

	mu      sync.Mutex
	sent    int
	waiting map[string]chan reply
}

// connect keeps a session open until ctx ends. The loop hears of each as a
// link, and of its end as nil.
func (a *Agent) connect(ctx context.Context) {
	jitter := rand.New(rand.NewPCG(a.cfg.Seed, 1))
	for failed := 0; ; failed++ {
		begun := time.Now()
		l := &link{
			notify: topic.Jobs(a.cfg.Thing, "notify-next"), hints: &a.hints,
			prefix: strconv.FormatUint(jitter.Uint64(), 36), waiting: map[string]chan reply{},
		}
		a.hints.open(l)
		session, err := a.cfg.Transport.Connect(ctx, filters(a.cfg.Thing), l.deliver)
		if err != nil {
			if ctx.Err() == nil {
				a.log.Info("cannot connect", "err", err)
			}
		} else {
			l.session = session
			a.attend(ctx, l)
			if time.Since(begun) > a.cfg.Reconnect.Max {
				failed = 0
			}
		}
		if !pause.For(ctx, a.cfg.Reconnect.pause(jitter, failed)) {
			return
		}
	}
}

// attend hands a session to the loop and returns when it has ended.
func (a *Agent) attend(ctx context.Context, l *link) {
	defer l.session.Close()
	select {
	case a.sessions <- l:
	case <-ctx.Done():
		return
	}
	select {
	case <-l.session.Done():
	case <-ctx.Done():
		return
	}
	select {
	case a.sessions <- nil:
	case <-ctx.Done():
	}
}

// maxPayload is the largest message that is looked at; a job document has at
// most 32 KiB.
const maxPayload = 256 << 10

// deliver takes a message from the transport. It never blocks.
func (l *link) deliver(name string, payload []byte) {
	if len(payload) > maxPayload {
		return
	}
	if name == l.notify {
		var m jobs.NotifyNext
		if json.Unmarshal(payload, &m) == nil {
			l.hints.put(hint{link: l, execution: m.Execution})
		}
		return
	}
	accepted := strings.HasSuffix(name, topic.Accepted)
	var m struct {
		ClientToken string `json:"clientToken"`
	}
	if !accepted && !strings.HasSuffix(name, topic.Rejected) || json.Unmarshal(payload, &m) != nil {
		return
	}
	l.mu.Lock()
	wait := l.waiting[m.ClientToken]
	delete(l.waiting, m.ClientToken)
	l.mu.Unlock()
	if wait != nil {
		wait <- reply{accepted: accepted, payload: payload}
	}
}

// token makes the client token of a request, and where its answer will come.
func (l *link) token() (string, chan reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	token, wait := l.prefix+"-"+strconv.Itoa(l.sent), make(chan reply, 1)
	l.waiting[token] = wait
	return token, wait
}

func (l *link) forget(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, token)
}

// errNoAnswer is that a request was taken and not answered in time.
var errNoAnswer = errors.New("no answer")

// request publishes to a topic of the service and waits for its answer.
func (l *link) request(ctx context.Context, name string, body func(token string) any, timeout time.Duration) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	token, wait := l.token()
	defer l.forget(token)
	payload, err := json.Marshal(body(token))
	if err != nil {
		return reply{}, fmt.Errorf("cannot encode a request to %s: %w", name, err)
	}
	if err := l.session.Publish(ctx, name, payload); err != nil {
		return reply{}, fmt.Errorf("cannot publish to %s: %w", name, err)
	}
	select {
	case r := <-wait:
		return r, nil
	case <-l.session.Done():
		return reply{}, fmt.Errorf("request to %s: the connection was lost", name)
	case <-ctx.Done():
		return reply{}, fmt.Errorf("request to %s: %w", name, errNoAnswer)
	}
}
