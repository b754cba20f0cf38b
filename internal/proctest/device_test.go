package proctest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/muster-iot/muster/internal/proctest"
)

// answerTime is how long a request over MQTT may stay unanswered while the
// connection lives.
const answerTime = 10 * time.Second

// device is an MQTT client that plays a device: it reports a counter in its
// shadow, takes jobs, counts in their statusDetails and ends them.
type device struct {
	*world
	name string
	rng  *rand.Rand
	// reported and counts only grow, whatever became of the messages.
	reported int64
	counts   map[string]int64
	serial   int
	*session
}

// session is one connection of a device.
type session struct {
	client  paho.Client
	lost    chan struct{}
	hint    chan struct{}
	mu      sync.Mutex
	waiting map[string]func(topic string, payload []byte) // by client token
}

var errLost = errors.New("connection lost")

// run connects again and again until ctx ends.
func (d *device) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.live(ctx); err != nil && !errors.Is(err, errLost) && ctx.Err() == nil {
			d.t.Errorf("device %s: %v", d.name, err)
		}
		_ = pause(ctx, time.Duration(5+d.rng.IntN(20))*time.Millisecond)
	}
}

// dial opens a session; lost is closed when it ends.
func dial(address, id string, handle paho.MessageHandler, filters map[string]byte) (client paho.Client, lost chan struct{}, err error) {
	lost = make(chan struct{})
	opts := paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetCleanSession(true).
		SetAutoReconnect(false).SetOrderMatters(false).SetConnectTimeout(2 * time.Second).SetWriteTimeout(2 * time.Second).
		SetKeepAlive(30 * time.Second).SetDefaultPublishHandler(handle).
		SetConnectionLostHandler(func(paho.Client, error) { close(lost) })
	client = paho.NewClient(opts)
	for _, step := range []func() paho.Token{client.Connect, func() paho.Token { return client.SubscribeMultiple(filters, nil) }} {
		token := step()
		if !token.WaitTimeout(answerTime) || token.Error() != nil {
			client.Disconnect(0)
			return nil, nil, fmt.Errorf("%w: %w", errLost, token.Error())
		}
	}
	return client, lost, nil
}

func (d *device) topic(suffix string) string { return "$aws/things/" + d.name + "/" + suffix }

// live is one session, from its connect to its end.
func (d *device) live(ctx context.Context) (err error) {
	s := &session{hint: make(chan struct{}, 1), waiting: map[string]func(string, []byte){}}
	d.session = s
	s.client, s.lost, err = dial(d.mqtt, d.name, d.receive, map[string]byte{
		d.topic("jobs/notify-next"): 1, d.topic("shadow/update/accepted"): byte(d.rng.IntN(2)),
	})
	if err != nil {
		return err
	}
	defer s.client.Disconnect(0)
	for ctx.Err() == nil {
		if err := d.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) step(ctx context.Context) error {
	if d.rng.IntN(3) == 0 {
		return d.burst(ctx, 1+d.rng.IntN(6))
	}
	x, err := d.startNext(ctx)
	if err != nil {
		return err
	}
	if x == nil {
		select {
		case <-d.hint:
		case <-d.lost:
			return errLost
		case <-ctx.Done():
		case <-time.After(time.Duration(d.rng.IntN(50)) * time.Millisecond):
		}
		return nil
	}
	return d.work(ctx, *x)
}

// receive takes every message of the session.
func (d *device) receive(_ paho.Client, m paho.Message) {
	if m.Topic() == d.topic("jobs/notify-next") {
		d.notified(m.Payload())
		return
	}
	var answer struct{ ClientToken string }
	if err := json.Unmarshal(m.Payload(), &answer); err != nil {
		d.t.Errorf("device %s: %s: %v", d.name, m.Topic(), err)
		return
	}
	d.mu.Lock()
	f := d.waiting[answer.ClientToken]
	d.mu.Unlock()
	if f != nil {
		f(m.Topic(), m.Payload())
	}
}

// execution is an execution as the device is told of it.
type execution struct {
	JobID                          string
	Status                         string
	ExecutionNumber, VersionNumber int64
}

func (x execution) key(thing string) string {
	return proctest.Execution{Job: x.JobID, Thing: thing, Number: x.ExecutionNumber}.Key()
}

// notified notes that an execution was announced.
func (d *device) notified(payload []byte) {
	var m struct{ Execution *execution }
	if err := json.Unmarshal(payload, &m); err != nil {
		d.t.Errorf("device %s: notify-next %q: %v", d.name, payload, err)
		return
	}
	if m.Execution != nil {
		d.ledger.AtLeast(m.Execution.key(d.name)+"/version", m.Execution.VersionNumber, d.why("notify-next of %s", d.name))
	}
	select {
	case d.hint <- struct{}{}:
	default:
	}
}

// ask publishes a request at QoS 1. answered is called with what comes back,
// acked when the PUBACK arrives; the channel is closed after the answer.
func (d *device) ask(suffix string, body object, answered func(accepted bool, payload []byte), acked func()) <-chan struct{} {
	d.serial++
	token := fmt.Sprintf("%s-%d", d.name, d.serial)
	body["clientToken"] = token
	payload, err := json.Marshal(body)
	if err != nil {
		d.t.Error(err)
	}
	done := make(chan struct{})
	var once sync.Once
	d.mu.Lock()
	d.waiting[token] = func(topic string, payload []byte) {
		once.Do(func() {
			answered(topic == d.topic(suffix)+"/accepted", payload)
			close(done)
		})
	}
	d.mu.Unlock()
	published := d.client.Publish(d.topic(suffix), 1, false, payload)
	go func() {
		<-published.Done()
		if published.Error() == nil {
			acked()
		}
	}()
	return done
}

// await waits for an answer.
func (d *device) await(ctx context.Context, answers ...<-chan struct{}) error {
	timeout := time.After(answerTime)
	for _, answer := range answers {
		select {
		case <-answer:
		case <-d.lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return fmt.Errorf("no answer after %v", answerTime)
		}
	}
	return nil
}

// burst sends several shadow reports without waiting in between.
func (d *device) burst(ctx context.Context, size int) error {
	key := "shadow/" + d.name + "/classic"
	var answers []<-chan struct{}
	for range size {
		d.reported++
		n := d.reported
		d.ledger.Sent(key+"/reported", n)
		body := object{"state": object{"reported": object{"n": n, "echo": echo(n)}}}
		answers = append(answers, d.ask("shadow/update", body, func(accepted bool, payload []byte) {
			var answer struct{ Version int64 }
			if err := json.Unmarshal(payload, &answer); err != nil || !accepted {
				d.t.Errorf("device %s: its shadow report was answered %s", d.name, payload)
				return
			}
			why := d.why("shadow/update/accepted of %s, reported %d", d.name, n)
			d.ledger.AtLeast(key+"/reported", n, why)
			d.ledger.AtLeast(key+"/version", answer.Version, why)
		}, func() {
			d.ledger.AtLeast(key+"/reported", n, d.why("PUBACK of a shadow/update of %s, reported %d", d.name, n))
		}))
	}
	return d.await(ctx, answers...)
}

// startNext returns the execution at the head of the queue, or nil.
func (d *device) startNext(ctx context.Context) (*execution, error) {
	var got struct{ Execution *execution }
	err := d.await(ctx, d.ask("jobs/start-next", object{}, func(accepted bool, payload []byte) {
		if err := json.Unmarshal(payload, &got); err != nil || !accepted {
			d.t.Errorf("device %s: start-next was answered %s", d.name, payload)
			return
		}
		if x := got.Execution; x != nil {
			d.ledger.AtLeast(x.key(d.name)+"/version", x.VersionNumber, d.why("start-next/accepted of %s", d.name))
		}
	}, func() {}))
	if err != nil {
		return nil, err
	}
	return got.Execution, nil
}

// work counts in an execution and ends it.
func (d *device) work(ctx context.Context, x execution) error {
	for range d.rng.IntN(5) {
		open, err := d.update(ctx, &x, "IN_PROGRESS")
		if err != nil || !open {
			return err
		}
	}
	_, err := d.update(ctx, &x, []string{"SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED", "REJECTED"}[d.rng.IntN(5)])
	return err
}

// update reports the next count and a status; open is false when the
// execution has ended otherwise.
func (d *device) update(ctx context.Context, x *execution, status string) (open bool, err error) {
	key := x.key(d.name)
	d.counts[key]++
	n := d.counts[key]
	d.ledger.Sent(key+"/n", n)
	body := object{
		"status": status, "statusDetails": object{"n": fmt.Sprint(n), "echo": echo(n)},
		"executionNumber": x.ExecutionNumber, "includeJobExecutionState": true,
	}
	if d.rng.IntN(2) == 0 {
		body["expectedVersion"] = x.VersionNumber
	}
	answer := d.ask("jobs/"+x.JobID+"/update", body, func(accepted bool, payload []byte) {
		open = d.updated(x, n, status, accepted, payload)
	}, func() {
		d.ledger.AtLeastUnlessEnded(key+"/n", n, d.why("PUBACK of an update of %s, count %d", key, n))
	})
	return open, d.await(ctx, answer)
}

// updated notes the answer to an update.
func (d *device) updated(x *execution, n int64, status string, accepted bool, payload []byte) (open bool) {
	key := x.key(d.name)
	var answer struct {
		Code           string
		ExecutionState *execution
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		d.t.Errorf("device %s: an update was answered %q: %v", d.name, payload, err)
		return false
	}
	state := answer.ExecutionState
	switch {
	case accepted && state != nil:
		why := d.why("update/accepted of %s, count %d, %s", key, n, status)
		x.VersionNumber = state.VersionNumber
		d.ledger.AtLeast(key+"/n", n, why)
		d.ledger.AtLeast(key+"/version", state.VersionNumber, why)
		if status != "IN_PROGRESS" {
			d.ledger.Final(key+"/status", status, why)
		}
		return true
	case answer.Code == "ResourceNotFound": // its job was deleted
	case state != nil && state.Status != "IN_PROGRESS" && state.Status != "QUEUED": // it was canceled
		d.ledger.Final(key+"/status", state.Status, d.why("update/rejected of %s", key))
	default:
		d.t.Errorf("device %s: update of %s was answered %s", d.name, key, payload)
	}
	return false
}
