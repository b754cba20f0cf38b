// Command testview makes the output of "go test -json" readable: it reads the
// events from standard input and prints one line per package, the whole output
// of every test that failed, every skipped test with its reason, and the
// counts. It ends with status 1 when anything failed or nothing ran. It keeps
// no state and never runs tests itself; scripts/test pipes them into it.
package main

import (
	"fmt"
	"os"
)

func main() {
	counts, err := view(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testview:", err)
		os.Exit(1)
	}
	if counts.bad() {
		os.Exit(1)
	}
}
