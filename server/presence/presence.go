// Package presence derives the connectivity of a client from its sessions
// (AWS IoT reference 10.2 and 10.3). It is pure and owns nothing; the broker
// knows the sessions, the engine keeps one [Presence] per client id.
package presence

import "time"

// Reason is why a session ended; values are the wire names of AWS IoT reference 10.2.
type Reason string

// Reasons that the server itself gives.
const (
	ClientInitiated Reason = "CLIENT_INITIATED_DISCONNECT"
	Duplicate       Reason = "DUPLICATE_CLIENTID"
	ServerError     Reason = "SERVER_ERROR"
)

// Session tells one connection from all others: Boot is unique per run of
// the server, Number per session within it.
type Session struct {
	Boot   string `json:"boot"`
	Number uint64 `json:"number"`
}

// Presence is the connectivity of one client id.
type Presence struct {
	Connected bool    `json:"connected"`
	Session   Session `json:"session"`
	// Version grows by one with every session; both presence events of a session carry it.
	Version int64 `json:"version"`
	// At is when the client connected, or disconnected.
	At     time.Time `json:"at"`
	Reason Reason    `json:"reason,omitempty"`
	IP     string    `json:"ip,omitempty"`
}

// Connect starts a session. A client that is connected already is taken over:
// it stays connected, in the newer session.
func (p Presence) Connect(s Session, ip string, now time.Time) Presence {
	return Presence{Connected: true, Session: s, Version: p.Version + 1, At: now, IP: ip}
}

// Disconnect ends a session. applied is false when a newer session has taken
// over: then the client is still connected and the presence stays as it is.
func (p Presence) Disconnect(s Session, r Reason, now time.Time) (next Presence, applied bool) {
	if !p.Connected || p.Session != s {
		return p, false
	}
	p.Connected, p.Reason, p.At = false, r, now
	return p, true
}
