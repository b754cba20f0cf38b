package awsapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-iot/muster/simulator/awsapi"
)

func client(t *testing.T, h http.HandlerFunc) *awsapi.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := awsapi.New(s.URL+"/", s.Client())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPages(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/iot/aws4_request") {
			t.Errorf("authorization %q names no service", r.Header.Get("Authorization"))
		}
		switch r.URL.Query().Get("nextToken") {
		case "":
			fmt.Fprint(w, `{"things":["a","b"],"nextToken":"2"}`)
		case "2":
			fmt.Fprint(w, `{"things":["c"]}`)
		}
	})
	members, err := c.Members(context.Background(), "g/1")
	if err != nil || fmt.Sprint(members) != "[a b c]" {
		t.Errorf("members %v, %v", members, err)
	}
}

func TestPagesEnd(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"things":[],"nextToken":"again"}`) })
	if _, err := c.Members(context.Background(), "g"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("error %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, body, kind string
		status           int
		want             string
		notFound         bool
	}{
		{"not found", `{"message":"no such job"}`, "ResourceNotFoundException", 404, "ResourceNotFoundException: no such job", true},
		{"with a URL", `{"message":"m"}`, "Conflict:http://x/", 409, "Conflict: m", false},
		{"no JSON", `<html>`, "", 502, "502", false},
		{"no body", ``, "Forbidden", 403, "the server answers 403 Forbidden", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			api := client(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("x-amzn-ErrorType", c.kind)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			_, err := api.Job(context.Background(), "j")
			if err == nil || !strings.Contains(err.Error(), c.want) || awsapi.IsNotFound(err) != c.notFound {
				t.Errorf("error %v, not found %t", err, awsapi.IsNotFound(err))
			}
		})
	}
}

// TestReadsAreRepeated: a server that restarts is asked again, but only for
// what changes nothing.
func TestReadsAreRepeated(t *testing.T) {
	var asked atomic.Int32
	api := client(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"things":[{"thingName":"a","connectivity":{"connected":true,"timestamp":5}}]}`)
	})
	found, err := api.Search(context.Background(), "*")
	if err != nil || len(found) != 1 || !found[0].Connectivity.Connected || asked.Load() != 3 {
		t.Errorf("found %+v, %v after %d requests", found, err, asked.Load())
	}
	asked.Store(0)
	if err := api.CreateJob(context.Background(), awsapi.JobSpec{ID: "j", Document: json.RawMessage(`{}`)}); err == nil || asked.Load() != 1 {
		t.Errorf("a change was made after %d requests: %v", asked.Load(), err)
	}
}

func TestBadAnswer(t *testing.T) {
	api := client(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[`) })
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := api.Shadow(ctx, "a"); err == nil {
		t.Error("half a document was read")
	}
}

func TestTime(t *testing.T) {
	for text, want := range map[string]int64{"5": 5000, "1795558880.527": 1795558880527, `"7"`: 7000} {
		var at awsapi.Time
		if err := json.Unmarshal([]byte(text), &at); err != nil || at.UnixMilli() != want {
			t.Errorf("%s is %v, %v", text, at, err)
		}
	}
	for _, text := range []string{`"x"`, `{}`, `true`} {
		var at awsapi.Time
		if json.Unmarshal([]byte(text), &at) == nil {
			t.Errorf("%s is the time %v", text, at)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "localhost:8080", "ftp://x", "http://", "%"} {
		if _, err := awsapi.New(base, nil); err == nil {
			t.Errorf("%q is taken for a server", base)
		}
	}
}
