package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestView(t *testing.T) {
	const (
		run  = `{"Action":"run","Package":"p","Test":"TestA"}` + "\n"
		pass = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}` + "\n"
		end  = `{"Action":"pass","Package":"p","Elapsed":1.25}` + "\n"
	)
	tests := []struct {
		name, events, want string
		bad                bool
	}{
		{
			name:   "passing tests are counted, not shown",
			events: run + `{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}` + "\n" + pass + end,
			want:   "ok    p 1.2 s\n1 passed, 0 failed, 0 skipped in 1 packages (0 failed, 0 without tests)\n",
		},
		{
			name: "a failed test shows all it said",
			events: run + `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestA","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`,
			want: "FAIL  p TestA\n          a_test.go:3: no\n      --- FAIL: TestA (0.00s)\n      FAIL\nFAIL  p 0.1 s\n" +
				"0 passed, 1 failed, 0 skipped in 1 packages (1 failed, 0 without tests)\n",
			bad: true,
		},
		{
			name: "a skipped test shows its reason",
			events: run + pass + `{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: no aws here\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestC","Output":"--- SKIP: TestC (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestC","Elapsed":0}
` + end,
			want: "SKIP  p TestB: b_test.go:9: no aws here\nSKIP  p TestC: no reason given\nok    p 1.2 s\n" +
				"1 passed, 0 failed, 2 skipped in 1 packages (0 failed, 0 without tests)\n",
		},
		{
			name: "tests that a panic cut off are failures",
			events: run + `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`,
			want: "FAIL  p TestA: did not end\n      panic: oh\nFAIL  p 0.1 s\n" +
				"0 passed, 1 failed, 0 skipped in 1 packages (1 failed, 0 without tests)\n",
			bad: true,
		},
		{
			name: "a package that does not compile shows the compiler's words",
			events: run + pass + end + `{"ImportPath":"q [q.test]","Action":"build-output","Output":"q/q.go:1:1: syntax\n"}
{"ImportPath":"q [q.test]","Action":"build-fail"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q","Elapsed":0,"FailedBuild":"q [q.test]"}
`,
			want: "ok    p 1.2 s\nq/q.go:1:1: syntax\n      FAIL\tq [build failed]\nFAIL  q 0.0 s\n" +
				"1 passed, 0 failed, 0 skipped in 2 packages (1 failed, 0 without tests)\n",
			bad: true,
		},
		{
			name:   "a package without tests is counted",
			events: run + pass + end + `{"Action":"skip","Package":"q","Elapsed":0}` + "\n",
			want:   "ok    p 1.2 s\n-     q has no tests\n1 passed, 0 failed, 0 skipped in 2 packages (0 failed, 1 without tests)\n",
		},
		{
			name:   "other lines are copied",
			events: "go: cannot find main module\n{not json}\nlast",
			want:   "go: cannot find main module\n{not json}\nlast\n0 passed, 0 failed, 0 skipped in 0 packages (0 failed, 0 without tests)\n",
			bad:    true,
		},
		{
			name: "nothing at all is a failure",
			want: "0 passed, 0 failed, 0 skipped in 0 packages (0 failed, 0 without tests)\n",
			bad:  true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			counts, err := view(strings.NewReader(test.events), &out)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != test.want {
				t.Errorf("output:\n%s\nwant:\n%s", out.String(), test.want)
			}
			if counts.bad() != test.bad {
				t.Errorf("bad = %v, want %v", counts.bad(), test.bad)
			}
		})
	}
}

func TestViewReadError(t *testing.T) {
	_, err := view(iotest.ErrReader(os.ErrClosed), &strings.Builder{})
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want one that wraps %v", err, os.ErrClosed)
	}
}

func FuzzView(f *testing.F) {
	f.Add("{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"T\"}\n")
	f.Add("{\"Action\":\"output\",\"Package\":\"p\",\"Output\":\"x\"}\n{\"Action\":\"fail\",\"Package\":\"p\"}")
	f.Fuzz(func(t *testing.T, events string) {
		if _, err := view(strings.NewReader(events), &strings.Builder{}); err != nil {
			t.Error(err)
		}
	})
}
