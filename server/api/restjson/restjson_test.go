package restjson_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/awsmodel/iotdata"
	"github.com/muster-iot/muster/server/api/awsmodel/iotjobsdata"
	"github.com/muster-iot/muster/server/api/restjson"
)

// seen is what the fake operations were called with.
type seen struct {
	call restjson.Call
	in   any
}

// record makes an operation that notes its input and answers out and err.
func record[In, Out any](s *seen, out *Out, err error) restjson.Operation {
	return restjson.Serve(func(_ context.Context, call restjson.Call, in *In) (*Out, error) {
		*s = seen{call, in}
		return out, err
	})
}

// fake is a table of operations that note their input.
func fake(s *seen) map[string]restjson.Operation {
	return map[string]restjson.Operation{
		"iot.CreateThing":   record[iot.CreateThingRequest](s, &iot.CreateThingResponse{ThingName: new("t<&>")}, nil),
		"iot.DescribeThing": record[iot.DescribeThingRequest](s, &iot.DescribeThingResponse{Attributes: map[string]string{}}, nil),
		"iot.UpdateThing":   record[iot.UpdateThingRequest](s, &iot.UpdateThingResponse{}, nil),
		"iot.DeleteThing":   record[iot.DeleteThingRequest](s, &iot.DeleteThingResponse{}, nil),
		"iot.ListThings":    record[iot.ListThingsRequest](s, &iot.ListThingsResponse{}, nil),
		"iot.CreateJob":     record[iot.CreateJobRequest](s, &iot.CreateJobResponse{}, nil),
		"iot.SearchIndex":   record[iot.SearchIndexRequest](s, &iot.SearchIndexResponse{}, nil),
		"iot.CancelJob":     record[iot.CancelJobRequest](s, &iot.CancelJobResponse{}, nil),
		"iot.DeleteJob":     record[iot.DeleteJobRequest](s, (*restjson.Nothing)(nil), nil),
		"iot.DescribeJobExecution": record[iot.DescribeJobExecutionRequest](s,
			&iot.DescribeJobExecutionResponse{}, nil),
		"iotdata.UpdateThingShadow": record[iotdata.UpdateThingShadowRequest](s,
			&iotdata.UpdateThingShadowResponse{Payload: []byte(`{"raw":1}`)}, nil),
		"iotjobsdata.DescribeJobExecution": record[iotjobsdata.DescribeJobExecutionRequest](s,
			&iotjobsdata.DescribeJobExecutionResponse{}, nil),
		"iotjobsdata.StartNextPendingJobExecution": record[iotjobsdata.StartNextPendingJobExecutionRequest](s,
			&iotjobsdata.StartNextPendingJobExecutionResponse{}, nil),
		"iotjobsdata.UpdateJobExecution": record[iotjobsdata.UpdateJobExecutionRequest](s,
			&iotjobsdata.UpdateJobExecutionResponse{}, nil),
	}
}

func config(operations map[string]restjson.Operation) restjson.Config {
	return restjson.Config{
		Services:   []awsmodel.Service{iot.Service(), iotdata.Service(), iotjobsdata.Service()},
		Operations: operations, AcceptAny: true,
		Unsigned: []string{"iotjobsdata", "iotdata", "iot"},
		Region:   "us-east-1", Account: "123456789012",
	}
}

func serve(t testing.TB, cfg restjson.Config) string {
	t.Helper()
	h, err := restjson.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// send makes a request signed for a service; an empty service leaves it unsigned.
func send(t testing.TB, base, service, method, path, body string) answer {
	t.Helper()
	r, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if service != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20250301/eu-north-1/"+service+
			"/aws4_request, SignedHeaders=host, Signature=00")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("x-amzn-RequestId") == "" {
		t.Errorf("%s %s: no request id", method, path)
	}
	if !json.Valid(text) {
		t.Errorf("%s %s: answer is not JSON: %s", method, path, text)
	}
	return answer{response, string(text)}
}

// wantError checks status, type header and body of an error.
func wantError(t testing.TB, a answer, status int, exception, inMessage string) {
	t.Helper()
	var body struct{ Message string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Error(err)
	}
	if a.StatusCode != status || a.Header.Get("x-amzn-ErrorType") != exception || !strings.Contains(body.Message, inMessage) {
		t.Errorf("got %d %s %s\nwant %d %s with %q", a.StatusCode, a.Header.Get("x-amzn-ErrorType"), a.body, status, exception, inMessage)
	}
}

func TestRouting(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	for _, row := range []struct {
		name, service, method, path, body, want string // want: operation, or a part of the error
	}{
		{"create", "iot", "POST", "/things/pump-17", "", "CreateThing"},
		{"wrong method", "iot", "PUT", "/things/pump-17", "", "no operation has this method and path"},
		{"list", "iot", "GET", "/things", "", "ListThings"},
		{"trailing slash is an empty label", "iot", "GET", "/things/", "", "no operation"},
		{"unknown path", "iot", "GET", "/nope", "", "no operation"},
		{"described, not served", "iot", "GET", "/indices", "", "ListIndices is not served"},
		{"unknown service", "s3", "GET", "/things", "", `no service \"s3\"`},
		{"older signing name", "execute-api", "GET", "/things", "", "ListThings"},
		{"same path, control plane", "iot", "GET", "/things/T/jobs/J", "", "DescribeJobExecution"},
		{"same path, jobs plane", "iot-jobs-data", "GET", "/things/T/jobs/J", "", "DescribeJobExecution"},
		{"shadow", "iotdata", "POST", "/things/T/shadow", "{}", "UpdateThingShadow"},
		{"shadow by its other name", "iot-data", "POST", "/things/T/shadow", "{}", "UpdateThingShadow"},
		{"shadow is not control plane", "iot", "POST", "/things/T/shadow", "{}", "no operation"},
		{"next, plain", "iot-jobs-data", "PUT", "/things/T/jobs/$next", "", "StartNextPendingJobExecution"},
		{"next, escaped", "iot-jobs-data", "PUT", "/things/T/jobs/%24next", "", "StartNextPendingJobExecution"},
		{"unsigned is data plane first", "", "GET", "/things/T/jobs/J", "", "DescribeJobExecution"},
		{"unsigned reaches the control plane last", "", "GET", "/things", "", "ListThings"},
		{"bad escape", "iot", "GET", "/things/%25zz", "", "DescribeThing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s = seen{}
			a := send(t, base, row.service, row.method, row.path, row.body)
			switch {
			case strings.Contains(row.want, " "):
				if a.StatusCode != 404 || a.Header.Get("x-amzn-ErrorType") != "UnknownOperationException" || !strings.Contains(a.body, row.want) {
					t.Errorf("got %d %s", a.StatusCode, a.body)
				}
			case a.StatusCode == 400: // the name itself is refused, but by the right operation
			case s.call.Operation != row.want:
				t.Errorf("got %q %s, want %s", s.call.Operation, a.body, row.want)
			}
		})
	}
}

func TestServiceOfSamePath(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	send(t, base, "iot", "GET", "/things/T/jobs/J?executionNumber=3", "")
	if in, ok := s.in.(*iot.DescribeJobExecutionRequest); !ok || *in.ExecutionNumber != 3 || in.ThingName != "T" {
		t.Errorf("control plane: got %#v", s.in)
	}
	for _, service := range []string{"iot-jobs-data", ""} {
		send(t, base, service, "GET", "/things/T/jobs/%24next?includeJobDocument=true", "")
		if in, ok := s.in.(*iotjobsdata.DescribeJobExecutionRequest); !ok || in.JobId != "$next" || !*in.IncludeJobDocument {
			t.Errorf("service %q: got %#v", service, s.in)
		}
	}
}

func TestEscapedLabels(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	send(t, base, "iot", "GET", "/things/a%3Ab", "")
	if in, ok := s.in.(*iot.DescribeThingRequest); !ok || in.ThingName != "a:b" {
		t.Errorf("got %#v", s.in)
	}
	wantError(t, send(t, base, "iot", "GET", "/things/a%2Fb", ""), 400, "InvalidRequestException", "Value 'a/b' at 'thingName'")
	wantError(t, send(t, base, "iot", "GET", "/things/a/b", ""), 404, "UnknownOperationException", "no operation")
	wantError(t, send(t, base, "iot", "GET", "/things/%FF", ""), 400, "InvalidRequestException", "Member must be a string")
}

func TestCallKnowsRegionAndAccount(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	send(t, base, "iot", "GET", "/things/T", "")
	if got := s.call.ARN(protocol.KindThing, "T"); got != "arn:aws:iot:eu-north-1:123456789012:thing/T" {
		t.Errorf("signed: %s", got)
	}
	send(t, base, "", "GET", "/things/T", "")
	if got := s.call.ARN(protocol.KindThing, "T"); got != "arn:aws:iot:us-east-1:123456789012:thing/T" {
		t.Errorf("unsigned: %s", got)
	}
}

func TestResponses(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	for _, row := range []struct{ name, service, method, path, body, want string }{
		{"members, not escaped for HTML", "iot", "POST", "/things/T", "", `{"thingName":"t<&>"}`},
		{"an empty map is there, absent members are not", "iot", "GET", "/things/T", "", `{"attributes":{}}`},
		{"no response shape", "iot", "DELETE", "/jobs/J", "", `{}`},
		{"raw payload", "iotdata", "POST", "/things/T/shadow?name=a", `{}`, `{"raw":1}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if a := send(t, base, row.service, row.method, row.path, row.body); a.StatusCode != 200 || a.body != row.want {
				t.Errorf("got %d %s, want %s", a.StatusCode, a.body, row.want)
			}
		})
	}
	if in, ok := s.in.(*iotdata.UpdateThingShadowRequest); !ok || string(in.Payload) != "{}" || *in.ShadowName != "a" {
		t.Errorf("raw request: %#v", s.in)
	}
}

func TestErrors(t *testing.T) {
	exists := protocol.Errorf(protocol.AlreadyExists, "thing \"T\" exists")
	exists.ResourceID, exists.ResourceARN = "id-1", "arn:aws:iot:us-east-1:123456789012:thing/T"
	for _, row := range []struct {
		name      string
		err       error
		service   string // iot calls CreateThing, the others UpdateThingShadow and UpdateJobExecution
		status    int
		exception string
		message   string
	}{
		{"not found", protocol.Errorf(protocol.NotFound, "no thing"), "iot", 404, "ResourceNotFoundException", "no thing"},
		{"wrapped", errors.Join(protocol.Errorf(protocol.NotFound, "no thing")), "iot", 404, "ResourceNotFoundException", "no thing"},
		{"exists", exists, "iot", 409, "ResourceAlreadyExistsException", "exists"},
		{"version on the control plane", protocol.Errorf(protocol.VersionConflict, "v"), "iot", 409, "VersionConflictException", "v"},
		{"version of a shadow", protocol.Errorf(protocol.VersionConflict, "v"), "iotdata", 409, "ConflictException", "v"},
		{"version of an execution", protocol.Errorf(protocol.VersionConflict, "v"), "iot-jobs-data", 409, "InvalidStateTransitionException", "v"},
		{"terminal execution", protocol.Errorf(protocol.TerminalState, "v"), "iot-jobs-data", 409, "InvalidStateTransitionException", "v"},
		{"limit that the operation does not name", protocol.Errorf(protocol.LimitExceeded, "l"), "iot", 400, "InvalidRequestException", "l"},
		{"throttled on the control plane", protocol.Errorf(protocol.Throttling, "t"), "iot", 400, "ThrottlingException", "t"},
		{"throttled on the data plane", protocol.Errorf(protocol.Throttling, "t"), "iotdata", 429, "ThrottlingException", "t"},
		{"throttled on the jobs plane", protocol.Errorf(protocol.Throttling, "t"), "iot-jobs-data", 429, "ThrottlingException", "t"},
		{"too large", protocol.Errorf(protocol.TooLarge, "b"), "iotdata", 413, "RequestEntityTooLargeException", "b"},
		{"encoding", protocol.Errorf(protocol.UnsupportedEncoding, "u"), "iotdata", 415, "UnsupportedDocumentEncodingException", "u"},
		{"unauthorized", protocol.Errorf(protocol.Unauthorized, "u"), "iot", 401, "UnauthorizedException", "u"},
		{"forbidden", protocol.Errorf(protocol.Forbidden, "f"), "iotdata", 403, "ForbiddenException", "f"},
		{"query", protocol.Errorf(protocol.InvalidQuery, "q"), "iot", 400, "InvalidQueryException", "q"},
		{"index", protocol.Errorf(protocol.IndexNotReady, "i"), "iot", 400, "IndexNotReadyException", "i"},
		{"unavailable", protocol.Errorf(protocol.Unavailable, "u"), "iot", 503, "ServiceUnavailableException", "u"},
		{"given up", context.DeadlineExceeded, "iot", 503, "ServiceUnavailableException", "given up"},
		{"not made for users", errors.New("disk on fire"), "iot", 500, "InternalFailureException", "the server's log"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var s seen
			base := serve(t, config(map[string]restjson.Operation{
				"iot.CreateThing":                record[iot.CreateThingRequest](&s, &iot.CreateThingResponse{}, row.err),
				"iotdata.UpdateThingShadow":      record[iotdata.UpdateThingShadowRequest](&s, &iotdata.UpdateThingShadowResponse{}, row.err),
				"iotjobsdata.UpdateJobExecution": record[iotjobsdata.UpdateJobExecutionRequest](&s, &iotjobsdata.UpdateJobExecutionResponse{}, row.err),
			}))
			path := map[string]string{"iot": "/things/T", "iotdata": "/things/T/shadow", "iot-jobs-data": "/things/T/jobs/J"}[row.service]
			a := send(t, base, row.service, "POST", path, `{"status":"FAILED"}`)
			wantError(t, a, row.status, row.exception, row.message)
			if strings.Contains(a.body, "fire") {
				t.Error("an internal error leaked")
			}
			if want := `"resourceId":"id-1","resourceArn":"arn:aws:iot:eu-north-1:123456789012:thing/T"`; row.err == error(exists) && !strings.Contains(a.body, want) {
				t.Errorf("got %s, want %s", a.body, want)
			}
		})
	}
}

func TestPanicIsAnInternalFailure(t *testing.T) {
	base := serve(t, config(map[string]restjson.Operation{
		"iot.DescribeThing": restjson.Serve(func(context.Context, restjson.Call, *iot.DescribeThingRequest) (*iot.DescribeThingResponse, error) {
			panic("boom")
		}),
	}))
	a := send(t, base, "iot", "GET", "/things/T", "")
	wantError(t, a, 500, "InternalFailureException", "internal failure")
	if strings.Contains(a.body, "boom") {
		t.Error("the panic leaked")
	}
}

func TestNewRefuses(t *testing.T) {
	var s seen
	for _, row := range []struct {
		name, want string
		change     func(*restjson.Config)
	}{
		{"no credentials", "credentials", func(c *restjson.Config) { c.AcceptAny = false }},
		{"unknown unsigned service", `"s3" is not described`, func(c *restjson.Config) { c.Unsigned = []string{"s3"} }},
		{"undescribed operation", "1 operations are served but not described", func(c *restjson.Config) {
			c.Operations["iot.Nope"] = record[iot.ListThingsRequest](&s, &iot.ListThingsResponse{}, nil)
		}},
		{"wrong request type", "request: ", func(c *restjson.Config) {
			c.Operations["iot.ListThings"] = record[iot.DeleteThingRequest](&s, &iot.ListThingsResponse{}, nil)
		}},
		{"wrong response type", "response: ", func(c *restjson.Config) {
			c.Operations["iot.ListThings"] = record[iot.ListThingsRequest](&s, &iot.CreateThingResponse{}, nil)
		}},
		{"same path twice", "have the same path", func(c *restjson.Config) {
			ops := c.Services[1].Operations
			c.Services[1].Operations = append(ops, awsmodel.Operation{Name: "Twin", Method: ops[0].Method, Path: "/things/{x}/shadow"})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := config(fake(&s))
			row.change(&cfg)
			if _, err := restjson.New(cfg); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}
