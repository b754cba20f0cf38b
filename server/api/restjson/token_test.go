package restjson_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
)

// echoToken answers the token for "next" and the position it was asked for as a thing's name.
func echoToken(_ context.Context, call restjson.Call, in *iot.ListThingsRequest) (*iot.ListThingsResponse, error) {
	after, err := call.After(in.NextToken)
	if err != nil {
		return nil, err
	}
	return &iot.ListThingsResponse{NextToken: call.Token("pos/ü"), Things: []iot.ThingAttribute{{ThingName: &after}}}, nil
}

func TestTokens(t *testing.T) {
	base := serve(t, config(map[string]restjson.Operation{
		"iot.ListThings": restjson.Serve(echoToken),
		"iot.ListThingGroups": restjson.Serve(func(_ context.Context, call restjson.Call, in *iot.ListThingGroupsRequest) (*iot.ListThingGroupsResponse, error) {
			_, err := call.After(in.NextToken)
			return nil, err
		}),
	}))
	a := send(t, base, "iot", "GET", "/things?attributeName=site&maxResults=5", "")
	_, token, ok := strings.Cut(a.body, `"nextToken":"`)
	if !ok {
		t.Fatal(a.body)
	}
	token = url.QueryEscape(strings.TrimSuffix(token, `"}`))
	if a := send(t, base, "iot", "GET", "/things?attributeName=site&maxResults=7&nextToken="+token, ""); !strings.Contains(a.body, `"pos/ü"`) {
		t.Errorf("next page, other size: %s", a.body)
	}
	for _, row := range []struct{ name, path string }{
		{"other filter", "/things?attributeName=room&nextToken=" + token},
		{"no filter", "/things?nextToken=" + token},
		{"other operation", "/thing-groups?nextToken=" + token},
		{"empty", "/things?attributeName=site&nextToken="},
		{"made up", "/things?attributeName=site&nextToken=abc"},
		{"not base64", "/things?attributeName=site&nextToken=%25%25"},
		{"cut", "/things?attributeName=site&nextToken=" + token[:len(token)-4]},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantError(t, send(t, base, "iot", "GET", row.path, ""), 400, "InvalidRequestException", "nextToken")
		})
	}
}

type oneKey struct{}

func (oneKey) Secret(_ context.Context, key string) (string, bool, error) {
	return "secret", key == "AKID", nil
}

func TestSignatures(t *testing.T) {
	var s seen
	cfg := config(fake(&s))
	cfg.AcceptAny, cfg.Unsigned, cfg.Credentials = false, nil, oneKey{}
	base := serve(t, cfg)
	for _, row := range []struct {
		name, key, secret string
		status            int
		exception         string
	}{
		{"right", "AKID", "secret", 200, ""},
		{"wrong secret", "AKID", "guess", 403, "InvalidSignatureException"},
		{"unknown key", "AKIX", "secret", 403, "UnrecognizedClientException"},
		{"unsigned", "", "", 403, "MissingAuthenticationTokenException"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, _ := http.NewRequest("GET", base+"/things/a%3Ab?x=1", nil)
			if row.key != "" {
				const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
				err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: row.key, SecretAccessKey: row.secret},
					r, emptyHash, "iot", "us-east-1", time.Now())
				if err != nil {
					t.Fatal(err)
				}
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != row.status || response.Header.Get("x-amzn-ErrorType") != row.exception {
				t.Errorf("got %d %s", response.StatusCode, response.Header.Get("x-amzn-ErrorType"))
			}
		})
	}
	wantError(t, send(t, base, "iot", "GET", "/things/T", ""), 403, "UnrecognizedClientException", "does not exist")
}

func TestOtherAuthorization(t *testing.T) {
	var s seen
	for _, row := range []struct {
		name   string
		open   bool
		status int
	}{{"any is accepted", true, 200}, {"signatures are verified", false, 403}} {
		t.Run(row.name, func(t *testing.T) {
			cfg := config(fake(&s))
			if !row.open {
				cfg.AcceptAny, cfg.Unsigned, cfg.Credentials = false, nil, oneKey{}
			}
			r, _ := http.NewRequest("GET", serve(t, cfg)+"/things", nil)
			r.SetBasicAuth("x", "x")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != row.status {
				t.Errorf("got %d", response.StatusCode)
			}
		})
	}
}
