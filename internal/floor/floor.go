// Package floor is the least that a server could do, to measure Muster's own
// against in the same run: [Echo] is a bare mochi that answers every message,
// [Raw] a hand-written loop that does the same without topics or sessions.
// [Dial] and [Measure] are their client, which costs as little as they do.
//
// What is published to "in/X" comes back from "out/X", at QoS 1 both ways. One
// connection is publisher and subscriber, as a device is, which says something
// to its shadow and hears notify-next. The package knows nothing of Muster's
// topics or packages, stores nothing, and serves loopback only by custom:
// whoever makes the listener decides.
//
// Read on in echo.go, raw.go, client.go, measure.go and packet.go.
package floor

import (
	"context"
	"fmt"
	"net"
)

// Kind names a floor.
type Kind string

// The floors.
const (
	// KindEcho is [Echo], KindRaw is [Raw].
	KindEcho Kind = "echo"
	KindRaw  Kind = "raw"
)

// Serve serves the floor of that kind until ctx ends.
func Serve(ctx context.Context, kind Kind, l net.Listener) error {
	switch kind {
	case KindEcho:
		return Echo(ctx, l)
	case KindRaw:
		return Raw(ctx, l)
	}
	return fmt.Errorf("floor %q is neither %s nor %s", kind, KindEcho, KindRaw)
}

const (
	in  = "in/"
	out = "out/"
)
