package shadow_test

import (
	"fmt"
	"time"

	"github.com/muster-iot/muster/protocol/shadow"
)

// An operator wants version 6, and the thing has yet to get there.
func Example() {
	reported, _ := shadow.ParseUpdate([]byte(`{"state":{"reported":{"softwareVersion":"5","uptime":10}}}`))
	desired, _ := shadow.ParseUpdate([]byte(`{"state":{"desired":{"softwareVersion":"6"}},"clientToken":"op-1"}`))

	var d shadow.Document // no such shadow yet
	d, _ = d.Apply(reported, time.Unix(1740830400, 0))
	d, _ = d.Apply(desired, time.Unix(1740830455, 0))

	delta, differs := shadow.Delta(d, time.Unix(1740830455, 0), desired.ClientToken)
	fmt.Println(differs, string(delta))

	_, err := shadow.ParseUpdate([]byte(`{"state":{"wanted":{}},"clientToken":"op-2"}`))
	fmt.Println(string(shadow.Rejected(shadow.ErrorFrom(err, ""), time.Unix(1740830460, 0))))
	// Output:
	// true {"version":2,"timestamp":1740830455,"state":{"softwareVersion":"6"},"metadata":{"softwareVersion":{"timestamp":1740830455}},"clientToken":"op-1"}
	// {"code":400,"message":"State contains an invalid node: 'wanted'","timestamp":1740830460,"clientToken":"op-2"}
}
