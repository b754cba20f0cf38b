package engine

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/store"
)

// The kinds of rows. A thing's rows stand in its shard, with the thing's name
// first in the key; groups, jobs and configuration stand in the global shard.
const (
	kindThing     store.Kind = "thing"     // T
	kindShadow    store.Kind = "shadow"    // T \0 shadow name
	kindPresence  store.Kind = "presence"  // T
	kindMember    store.Kind = "member"    // T \0 G
	kindExecution store.Kind = "execution" // T \0 J \0 number
	kindWaiting   store.Kind = "waiting"   // T \0 J
	kindVisits    store.Kind = "visits"    // T \0 J
	kindDebounce  store.Kind = "debounce"  // T \0 G
	kindThingType store.Kind = "thingtype" // name of the type
	kindGroup     store.Kind = "group"     // G
	kindJob       store.Kind = "job"       // J
	kindTags      store.Kind = "tags"      // kind of resource \0 its name
	kindRetained  store.Kind = "retained"  // topic
	kindConfig    store.Kind = "config"    // one of those below
)

const (
	keyIndexing = "indexing"
	keyEvents   = "events"
	keyBound    = "bound"
	keyClock    = "clock"
)

// memberRow is the value of a membership.
type memberRow struct {
	// Held is set while jobs have not learned of the member (rule 8).
	Held bool `json:"held,omitempty"`
}

// waitingRow is the value of a thing that waits for the rate of a job.
type waitingRow struct {
	Since int64 `json:"since"` // Unix nanoseconds
}

func key(part ...string) string { return strings.Join(part, "\x00") }

func executionKey(x *job.Execution) string {
	return key(string(x.Thing), string(x.JobID), fmt.Sprintf("%019d", x.Number))
}

// splitKey takes a key of n parts apart.
func splitKey(k string, n int) ([]string, error) {
	part := strings.Split(k, "\x00")
	if len(part) != n {
		return nil, fmt.Errorf("key %s has %d parts, not %d", strconv.Quote(k), len(part), n)
	}
	return part, nil
}

func (t *tx) put(shard protocol.Shard, kind store.Kind, key string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		// Only our own records come here: the guard turns this into a refused batch.
		panic(fmt.Sprintf("cannot encode %s %q: %v", kind, key, err))
	}
	t.ops = append(t.ops, shardOp{shard, store.Op{Kind: kind, Key: key, Value: b}})
}

func (t *tx) del(shard protocol.Shard, kind store.Kind, key string) {
	t.ops = append(t.ops, shardOp{shard, store.Op{Kind: kind, Key: key}})
}

// putThing writes a row of a thing's own shard.
func (t *tx) putThing(n protocol.ThingName, kind store.Kind, key string, value any) {
	t.put(protocol.ShardOf(n), kind, key, value)
}

func (t *tx) delThing(n protocol.ThingName, kind store.Kind, key string) {
	t.del(protocol.ShardOf(n), kind, key)
}
