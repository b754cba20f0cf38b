package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// The tests of this file are one for each rule of docs/rules.md that shows in
// the AWS API, under both profiles.

func profiles(t *testing.T, test func(t *testing.T, r rules.Rules)) {
	t.Helper()
	for _, r := range []rules.Rules{rules.Safe(), rules.AWS()} {
		t.Run(string(r.Profile), func(t *testing.T) { test(t, r) })
	}
}

// indexed is a fleet whose index is on, as the aws profile wants to be told (rule 23).
func indexed(t *testing.T, r rules.Rules) *fleet {
	t.Helper()
	f := newFleet(t, r)
	f.run([]call{{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS"}}`, 200, `{}`}})
	f.eventually("iot", "GET /indices/AWS_Things", `{"indexName":"AWS_Things","indexStatus":"ACTIVE","schema":"REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS"}`)
	return f
}

// TestRule24: the limits of both profiles at their edges; "" is an answer of success.
func TestRule24(t *testing.T) {
	terms := func(n int) string {
		return `{"queryString":"thingName:(` + strings.Join(strings.Split(strings.Repeat("a", n), ""), " OR ") + `)"}`
	}
	long := func(n int) string {
		return `{"queryString":"thingName:` + strings.Repeat("a", n-len("thingName:")) + `"}`
	}
	attributes := func(n int) string {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf(`"a%d":"v"`, i))
		}
		return `{"attributePayload":{"attributes":{` + strings.Join(pairs, ",") + `}}}`
	}
	const search, group, thing = "POST /indices/search", "POST /dynamic-thing-groups/G", "POST /things/T"
	for _, c := range []struct {
		name, request, body string
		safe, aws           string
	}{
		{"12 terms", search, terms(12), "", ""},
		{"13 terms", search, terms(13), "", "InvalidQueryException"},
		{"100 terms", search, terms(100), "", "InvalidQueryException"},
		{"101 terms", search, terms(101), "InvalidQueryException", "InvalidQueryException"},
		{"5 terms of a group", group, terms(5), "", ""},
		{"6 terms of a group", group, terms(6), "", "InvalidQueryException"},
		{"101 terms of a group", group, terms(101), "InvalidQueryException", "InvalidQueryException"},
		{"1000 characters", search, long(1000), "", ""},
		{"1001 characters", search, long(1001), "", "InvalidQueryException"},
		{"10001 characters", search, long(10_001), "InvalidQueryException", "InvalidQueryException"},
		{"one leading wildcard", search, `{"queryString":"thingName:*a"}`, "", ""},
		{"two leading wildcards", search, `{"queryString":"thingName:*a AND thingName:*b"}`, "", "InvalidQueryException"},
		{"3 attributes", thing, attributes(3), "", ""},
		{"4 attributes", thing, attributes(4), "", "InvalidRequestException"},
		{"100 attributes", thing, attributes(100), "", "InvalidRequestException"},
		{"101 attributes", thing, attributes(101), "InvalidRequestException", "InvalidRequestException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			profiles(t, func(t *testing.T, r rules.Rules) {
				want := c.safe
				if r.Profile == rules.ProfileAWS {
					want = c.aws
				}
				status, body := indexed(t, r).do("iot", c.request, c.body)
				exception, _, _ := strings.Cut(body, " ")
				if want == "" && status != 200 || want != "" && (status != 400 || exception != want) {
					t.Errorf("%d %.200s, want %q", status, body, want)
				}
			})
		})
	}
	t.Run("the 101st dynamic group", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			f := indexed(t, r)
			status, body := 0, ""
			for n := range 101 {
				status, body = f.do("iot", fmt.Sprintf("POST /dynamic-thing-groups/G%d", n), `{"queryString":"attributes.a:1"}`)
				if n < 100 && status != 200 {
					t.Fatalf("group %d: %d %s", n+1, status, body)
				}
			}
			if over := r.Profile == rules.ProfileAWS; over != (status == 410 && strings.HasPrefix(body, "LimitExceededException ")) || !over && status != 200 {
				t.Errorf("%d %s", status, body)
			}
		})
	})
}

// TestRule27: answers use the region of the request, else the configured one;
// the region of an ARN that a client gives is ignored.
func TestRule27(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := newFleet(t, r)
		const here, configured = "arn:aws:iot:eu-north-1:123456789012:", "arn:aws:iot:us-east-1:123456789012:"
		f.run([]call{
			{"iot", "POST /things/T", "", 200, `{"thingName":"T","thingArn":"` + here + `thing/T","thingId":"ID"}`},
			{"", "POST /things/T", "", 200, `{"thingName":"T","thingArn":"` + configured + `thing/T","thingId":"ID"}`},
			{"iot", "PUT /jobs/j", `{"targets":["arn:aws:iot:mars-1:123456789012:thing/T"],"document":"{}"}`, 200, `{"jobArn":"` + here + `job/j","jobId":"j"}`},
		})
		for service, want := range map[string]string{"iot": here, "": configured} {
			if _, body := f.do(service, "GET /jobs/j", ""); !strings.Contains(body, `"targets":["`+want+`thing/T"]`) {
				t.Errorf("targets by service %q: %s", service, body)
			}
		}
	})
}
