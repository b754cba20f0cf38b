package presence_test

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/server/presence"
)

func TestSessions(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	first, second := presence.Session{Boot: "a", Number: 1}, presence.Session{Boot: "a", Number: 2}

	p := presence.Presence{}.Connect(first, "127.0.0.1", at(1))
	if !p.Connected || p.Version != 1 {
		t.Fatalf("after connect: %+v", p)
	}
	p = p.Connect(second, "127.0.0.1", at(2))
	if !p.Connected || p.Version != 2 || !p.At.Equal(at(2)) {
		t.Fatalf("after take-over: %+v", p)
	}
	if _, applied := p.Disconnect(first, presence.Duplicate, at(3)); applied {
		t.Fatal("the end of an older session must not disconnect a newer one")
	}
	if _, applied := p.Disconnect(presence.Session{Boot: "b", Number: 2}, presence.ServerError, at(3)); applied {
		t.Fatal("a session of another run of the server must not end this one")
	}
	p, applied := p.Disconnect(second, presence.ClientInitiated, at(4))
	if !applied || p.Connected || p.Reason != presence.ClientInitiated || !p.At.Equal(at(4)) || p.Version != 2 {
		t.Fatalf("after disconnect: applied %v, %+v", applied, p)
	}
	if _, applied := p.Disconnect(second, presence.ServerError, at(5)); applied {
		t.Fatal("a session ends once")
	}
}
