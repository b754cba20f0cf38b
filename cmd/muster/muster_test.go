package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muster-iot/muster/firmware/repo"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"muster": main})
}

// Every script has a server of its own: its URL is $SERVER, a second one's
// $OTHER. The home folder is empty.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"SERVER", "OTHER"} {
				url, err := server(env, filepath.Join(env.WorkDir, "."+name))
				if err != nil {
					return err
				}
				env.Setenv(name, url)
			}
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func server(env *testscript.Env, dir string) (string, error) {
	r, err := repo.Open(repo.Config{Dir: dir})
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle("/tuf/", r.Serve())
	operate := r.Operate(slog.New(slog.NewTextHandler(io.Discard, nil)))
	mux.Handle("/muster/v1/repository", operate)
	mux.Handle("/muster/v1/repository/", operate)
	own, err := fleet(env)
	if err != nil {
		return "", err
	}
	mux.Handle("/muster/v1/", own)
	s := httptest.NewServer(mux)
	env.Defer(func() {
		s.Close()
		_ = r.Close()
	})
	return s.URL, nil
}

// exits runs a program and compares its exit code; it must fail with one line.
//
//	exits 2 muster release add
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code, want := 0, args[0]
	if e, ok := err.(interface{ ExitCode() int }); ok {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("cannot run: %v", err)
	}
	if fmt.Sprint(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}
