package protocol_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
)

const account = "123456789012"

func TestParseOwnARN(t *testing.T) {
	const thing = "arn:aws:iot:us-east-1:123456789012:thing/pump-17"
	for _, row := range []struct {
		name, arn string
		legal     bool
	}{
		{"a thing", thing, true},
		{"a thing with a colon", thing + ":2", true},
		{"another region", strings.Replace(thing, "us-east-1", "mars-1", 1), true},
		{"a job", strings.Replace(thing, "thing/", "job/", 1), true},
		{"a policy", strings.Replace(thing, "thing/pump-17", "policy/a.b+c=d,e@f", 1), true},
		{"a job with a colon", strings.Replace(thing, "thing/", "job/a:", 1), false},
		{"a long job id", strings.Replace(thing, "thing/", "job/"+strings.Repeat("j", 64), 1), false},
		{"another partition", strings.Replace(thing, ":aws:", ":aws-us-gov:", 1), false},
		{"another service", strings.Replace(thing, ":iot:", ":s3:", 1), false},
		{"another account", strings.Replace(thing, account, "210987654321", 1), false},
		{"no account", strings.Replace(thing, account, "", 1), false},
		{"no kind", strings.Replace(thing, "thing/", "/", 1), false},
		{"no name", strings.Replace(thing, "pump-17", "", 1), false},
		{"no slash", strings.Replace(thing, "/", "-", 1), false},
		{"a slash in the name", thing + "/2", false},
		{"a space", thing + " ", false},
		{"a long name", thing + strings.Repeat("x", 128), false},
		{"cut short", "arn:aws:iot:us-east-1:123456789012", false},
		{"nothing", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, err := protocol.ParseOwnARN(row.arn, account)
			if (err == nil) != row.legal || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
				t.Fatalf("error %v", err)
			}
			if err == nil && a.String() != row.arn {
				t.Errorf("read as %s", a)
			}
		})
	}
}

// FuzzParseOwnARN: what is taken is written as it was read.
func FuzzParseOwnARN(f *testing.F) {
	for _, seed := range []string{
		"arn:aws:iot:us-east-1:123456789012:thing/pump-17", "arn:aws:iot::123456789012:policy/a.b", "arn:aws:iot:r:123456789012:job/x/y", "arn:::::", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := protocol.ParseOwnARN(text, account)
		if err == nil && (a.String() != text || a.Account != account || a.Name == "" || strings.Contains(a.Name, "/")) {
			t.Errorf("%q was read as %+v", text, a)
		}
	})
}
