package ownapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/ownapi"
)

func TestDo(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			w.Write(body)
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"code":"ResourceNotFound","message":"thing \"dev1\" does not exist"}`)
		default:
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, `<html>`)
		}
	}))
	defer web.Close()
	for _, c := range []struct {
		name, url, path string
		most            int64
		want            string // of the error; empty is none
	}{
		{"answered", web.URL, "/echo", 100, ""},
		{"a slash too many", web.URL + "/", "/echo", 100, ""},
		{"an error of the server", web.URL, "/gone", 100, `thing "dev1" does not exist`},
		{"not a Muster server", web.URL, "/other", 100, "does not answer like a Muster server: 502"},
		{"more than is read", web.URL, "/echo", 3, "does not answer like a Muster server"},
		{"nobody there", "http://127.0.0.1:1", "/echo", 100, "cannot reach the server"},
		{"no URL", "127.0.0.1:8080", "/echo", 100, "is not a URL such as"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []int
			err := ownapi.Server{URL: c.url}.Do(t.Context(), ownapi.Request{Method: http.MethodPost, Path: c.path, Body: strings.NewReader("[1,2]"), Most: c.most}, &got)
			switch {
			case c.want == "" && (err != nil || len(got) != 2):
				t.Errorf("answer %v, error %v", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	err := ownapi.Server{URL: web.URL}.Do(t.Context(), ownapi.Request{Method: http.MethodGet, Path: "/gone", Most: 100}, nil)
	if protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("code %s of %v", protocol.CodeOf(err), err)
	}
}
