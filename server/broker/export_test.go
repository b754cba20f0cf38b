package broker

import (
	"maps"
	"slices"
)

// SubscribersOf lists the client ids in mochi's topic tree that match topic.
func (b *Broker) SubscribersOf(topic string) []string {
	return slices.Sorted(maps.Keys(b.mqtt.Topics.Subscribers(topic).Subscriptions))
}

// Known counts what the broker remembers of clients without a connection, and
// mochi of any client.
func (b *Broker) Known() (offline, mochi int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.offline), b.mqtt.Clients.Len()
}

// Queued is the number of bytes in all outbound queues.
func (b *Broker) Queued() int64 { return b.queued.Load() }

// Connections is the number of admitted connections, with session or without.
func (b *Broker) Connections() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.conns)
}
