package broker

import "context"

// DisconnectOptions say what becomes of a session that [Broker.Disconnect] ends.
type DisconnectOptions struct {
	// CleanSession forgets a persistent session: its subscriptions and the
	// messages that wait for it.
	CleanSession bool
	// PreventWill keeps the session's will back.
	PreventWill bool
}

// Disconnect ends the session of a client id with [APIInitiatedDisconnect] and
// returns when its end has been reported. With CleanSession it also ends a
// persistent session that has no connection. found is false when there is
// nothing to end; err is that of ctx, the session ends all the same then.
func (b *Broker) Disconnect(ctx context.Context, clientID string, o DisconnectOptions) (found bool, err error) {
	for {
		if s := b.session(clientID); s != nil {
			s.endClean.Store(o.CleanSession)
			s.keepWillBack.Store(o.PreventWill)
			s.drop(APIInitiatedDisconnect)
			return true, waitFor(ctx, s.done)
		}
		if !o.CleanSession {
			return false, nil
		}
		release, busy := b.tryClaim(clientID)
		if busy == nil {
			ended := b.endOffline(clientID, o.PreventWill)
			release()
			if ended || b.session(clientID) == nil {
				return ended, nil
			}
		} else if err := waitFor(ctx, busy); err != nil { // it is just coming or going
			return false, err
		}
	}
}

// session is the established session of a client id, or nil.
func (b *Broker) session(clientID string) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.current[clientID]
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endOffline ends a persistent session without connection, and its delayed
// will with it; the caller has claimed the client id.
func (b *Broker) endOffline(id string, preventWill bool) bool {
	b.mu.Lock()
	_, offline := b.offline[id]
	box := b.boxes[id]
	dead, died := b.wills[id]
	if offline {
		delete(b.offline, id)
		delete(b.boxes, id)
		delete(b.wills, id)
		b.schedule(id)
	}
	b.mu.Unlock()
	if !offline {
		return false
	}
	box.discard()
	if cl, ok := b.mqtt.Clients.Get(id); ok {
		b.forget(cl)
	}
	if died && !preventWill {
		b.publishWill(b.ctx, dead.will)
	}
	return true
}
