package testbed_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/mqtt"
	"github.com/muster-iot/muster/internal/testbed"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/engine"
)

// dial opens a session of a registered thing.
func dial(t *testing.T, bed *testbed.Bed, name string) (agent.Session, error) {
	t.Helper()
	c, err := mqtt.New(mqtt.Config{ClientID: name, Servers: []string{name + ":1883"}, Dial: bed.Dial})
	if err != nil {
		t.Fatal(err)
	}
	return c.Connect(t.Context(), []string{topic.Jobs("gw", "notify-next")}, func(string, []byte) {})
}

func connected(t *testing.T, bed *testbed.Bed, want bool, when string) {
	t.Helper()
	err := engine.Read(t.Context(), bed.Engine(), func(v *engine.View) error {
		p, err := v.Presence("gw")
		if err == nil && p.Connected != want {
			t.Errorf("%s: connected is %v", when, p.Connected)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestBed: a cable that is pulled is a lost connection, a server that stops
// leaves its devices connected until they had time to come back.
func TestBed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bed := testbed.New(t, testbed.Options{})
		do(&fleet{t: t, bed: bed}, engine.CreateThing{Name: "gw"})
		s, err := dial(t, bed, "gw")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(24 * time.Hour)
		connected(t, bed, true, "after a day")
		bed.Unplug("gw")
		<-s.Done()
		s.Close()
		synctest.Wait()
		connected(t, bed, false, "unplugged")
		if _, err := bed.Dial(t.Context(), "gw:1883"); !errors.Is(err, testbed.ErrUnplugged) {
			t.Errorf("dialled without a cable: %v", err)
		}
		bed.Plug("gw")
		if s, err = dial(t, bed, "gw"); err != nil {
			t.Fatal(err)
		}
		connected(t, bed, true, "plugged in")

		bed.Stop()
		<-s.Done()
		s.Close()
		if _, err := bed.Dial(t.Context(), "gw:1883"); !errors.Is(err, testbed.ErrStopped) || bed.Engine() != nil {
			t.Errorf("dialled a stopped server: %v", err)
		}
		bed.Start()
		connected(t, bed, true, "started again")
		<-time.After(29 * time.Second)
		connected(t, bed, true, "within the grace")
		<-time.After(2 * time.Second)
		connected(t, bed, false, "after the grace")

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := bed.Dial(ended, "gw:1883"); !errors.Is(err, context.Canceled) {
			t.Errorf("dialled with a context that has ended: %v", err)
		}
	})
}
