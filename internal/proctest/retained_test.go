package proctest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// publisher publishes retained messages over one of the two ways: a counter on
// one topic, and messages on topics of their own that it clears again.
type publisher struct {
	*world
	over  string // mqtt or http
	rng   *rand.Rand
	n     int64 // of the counter
	fresh int   // topics made
}

// retainedText is a message that a reader can tell from any other.
func retainedText(n int64) object { return object{"n": n, "echo": echo(n)} }

func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.live(ctx); err != nil {
			_ = pause(ctx, 20*time.Millisecond)
		}
	}
}

// live publishes until something fails.
func (p *publisher) live(ctx context.Context) error {
	send := p.overHTTP
	if p.over == "mqtt" {
		client, lost, err := dial(p.mqtt, "publisher", nil, map[string]byte{"publisher": 0})
		if err != nil {
			return err
		}
		defer client.Disconnect(0)
		send = overMQTT(client, lost)
	}
	for ctx.Err() == nil {
		if err := p.step(ctx, send); err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(p.rng.IntN(10))*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// send publishes a retained message and returns when it is acknowledged.
type send func(ctx context.Context, topic string, payload any) error

func (p *publisher) overHTTP(ctx context.Context, topic string, payload any) error {
	return p.api.call(ctx, iotdata, "POST", "/topics/"+topic+"?qos=1&retain=true", payload, nil)
}

func overMQTT(client paho.Client, lost <-chan struct{}) send {
	return func(ctx context.Context, topic string, payload any) error {
		var text []byte
		if payload != nil {
			var err error
			if text, err = json.Marshal(payload); err != nil {
				return err
			}
		}
		token := client.Publish(topic, 1, true, text)
		select {
		case <-token.Done():
			return token.Error()
		case <-lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(answerTime):
			return errors.New("no PUBACK")
		}
	}
}

func (p *publisher) step(ctx context.Context, send send) error {
	if p.rng.IntN(3) == 0 {
		return p.clear(ctx, send)
	}
	topic := "counter-" + p.over
	p.n++
	p.ledger.Sent("retained/"+topic+"/n", p.n)
	if err := send(ctx, topic, retainedText(p.n)); err != nil {
		return err
	}
	p.ledger.AtLeast("retained/"+topic+"/n", p.n, p.why("retained %d over %s", p.n, p.over))
	return nil
}

// clear makes a retained message and clears it.
func (p *publisher) clear(ctx context.Context, send send) error {
	p.fresh++
	topic := fmt.Sprintf("fresh-%s-%d", p.over, p.fresh)
	if err := send(ctx, topic, retainedText(1)); err != nil {
		return err
	}
	p.ledger.Exists("retained/"+topic, p.why("retained %s", topic))
	if p.rng.IntN(3) == 0 {
		return nil // it stays
	}
	p.ledger.Dropping("retained/" + topic)
	if err := send(ctx, topic, nil); err != nil {
		return err
	}
	p.ledger.Gone("retained/"+topic, p.why("cleared %s", topic))
	return nil
}

// readRetained reads all retained messages.
func (a *api) readRetained(ctx context.Context, into map[string]string) error {
	type summary struct{ Topic string }
	topics, err := pagesOf[summary](ctx, a, iotdata, "/retainedMessage", "retainedTopics")
	if err != nil {
		return err
	}
	for _, t := range topics {
		var m struct{ Payload []byte }
		if err := a.call(ctx, iotdata, "GET", "/retainedMessage/"+t.Topic, nil, &m); err != nil {
			return fmt.Errorf("retained message of %s: %w", t.Topic, err)
		}
		var text map[string]any
		if err := json.Unmarshal(m.Payload, &text); err != nil {
			return fmt.Errorf("retained message of %s is %q: %w", t.Topic, m.Payload, err)
		}
		into[t.Topic] = counter(text["n"], text["echo"])
	}
	return nil
}
