package durable_test

import (
	"fmt"

	"github.com/muster-iot/muster/internal/durable"
)

// Two writes, and the power cut in the middle of the second.
func ExampleCrashable() {
	memory := durable.NewCrashable()
	disk := durable.Disk{FS: memory}
	fmt.Println(disk.WriteFile("state.json", []byte("DOWNLOADING"), 0o600))

	memory.CutAt(6) // before the rename
	fmt.Println(disk.WriteFile("state.json", []byte("INSTALLING"), 0o600))

	after := memory.Crash(nil)
	state, err := after.ReadFile("state.json")
	fmt.Println(string(state), err)
	// Output:
	// <nil>
	// cannot write state.json: rename .state.json.tmp: the power was cut
	// DOWNLOADING <nil>
}
