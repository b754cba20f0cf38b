package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// TestTags goes through the tags of every kind of resource.
func TestTags(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const own = "arn:aws:iot:us-east-1:123456789012:"
	list := func(arn string) string { return "GET /tags?resourceArn=" + url.QueryEscape(arn) }
	tag := func(arn, tags string) string { return `{"resourceArn":"` + arn + `","tags":` + tags + `}` }
	f.do("iot", "POST /things/T", "")
	for _, r := range []struct{ name, create, body, remove string }{
		{"thinggroup/g1", "POST /dynamic-thing-groups/g1", `{"queryString":"attributes.a:1","tags":[{"Key":"b","Value":"2"},{"Key":"a"}]}`, "DELETE /dynamic-thing-groups/g1"},
		{"thinggroup/s1", "POST /thing-groups/s1", `{"tags":[{"Key":"b","Value":"2"},{"Key":"a"}]}`, "DELETE /thing-groups/s1"},
		{"policy/p1", "POST /policies/p1", `{"policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Connect\",\"Resource\":\"*\"}]}","tags":[{"Key":"b","Value":"2"},{"Key":"a"}]}`, "DELETE /policies/p1"},
		{"thingtype/Pump", "POST /thing-types/Pump", `{"tags":[{"Key":"b","Value":"2"},{"Key":"a"}]}`, ""},
		{"job/j1", "PUT /jobs/j1", `{"targets":["` + own + `thing/T"],"document":"{}","tags":[{"Key":"b","Value":"2"},{"Key":"a"}]}`, "DELETE /jobs/j1?force=true"},
	} {
		arn := own + r.name
		f.run([]call{
			{"iot", "POST /tags", tag(arn, `[{"Key":"a","Value":"1"}]`), 404, `ResourceNotFoundException`},
			{"iot", list(arn), "", 404, `ResourceNotFoundException`},
		})
		if status, body := f.do("iot", r.create, r.body); status != 200 {
			t.Fatalf("%s: %d %s", r.create, status, body)
		}
		if status, body := f.do("iot", r.create, strings.Replace(r.body, `"2"`, `"other"`, 1)); status != 200 && !strings.HasPrefix(r.name, "policy/") {
			t.Fatalf("again: %s: %d %s", r.create, status, body) // a policy is not made twice, with or without tags
		}
		f.run([]call{
			{"iot", list(arn), "", 200, `{"tags":[{"Key":"a","Value":""},{"Key":"b","Value":"2"}]}`},
			{"iot", "POST /tags", tag(arn, `[{"Key":"a","Value":"1"},{"Key":"c","Value":"3"}]`), 200, `{}`},
			{"iot", "POST /untag", `{"resourceArn":"` + arn + `","tagKeys":["b","nope"]}`, 200, `{}`},
			{"iot", list(strings.Replace(arn, "us-east-1", "eu-north-1", 1)), "", 200, `{"tags":[{"Key":"a","Value":"1"},{"Key":"c","Value":"3"}]}`},
			{"iot", list(arn) + "&nextToken=abc", "", 400, `InvalidRequestException`},
		})
		f = f.restart(rules.Safe())
		f.run([]call{
			{"iot", list(arn), "", 200, `{"tags":[{"Key":"a","Value":"1"},{"Key":"c","Value":"3"}]}`},
		})
		if r.remove == "" { // takes five minutes: engine tests do
			continue
		}
		f.run([]call{
			{"iot", r.remove, "", 200, `{}`},
			{"iot", list(arn), "", 404, `ResourceNotFoundException`},
		})
		untagged := strings.Replace(r.body, `"tags"`, `"unknown"`, 1)
		if status, body := f.do("iot", r.create, untagged); status != 200 {
			t.Fatalf("made anew: %s: %d %s", r.create, status, body)
		}
		f.run([]call{{"iot", list(arn), "", 200, `{"tags":[]}`}})
	}
}

func TestTagsRefused(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const arn = "arn:aws:iot:us-east-1:123456789012:thinggroup/g"
	f.do("iot", "POST /things/T", "")
	f.do("iot", "POST /dynamic-thing-groups/g", `{"queryString":"attributes.a:1"}`)
	many := func(from, to int) string {
		var all []string
		for i := from; i < to; i++ {
			all = append(all, fmt.Sprintf(`{"Key":"k%d","Value":"v"}`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	for _, row := range []struct {
		name, arn, tags string
		status          int
		exception       string
	}{
		{"a thing", strings.Replace(arn, "thinggroup/g", "thing/T", 1), many(0, 1), 400, "InvalidRequestException"},
		{"no ARN", "g", many(0, 1), 400, "InvalidRequestException"},
		{"another service", strings.Replace(arn, ":iot:", ":s3:", 1), many(0, 1), 400, "InvalidRequestException"},
		{"another partition", strings.Replace(arn, "arn:aws:", "arn:aws-cn:", 1), many(0, 1), 400, "InvalidRequestException"},
		{"another account", strings.Replace(arn, "123456789012", "210987654321", 1), many(0, 1), 400, "InvalidRequestException"},
		{"no account", strings.Replace(arn, "123456789012", "", 1), many(0, 1), 400, "InvalidRequestException"},
		{"no such group", arn + "2", many(0, 1), 404, "ResourceNotFoundException"},
		{"no legal name", arn + "%20", many(0, 1), 400, "InvalidRequestException"},
		{"an unknown kind", strings.Replace(arn, "thinggroup", "pump", 1), many(0, 1), 400, "InvalidRequestException"},
		{"a kind without any", strings.Replace(arn, "thinggroup", "billinggroup", 1), many(0, 1), 404, "ResourceNotFoundException"},
		{"no tags", arn, "null", 400, "InvalidRequestException"},
		{"no key", arn, `[{"Value":"v"}]`, 400, "InvalidRequestException"},
		{"empty key", arn, `[{"Key":"","Value":"v"}]`, 400, "InvalidRequestException"},
		{"illegal key", arn, `[{"Key":"a*","Value":"v"}]`, 400, "InvalidRequestException"},
		{"long key", arn, `[{"Key":"` + strings.Repeat("k", 129) + `","Value":"v"}]`, 400, "InvalidRequestException"},
		{"long value", arn, `[{"Key":"k","Value":"` + strings.Repeat("v", 257) + `"}]`, 400, "InvalidRequestException"},
		{"key in small letters is no key", arn, `[{"key":"k","Value":"v"}]`, 400, "InvalidRequestException"},
		{"reserved key", arn, `[{"Key":"aws:k","Value":"v"}]`, 400, "InvalidRequestException"},
		{"twice", arn, `[{"Key":"k","Value":"v"},{"Key":"k","Value":"w"}]`, 400, "InvalidRequestException"},
		{"51 at once", arn, many(0, 51), 410, "LimitExceededException"},
		{"50", arn, many(0, 50), 200, "{}"},
		{"one of them again", arn, many(7, 8), 200, "{}"},
		{"one more", arn, many(50, 51), 410, "LimitExceededException"},
	} {
		status, body := f.do("iot", "POST /tags", `{"resourceArn":"`+row.arn+`","tags":`+row.tags+`}`)
		if got, _, _ := strings.Cut(body, " "); status != row.status || got != row.exception {
			t.Errorf("%s: %d %s, want %d %s", row.name, status, body, row.status, row.exception)
		}
	}
	for _, request := range []struct {
		create, body string
		overfull     int // status of more than 50 tags
		exception    string
	}{
		{"POST /dynamic-thing-groups/g2", `"queryString":"attributes.a:1"`, 410, "LimitExceededException"},
		{"POST /thing-groups/s2", `"thingGroupProperties":{}`, 400, "InvalidRequestException"},
		{"POST /thing-types/Fan", `"thingTypeProperties":{}`, 400, "InvalidRequestException"}, // its model has no other
		{"PUT /jobs/j2", `"targets":["` + arn + `"],"document":"{}"`, 410, "LimitExceededException"},
	} {
		f.run([]call{
			{"iot", request.create, `{` + request.body + `,"tags":[{"Key":"k"},{"Key":"k"}]}`, 400, "InvalidRequestException"},
			{"iot", request.create, `{` + request.body + `,"tags":[{"Key":"aws:x"}]}`, 400, "InvalidRequestException"},
			{"iot", request.create, `{` + request.body + `,"tags":` + many(0, 51) + `}`, request.overfull, request.exception},
			{"iot", "GET /tags", "", 400, "InvalidRequestException"},
			{"iot", "POST /untag", `{"resourceArn":"` + arn + `"}`, 400, "InvalidRequestException"},
		})
	}
}
