package api_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// as makes a call with one header, which names a principal or a policy.
func (f *fleet) as(header, value, request string) (int, string) {
	f.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequest(method, f.url+path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20250301/eu-north-1/iot/aws4_request, SignedHeaders=host, Signature=00")
	if header != "" {
		r.Header.Set(header, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if exception := response.Header.Get("x-amzn-ErrorType"); exception != "" {
		return response.StatusCode, exception
	}
	return response.StatusCode, string(text)
}

// headed is a call with one header and what it must be answered.
type headed struct {
	header, value, request string
	status                 int
	want                   string
}

func (f *fleet) runAs(calls []headed) {
	f.t.Helper()
	for _, c := range calls {
		if status, got := f.as(c.header, c.value, c.request); status != c.status || got != c.want {
			f.t.Errorf("%s (%s: %s)\n got %d %s\nwant %d %s", c.request, c.header, c.value, status, got, c.status, c.want)
		}
	}
}

// newCertificate registers a certificate of its own.
func (f *fleet) newCertificate() *pair {
	f.t.Helper()
	p := newPair(f.t, "device", nil, nil)
	get[created](f, "POST /certificate/register-no-ca", object("certificatePem", p.pem()))
	return p
}

func TestThingPrincipals(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.do("iot", "POST /things/T", "")
	f.do("iot", "POST /things/U", "")
	one, two := f.newCertificate(), f.newCertificate()
	missing := newPair(t, "missing", nil, nil)
	const header, things = "x-amzn-principal", "/things/T/principals"
	f.runAs([]headed{
		{"", "", "PUT " + things, 400, "InvalidRequestException"},
		{"x-amzn-iot-principal", one.arn(), "PUT " + things, 400, "InvalidRequestException"}, // of the other family
		{header, "x", "PUT " + things, 400, "InvalidRequestException"},
		{header, missing.arn(), "PUT " + things, 404, "ResourceNotFoundException"},
		{header, one.arn(), "PUT /things/X/principals", 404, "ResourceNotFoundException"},
		{header, one.arn(), "PUT " + things + "?thingPrincipalType=NONE", 400, "InvalidRequestException"},
		{header, one.arn(), "PUT " + things, 200, `{}`},
		{header, one.arn(), "PUT " + things, 200, `{}`},
		{header, two.arn(), "PUT " + things + "?thingPrincipalType=EXCLUSIVE_THING", 200, `{}`},
		{header, two.arn(), "PUT /things/U/principals", 400, "InvalidRequestException"},
		{header, one.arn(), "PUT /things/U/principals?thingPrincipalType=NON_EXCLUSIVE_THING", 200, `{}`},

		{"", "", "GET " + things, 200, `{"principals":["` + one.arn() + `","` + two.arn() + `"]}`},
		{"", "", "GET /things/X/principals", 404, "ResourceNotFoundException"},
		{"", "", "GET /things/T/principals-v2?thingPrincipalType=EXCLUSIVE_THING", 200, `{"thingPrincipalObjects":[{"principal":"` + two.arn() + `","thingPrincipalType":"EXCLUSIVE_THING"}]}`},
		{header, one.arn(), "GET /principals/things", 200, `{"things":["T","U"]}`},
		{header, missing.arn(), "GET /principals/things", 404, "ResourceNotFoundException"},
		{header, two.arn(), "GET /principals/things-v2", 200, `{"principalThingObjects":[{"thingName":"T","thingPrincipalType":"EXCLUSIVE_THING"}]}`},

		{"", "", "DELETE /things/T", 400, "InvalidRequestException"},
		{"", "", "DELETE /certificates/" + one.id(), 409, "DeleteConflictException"},
		{header, one.arn(), "DELETE " + things, 200, `{}`},
		{header, one.arn(), "DELETE " + things, 404, "ResourceNotFoundException"},
		{header, two.arn(), "DELETE " + things, 200, `{}`},
		{"", "", "DELETE /things/T", 200, `{}`},
	})
	_, first := f.as("", "", "GET /things/U/principals?maxResults=1")
	if want := `{"principals":["` + one.arn() + `"]}`; first != want {
		t.Errorf("got %s, want %s", first, want)
	}
}

const anything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}`

func TestPolicies(t *testing.T) {
	f := newFleet(t, rules.Safe())
	body := object("policyDocument", anything)
	const arn = `"policyArn":"arn:aws:iot:eu-north-1:123456789012:policy/P"`
	text := `"policyDocument":` + strings.TrimSuffix(strings.TrimPrefix(body, `{"policyDocument":`), "}")
	f.run([]call{
		{"iot", "GET /policies", "", 200, `{"policies":[]}`},
		{"iot", "GET /policies/P", "", 404, "ResourceNotFoundException"},
		{"iot", "POST /policies/P", object("policyDocument", "{}"), 400, "MalformedPolicyException"},
		{"iot", "POST /policies/P", "{}", 400, "InvalidRequestException"},
		{"iot", "POST /policies/a%20b", body, 400, "InvalidRequestException"},
		{"iot", "POST /policies/P", body, 200, `{"policyName":"P",` + arn + `,` + text + `,"policyVersionId":"1"}`},
		{
			"iot", "POST /policies/P", body, 409,
			`ResourceAlreadyExistsException {"message":"policy \"P\" exists already","resourceId":"P","resourceArn":"arn:aws:iot:eu-north-1:123456789012:policy/P"}`,
		},
		{"iot", "GET /policies/P", "", 200, `{"policyName":"P",` + arn + `,` + text + `,"defaultVersionId":"1","creationDate":T,"lastModifiedDate":T,"generationId":"ID"}`},
		{"iot", "POST /policies/P/version", object("policyDocument", "[]"), 400, "MalformedPolicyException"},
		{"iot", "POST /policies/X/version", body, 404, "ResourceNotFoundException"},
		{"iot", "POST /policies/P/version", body, 200, `{` + arn + `,` + text + `,"policyVersionId":"2","isDefaultVersion":false}`},
		{"iot", "POST /policies/P/version?setAsDefault=true", body, 200, `{` + arn + `,` + text + `,"policyVersionId":"3","isDefaultVersion":true}`},
		{"iot", "GET /policies/P/version/3", "", 200, `{` + arn + `,"policyName":"P",` + text + `,"policyVersionId":"3","isDefaultVersion":true,"creationDate":T,"lastModifiedDate":T,"generationId":"ID"}`},
		{"iot", "GET /policies/P/version/4", "", 404, "ResourceNotFoundException"},
		{"iot", "GET /policies/P/version/x", "", 400, "InvalidRequestException"},
		{"iot", "PATCH /policies/P/version/2", "", 200, `{}`},
		{"iot", "GET /policies/P/version", "", 200, `{"policyVersions":[{"versionId":"1","isDefaultVersion":false,"createDate":T},{"versionId":"2","isDefaultVersion":true,"createDate":T},{"versionId":"3","isDefaultVersion":false,"createDate":T}]}`},
		{"iot", "DELETE /policies/P/version/2", "", 409, "DeleteConflictException"},
		{"iot", "DELETE /policies/P", "", 409, "DeleteConflictException"},
		{"iot", "POST /policies/P/version", body, 200, `{` + arn + `,` + text + `,"policyVersionId":"4","isDefaultVersion":false}`},
		{"iot", "POST /policies/P/version", body, 200, `{` + arn + `,` + text + `,"policyVersionId":"5","isDefaultVersion":false}`},
		{"iot", "POST /policies/P/version", body, 409, "VersionsLimitExceededException"},
		{"iot", "DELETE /policies/P/version/1", "", 200, `{}`},
		{"iot", "DELETE /policies/P/version/1", "", 404, "ResourceNotFoundException"},
		{"iot", "GET /policies", "", 200, `{"policies":[{"policyName":"P",` + arn + `}]}`},
		{"iot", "DELETE /policies/P/version/3", "", 200, `{}`},
		{"iot", "DELETE /policies/P/version/4", "", 200, `{}`},
		{"iot", "DELETE /policies/P/version/5", "", 200, `{}`},
		{"iot", "DELETE /policies/P", "", 200, `{}`},
		{"iot", "DELETE /policies/P", "", 404, "ResourceNotFoundException"},
	})
}

func TestAttachedPolicies(t *testing.T) {
	f := newFleet(t, rules.Safe())
	cert := f.newCertificate()
	missing := newPair(t, "missing", nil, nil)
	for _, request := range []string{"POST /policies/P", "POST /policies/Q"} {
		get[struct{}](f, request, object("policyDocument", anything))
	}
	const groups = "arn:aws:iot:eu-north-1:123456789012:thinggroup/"
	get[struct{}](f, "POST /dynamic-thing-groups/dynamic", `{"queryString":"thingName:*"}`)
	get[struct{}](f, "POST /thing-groups/sites", "")
	get[struct{}](f, "POST /thing-groups/oslo", `{"parentGroupName":"sites"}`)
	to := func(target string) string { return object("target", target) }
	list := func(target string) string { return "POST /attached-policies/" + url.PathEscape(target) }
	policy := func(name string) string {
		return `{"policyName":"` + name + `","policyArn":"arn:aws:iot:eu-north-1:123456789012:policy/` + name + `"}`
	}
	f.run([]call{
		{"iot", "PUT /target-policies/X", to(cert.arn()), 404, "ResourceNotFoundException"},
		{"iot", "PUT /target-policies/P", to(missing.arn()), 404, "ResourceNotFoundException"},
		{"iot", "PUT /target-policies/P", to(groups + "missing"), 404, "ResourceNotFoundException"},
		{"iot", "PUT /target-policies/P", to(groups + "dynamic"), 400, "InvalidRequestException"},
		{"iot", "PUT /target-policies/P", to("cert"), 400, "InvalidRequestException"},
		{"iot", "PUT /target-policies/P", to(cert.arn()), 200, `{}`},
		{"iot", "PUT /target-policies/P", to(cert.arn()), 200, `{}`},
		{"iot", "PUT /target-policies/P", to(groups + "sites"), 200, `{}`},
		{"iot", "PUT /target-policies/Q", to(groups + "oslo"), 200, `{}`},
		{"iot", list(cert.arn()), "", 200, `{"policies":[` + policy("P") + `]}`},
		{"iot", list(missing.arn()), "", 404, "ResourceNotFoundException"},
		{"iot", list(groups+"oslo") + "?recursive=false", "", 200, `{"policies":[` + policy("Q") + `]}`},
		{"iot", list(groups+"oslo") + "?recursive=true", "", 200, `{"policies":[` + policy("P") + `,` + policy("Q") + `]}`},
		{"iot", "POST /policy-targets/P", "", 200, `{"targets":["` + cert.arn() + `","` + groups + `sites"]}`},
		{"iot", "POST /policy-targets/X", "", 404, "ResourceNotFoundException"},
		{"iot", "DELETE /policies/P", "", 409, "DeleteConflictException"},
		{"iot", "POST /target-policies/P", to(missing.arn()), 400, "InvalidRequestException"},
		{"iot", "POST /target-policies/X", to(cert.arn()), 200, `{}`},
		{"iot", "POST /target-policies/P", to(cert.arn()), 200, `{}`},
		{"iot", "POST /target-policies/P", to(cert.arn()), 200, `{}`},
		{"iot", "POST /target-policies/P", to(groups + "sites"), 200, `{}`},
		{"iot", "DELETE /policies/P", "", 200, `{}`},
		{"iot", "DELETE /thing-groups/oslo", "", 200, `{}`},
		{"iot", "DELETE /policies/Q", "", 200, `{}`},
	})
}

// TestPrincipalPolicies: the older operations, whose headers are others.
func TestPrincipalPolicies(t *testing.T) {
	f := newFleet(t, rules.Safe())
	one, two := f.newCertificate(), f.newCertificate()
	missing := newPair(t, "missing", nil, nil)
	get[struct{}](f, "POST /policies/P", object("policyDocument", anything))
	get[struct{}](f, "POST /thing-groups/sites", "")
	const header, sites = "x-amzn-iot-principal", "arn:aws:iot:eu-north-1:123456789012:thinggroup/sites"
	get[struct{}](f, "PUT /target-policies/P", object("target", sites))
	const shown = `{"policies":[{"policyName":"P","policyArn":"arn:aws:iot:eu-north-1:123456789012:policy/P"}]}`
	f.runAs([]headed{
		{"x-amzn-principal", one.arn(), "PUT /principal-policies/P", 400, "InvalidRequestException"}, // of the other family
		{header, sites, "PUT /principal-policies/P", 400, "InvalidRequestException"},
		{header, missing.arn(), "PUT /principal-policies/P", 404, "ResourceNotFoundException"},
		{header, one.arn(), "PUT /principal-policies/X", 404, "ResourceNotFoundException"},
		{header, one.arn(), "PUT /principal-policies/P", 200, `{}`},
		{header, two.arn(), "PUT /principal-policies/P", 200, `{}`},
		{header, one.arn(), "GET /principal-policies", 200, shown},
		{header, missing.arn(), "GET /principal-policies", 404, "ResourceNotFoundException"},
		{"x-amzn-iot-policy", "P", "GET /policy-principals", 200, `{"principals":["` + one.arn() + `","` + two.arn() + `"]}`},
		{"x-amzn-iot-policy", "P", "GET /policy-principals?isAscendingOrder=false", 200, `{"principals":["` + two.arn() + `","` + one.arn() + `"]}`},
		{"x-amzn-iot-policy", "X", "GET /policy-principals", 404, "ResourceNotFoundException"},
		{header, one.arn(), "DELETE /principal-policies/P", 200, `{}`},
		{header, one.arn(), "DELETE /principal-policies/P", 404, "ResourceNotFoundException"},
		{header, one.arn(), "DELETE /principal-policies/X", 404, "ResourceNotFoundException"},
	})
}
