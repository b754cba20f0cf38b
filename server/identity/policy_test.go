package identity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
)

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}`

func document(t testing.TB, text string) identity.Document {
	t.Helper()
	d, err := identity.ParsePolicy(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func TestParsePolicy(t *testing.T) {
	const text = `{
	"Version": "2012-10-17", "Id": "device",
	"Statement": [
		{"Sid": "own", "Effect": "Allow", "Action": ["iot:Connect", "iot:Pub*"],
		 "Resource": ["arn:aws:iot:us-east-1:123456789012:client/${iot:Connection.Thing.ThingName}", "arn:aws:iot:*:*:topic/a?/b"],
		 "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": [true]},
		               "ForAnyValue:StringLikeIfExists": {"iot:ClientId": ["a*", "b"], "aws:SourceIp": "10.0.0.1"},
		               "NumericLessThan": {"x": 5}}},
		{"Effect": "Deny", "Action": "*", "Resource": "*"}
	]}`
	want := identity.Document{
		Text: text, Version: "2012-10-17", ID: "device",
		Statements: []identity.Statement{
			{
				SID: "own", Effect: identity.Allow, Actions: []string{"iot:Connect", "iot:Pub*"},
				Resources: []string{"arn:aws:iot:us-east-1:123456789012:client/${iot:Connection.Thing.ThingName}", "arn:aws:iot:*:*:topic/a?/b"},
				Conditions: []identity.Condition{
					{Operator: "Bool", Key: "iot:Connection.Thing.IsAttached", Values: []string{"true"}},
					{Operator: "ForAnyValue:StringLikeIfExists", Key: "iot:ClientId", Values: []string{"a*", "b"}},
					{Operator: "ForAnyValue:StringLikeIfExists", Key: "aws:SourceIp", Values: []string{"10.0.0.1"}},
					{Operator: "NumericLessThan", Key: "x", Values: []string{"5"}},
				},
			},
			{Effect: identity.Deny, Actions: []string{"*"}, Resources: []string{"*"}},
		},
	}
	got := document(t, text)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	stored, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var loaded identity.Document
	if err := json.Unmarshal(stored, &loaded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, loaded); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	if one := document(t, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"iot:*","Resource":"*"}}`); len(one.Statements) != 1 {
		t.Errorf("a statement alone: %+v", one)
	}
}

func TestMalformedPolicies(t *testing.T) {
	statement := func(members string) string { return `{"Version":"2012-10-17","Statement":[{` + members + `}]}` }
	const rest = `"Effect":"Allow","Action":"iot:*","Resource":"*"`
	for _, row := range []struct{ name, text, problem string }{
		{"empty", "", "not JSON"},
		{"no JSON", "{", "not JSON"},
		{"cut", allowAll[:len(allowAll)-1], "not JSON"},
		{"list", "[]", "not a JSON object"},
		{"two documents", allowAll + "{}", "something follows"},
		{"no UTF-8", "{\"Version\":\"\xff\"}", "not UTF-8"},
		{"no version", `{"Statement":[{` + rest + `}]}`, `Version is ""`},
		{"other version", strings.Replace(allowAll, "2012", "2013", 1), `Version is "2013-10-17"`},
		{"version a number", `{"Version":2012,"Statement":[{` + rest + `}]}`, "Version is not a string"},
		{"version in other case", `{"version":"2012-10-17","Statement":[{` + rest + `}]}`, `unknown member "version"`},
		{"no statement", `{"Version":"2012-10-17"}`, "no Statement"},
		{"no statements", `{"Version":"2012-10-17","Statement":[]}`, "empty list"},
		{"statement null", `{"Version":"2012-10-17","Statement":null}`, "not a JSON object"},
		{"statement twice", `{"Version":"2012-10-17","Statement":[{` + rest + `}],"Statement":[{` + rest + `}]}`, `two members "Statement"`},
		{"effect twice", statement(`"Effect":"Deny",` + rest), `two members "Effect"`},
		{"no effect", statement(`"Action":"iot:*","Resource":"*"`), `Effect of a Statement is ""`},
		{"other effect", statement(`"Effect":"allow","Action":"iot:*","Resource":"*"`), `Effect of a Statement is "allow"`},
		{"no action", statement(`"Effect":"Allow","Resource":"*"`), "no Action"},
		{"no actions", statement(`"Effect":"Allow","Action":[],"Resource":"*"`), "empty list"},
		{"action an object", statement(`"Effect":"Allow","Action":{},"Resource":"*"`), "not a string"},
		{"action without service", statement(`"Effect":"Allow","Action":"Connect","Resource":"*"`), `Action "Connect"`},
		{"action empty", statement(`"Effect":"Allow","Action":[""],"Resource":"*"`), `Action ""`},
		{"no resource", statement(`"Effect":"Allow","Action":"iot:*"`), "no Resource"},
		{"resource a topic", statement(`"Effect":"Allow","Action":"iot:*","Resource":"a/b"`), `Resource "a/b"`},
		{"resource of five parts", statement(`"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:topic/a"`), "not an ARN of the form"},
		{"variable not closed", statement(`"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:::client/${iot:ClientId"`), "policy variable"},
		{"variable without name", statement(`"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:::client/${}"`), "policy variable"},
		{"NotAction", statement(`"NotAction":"iot:Connect",` + rest), `unknown member "NotAction"`},
		{"Principal", statement(`"Principal":"*",` + rest), `unknown member "Principal"`},
		{"condition a string", statement(`"Condition":"x",` + rest), "not a JSON object"},
		{"unknown operator", statement(`"Condition":{"StringIs":{"a":"b"}},` + rest), `operator "StringIs"`},
		{"condition without values", statement(`"Condition":{"Bool":{"a":[]}},` + rest), "empty list"},
		{"condition of a null", statement(`"Condition":{"Bool":{"a":null}},` + rest), "not a string"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := identity.ParsePolicy(row.text)
			if codeOf(err) != protocol.MalformedPolicy || !strings.Contains(err.Error(), row.problem) {
				t.Errorf("error %v, want %q", err, row.problem)
			}
		})
	}
}

// TestPolicySize: white space does not count, characters do, not bytes.
func TestPolicySize(t *testing.T) {
	sized := func(n int, filler string) string {
		frame := `{"Version":"2012-10-17","Id":"%s","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}`
		return fmt.Sprintf(frame, strings.Repeat(filler, n-len(fmt.Sprintf(frame, ""))))
	}
	for _, filler := range []string{"a", "ü"} {
		document(t, sized(2048, filler))
		document(t, strings.ReplaceAll(sized(2048, filler), ",", " ,\n\t "))
		if _, err := identity.ParsePolicy(sized(2049, filler)); codeOf(err) != protocol.MalformedPolicy || !strings.Contains(err.Error(), "2049 characters") {
			t.Errorf("2049 of %q: %v", filler, err)
		}
	}
}

func TestPolicyVersions(t *testing.T) {
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	p, err := identity.NewPolicy("device", document(t, allowAll), "g", at(0))
	if err != nil {
		t.Fatal(err)
	}
	see := func(what, want string) {
		t.Helper()
		got := fmt.Sprintf("in force %d:", p.InForce)
		for _, v := range p.Versions {
			got += fmt.Sprintf(" %d", v.ID)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	refuse := func(what string, err error, want protocol.Code) {
		t.Helper()
		if codeOf(err) != want {
			t.Errorf("%s: %v, want code %s", what, err, want)
		}
	}
	see("new", "in force 1: 1")
	for i := range 4 {
		if p, _, err = p.AddVersion(document(t, allowAll), i == 1, at(i)); err != nil {
			t.Fatal(err)
		}
	}
	see("four more", "in force 3: 1 2 3 4 5")
	_, _, err = p.AddVersion(document(t, allowAll), true, at(9))
	refuse("a sixth", err, protocol.VersionsLimitExceeded)
	_, err = p.WithoutVersion("3", at(9))
	refuse("without the default", err, protocol.DeleteConflict)
	_, err = p.WithoutVersion("6", at(9))
	refuse("without an unknown one", err, protocol.NotFound)
	_, err = p.WithDefault("03", at(9))
	refuse("an id that was never given", err, protocol.NotFound)
	old := p
	if p, err = p.WithoutVersion("5", at(10)); err != nil || !p.ModifiedAt.Equal(at(10)) {
		t.Fatal(err)
	}
	if len(old.Versions) != 5 {
		t.Error("the policy was changed in place")
	}
	p, v, err := p.AddVersion(document(t, allowAll), false, at(11))
	if err != nil || v.ID != 6 {
		t.Errorf("an id was used again: %d, %v", v.ID, err)
	}
	if p, err = p.WithDefault("6", at(12)); err != nil || p.Current().ID != 6 {
		t.Fatal(err)
	}
	see("at the end", "in force 6: 1 2 3 4 6")
	refuse("delete with versions", p.CheckDelete(0), protocol.DeleteConflict)
	refuse("delete while attached", identity.Policy{}.CheckDelete(1), protocol.DeleteConflict)
	refuse("delete", identity.Policy{}.CheckDelete(0), "")
}

func TestPolicyNames(t *testing.T) {
	for name, ok := range map[identity.PolicyName]bool{
		"a": true, "A_z+=,.@-9": true, identity.PolicyName(strings.Repeat("a", 128)): true,
		"": false, "a b": false, "a/b": false, "ä": false, "a\n": false, identity.PolicyName(strings.Repeat("a", 129)): false,
	} {
		if name.Valid() != ok {
			t.Errorf("%q: %t", name, !ok)
		}
		if _, err := identity.NewPolicy(name, identity.Document{}, "g", now); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// FuzzParsePolicy: whatever is accepted is complete and means the same after
// a restart.
func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{
		"", "{}", allowAll, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":["*"],"Resource":["arn:aws:iot:::topic/${a}"],"Condition":{"Null":{"a":[true,1,"x"]}}}}`,
		`{"Version":"2012-10-17","Version":"","Statement":[[]]}`, "{\"\xff\":1}", `{"Statement":[{"Action":[]}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := identity.ParsePolicy(text)
		if err != nil {
			if codeOf(err) != protocol.MalformedPolicy {
				t.Fatalf("code %s", codeOf(err))
			}
			return
		}
		for _, s := range d.Statements {
			if s.Effect != identity.Allow && s.Effect != identity.Deny || len(s.Actions) == 0 || len(s.Resources) == 0 {
				t.Fatalf("accepted %+v", s)
			}
		}
		stored, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var again identity.Document
		if err := json.Unmarshal(stored, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzPEM: certificates and requests are refused or read, never more.
func FuzzPEM(f *testing.F) {
	f.Add("")
	f.Add("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		if cert, err := identity.ParseCertificate(text); err == nil && identity.IDOf(cert.Raw) == "" {
			t.Fatal("a certificate without id")
		} else if err != nil && codeOf(err) != protocol.CertificateValidation {
			t.Fatal(err)
		}
		if _, err := identity.ParseRequest(text); err != nil && codeOf(err) != protocol.InvalidRequest {
			t.Fatal(err)
		}
	})
}
