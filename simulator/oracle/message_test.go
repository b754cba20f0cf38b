package oracle_test

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/simulator/oracle"
)

// FuzzMessage: whatever the server publishes, the oracle reads it or leaves it.
func FuzzMessage(f *testing.F) {
	f.Add("$aws/events/thingGroupMembership/thingGroup/g/thing/t/added", []byte(`{"eventId":"e","operation":"ADDED","groupArn":"arn:aws:iot:r:1:thinggroup/g","thingArn":"arn:aws:iot:r:1:thing/t","timestamp":1}`))
	f.Add("$aws/events/presence/connected/t", []byte(`{"clientId":"t","eventType":"connected"}`))
	f.Add("$aws/events/jobExecution/j/succeeded", []byte(`{"eventId":"x","jobId":"j","status":"SUCCEEDED"}`))
	f.Add("$aws/events/", []byte(`[]`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		o := oracle.New()
		o.Epoch(time.Now())
		for range 2 {
			o.Message(time.Now(), 1, topic, payload)
		}
		o.Watch("g", "j")
		for _, r := range o.Judge(oracle.State{}, "") {
			for _, v := range r.Violations {
				if v.What == "" {
					t.Errorf("%s is violated without a word", r.Name)
				}
			}
		}
	})
}
