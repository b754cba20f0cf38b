package shadow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
)

// nested is a value with so many objects or arrays around a 1.
func nested(depth int, open, shut string) string {
	return strings.Repeat(open, depth) + "1" + strings.Repeat(shut, depth)
}

func TestParseUpdateErrors(t *testing.T) {
	token := `"clientToken":"t"`
	for _, test := range []struct {
		name, payload string
		code          int
		message       string
		token         string
	}{
		{"empty", ``, 400, "Invalid JSON", ""},
		{"no JSON", `hello`, 400, "Invalid JSON", ""},
		{"cut short", `{"state":{"reported":{"a":1`, 400, "Invalid JSON", ""},
		{"two values", `{"state":{}} {}`, 400, "Invalid JSON", ""},
		{"not an object", `[1]`, 400, "Invalid JSON", ""},
		{"null", `null`, 400, "Invalid JSON", ""},
		{"very deep", nested(20_000, "[", "]"), 400, "Invalid JSON", ""},
		{"not UTF-8", "{\"state\":{\"reported\":{\"a\":\"\xc3\x28\"}}," + token + "}", 415, "Unsupported documented encoding; supported encoding is UTF-8", ""},
		{"UTF-16", "\xff\xfe{\x00}\x00", 415, "Unsupported documented encoding; supported encoding is UTF-8", ""},
		{"no state", `{` + token + `}`, 400, "Missing required node: state", "t"},
		{"state of another case", `{"State":{},` + token + `}`, 400, "Missing required node: state", "t"},
		{"state is text", `{"state":"x",` + token + `}`, 400, "State node must be an object", "t"},
		{"state is an array", `{"state":[],` + token + `}`, 400, "State node must be an object", "t"},
		{"desired is text", `{"state":{"desired":"x"},` + token + `}`, 400, "Desired node must be an object", "t"},
		{"reported is an array", `{"state":{"reported":[1]},` + token + `}`, 400, "Reported node must be an object", "t"},
		{"reported is false", `{"state":{"reported":false}}`, 400, "Reported node must be an object", ""},
		{"another section", `{"state":{"wanted":{}},` + token + `}`, 400, "State contains an invalid node: 'wanted'", "t"},
		{"null in an array", `{"state":{"reported":{"list":[1,null]}},` + token + `}`, 400, "State contains an invalid node: 'list'", "t"},
		{"null in an array in an array", `{"state":{"reported":{"list":[[null]]}}}`, 400, "State contains an invalid node: 'list'", ""},
		{"null in an object in an array", `{"state":{"reported":{"list":[{"x":null}]}}}`, 400, "State contains an invalid node: 'x'", ""},
		{"version is text", `{"state":{},"version":"1",` + token + `}`, 400, "Invalid version", "t"},
		{"version is a fraction", `{"state":{},"version":1.5}`, 400, "Invalid version", ""},
		{"version is negative", `{"state":{},"version":-1}`, 400, "Invalid version", ""},
		{"version is huge", `{"state":{},"version":9223372036854775808}`, 400, "Invalid version", ""},
		{"version before state", `{"version":true}`, 400, "Invalid version", ""},
		{"token is a number", `{"state":{},"clientToken":5}`, 400, "Invalid clientToken", ""},
		{"token too long", `{"state":{},"clientToken":"` + strings.Repeat("x", 65) + `"}`, 400, "Invalid clientToken", ""},
		{"token too long in bytes", `{"state":{},"clientToken":"` + strings.Repeat("é", 33) + `"}`, 400, "Invalid clientToken", ""},
		{"9 objects deep", `{"state":{"reported":` + nested(10, `{"o":`, `}`) + `},` + token + `}`, 400, "JSON contains too many levels of nesting; maximum is 8", "t"},
		{"9 arrays deep", `{"state":{"reported":{"a":` + nested(9, `[`, `]`) + `}}}`, 400, "JSON contains too many levels of nesting; maximum is 8", ""},
		{"state too big", `{"state":{"reported":{"a":"` + strings.Repeat("x", shadow.MaxState) + `"}},` + token + `}`, 413, "The payload exceeds the maximum size allowed", "t"},
		{"payload too big", `{"state":{},` + strings.Repeat(" ", shadow.MaxPayload) + token + `}`, 413, "The payload exceeds the maximum size allowed", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := shadow.ParseUpdate([]byte(test.payload))
			e, ok := errors.AsType[*shadow.Error](err)
			if !ok {
				t.Fatalf("error is %#v, want a *shadow.Error", err)
			}
			if want := (shadow.Error{Code: test.code, Message: test.message, ClientToken: test.token}); *e != want {
				t.Errorf("error is %+v, want %+v", *e, want)
			}
		})
	}
}

func TestParseUpdateAtTheLimits(t *testing.T) {
	overhead := len(`{"reported":{"a":""}}`)
	for name, payload := range map[string]string{
		"state of 8192 bytes":         `{"state":{"reported":{"a":"` + strings.Repeat("x", shadow.MaxState-overhead) + `"}}}`,
		"the same with white space":   `{"state": { "reported" : {"a":  "` + strings.Repeat("x", shadow.MaxState-overhead) + `"}}}`,
		"escapes count as the text":   `{"state":{"reported":{"a":"` + strings.Repeat(`\u0078`, shadow.MaxState-overhead) + `"}}}`,
		"token of 64 bytes":           `{"state":{},"clientToken":"` + strings.Repeat("x", 64) + `"}`,
		"null token and version":      `{"state":{},"clientToken":null,"version":null}`,
		"8 objects deep":              `{"state":{"reported":` + nested(9, `{"o":`, `}`) + `}}`,
		"8 arrays deep":               `{"state":{"reported":{"a":` + nested(8, `[`, `]`) + `}}}`,
		"version 9223372036854775807": `{"state":{},"version":9223372036854775807}`,
		"unknown keys":                `{"state":{},"more":[null],"metadata":{}}`,
		"byte order within strings":   `{"state":{"reported":{"é":"\ud800"}}}`,
	} {
		if _, err := shadow.ParseUpdate([]byte(payload)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := shadow.ParseUpdate([]byte(`{"state":{"reported":{"a":"` + strings.Repeat("x", shadow.MaxState-overhead+1) + `"}}}`)); err == nil {
		t.Error("a state of 8193 bytes was accepted")
	}
}

func TestParseGetAndDelete(t *testing.T) {
	for _, test := range []struct {
		payload, token string
		code           int
	}{
		{``, "", 0},
		{" \n", "", 0},
		{`{}`, "", 0},
		{`{"clientToken":"g1"}`, "g1", 0},
		{`{"clientToken":"g1","more":1}`, "g1", 0},
		{`{"clientToken":7}`, "", 400},
		{`{`, "", 400},
		{`"g1"`, "", 400},
		{"\xff", "", 415},
	} {
		for name, parse := range map[string]func([]byte) (string, error){"get": shadow.ParseGet, "delete": shadow.ParseDelete} {
			token, err := parse([]byte(test.payload))
			e, _ := errors.AsType[*shadow.Error](err)
			if token != test.token || (err != nil) != (test.code != 0) || e != nil && e.Code != test.code {
				t.Errorf("%s of %q: %q, %v; want %q, code %d", name, test.payload, token, err, test.token, test.code)
			}
		}
	}
}

func TestErrorFrom(t *testing.T) {
	conflict := &shadow.Error{Code: 409, Message: "Version conflict"}
	for _, test := range []struct {
		err  error
		want shadow.Error
	}{
		{conflict, shadow.Error{Code: 409, Message: "Version conflict", ClientToken: "t"}},
		{fmt.Errorf("wrapped: %w", shadow.NotFound("x", "own")), shadow.Error{Code: 404, Message: "No shadow exists with name: 'x'", ClientToken: "own"}},
		{protocol.Errorf(protocol.Throttling, "too many"), shadow.Error{Code: 429, Message: "too many", ClientToken: "t"}},
		{protocol.Errorf(protocol.Forbidden, "no"), shadow.Error{Code: 403, Message: "no", ClientToken: "t"}},
		{protocol.Errorf(protocol.Internal, "row 17"), shadow.Error{Code: 500, Message: "Internal service failure", ClientToken: "t"}},
		{protocol.Errorf(protocol.InvalidQuery, "x"), shadow.Error{Code: 500, Message: "Internal service failure", ClientToken: "t"}},
		{errors.New("disk on fire"), shadow.Error{Code: 500, Message: "Internal service failure", ClientToken: "t"}},
	} {
		if got := shadow.ErrorFrom(test.err, "t"); *got != test.want {
			t.Errorf("ErrorFrom(%v) = %+v, want %+v", test.err, *got, test.want)
		}
	}
	if conflict.ClientToken != "" {
		t.Error("ErrorFrom changed its argument")
	}
	for code, want := range map[int]protocol.Code{
		400: protocol.InvalidRequest, 401: protocol.Unauthorized, 403: protocol.Forbidden, 404: protocol.NotFound, 409: protocol.Conflict,
		413: protocol.TooLarge, 415: protocol.UnsupportedEncoding, 429: protocol.Throttling, 500: protocol.Internal, 7: protocol.Internal,
	} {
		if got := protocol.CodeOf(&shadow.Error{Code: code}); got != want {
			t.Errorf("code %d is %s, want %s", code, got, want)
		}
	}
}
