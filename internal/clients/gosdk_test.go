package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/smithy-go"
)

// goClient is the AWS SDK for Go v2, which has a module of the control plane.
type goClient struct{ client *iot.Client }

func newGoClient(_ *testing.T, endpoint string) client {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "dev", SecretAccessKey: "dev"}, nil
	})
	return &goClient{iot.New(iot.Options{
		BaseEndpoint: aws.String(endpoint), Region: region, Credentials: credentials, Retryer: aws.NopRetryer{},
	})}
}

// goPaginators are the constructors of the SDK's paginators.
var goPaginators = map[string]any{
	"ListThings":                iot.NewListThingsPaginator,
	"ListThingTypes":            iot.NewListThingTypesPaginator,
	"ListThingGroups":           iot.NewListThingGroupsPaginator,
	"ListThingGroupsForThing":   iot.NewListThingGroupsForThingPaginator,
	"ListThingsInThingGroup":    iot.NewListThingsInThingGroupPaginator,
	"ListTagsForResource":       iot.NewListTagsForResourcePaginator,
	"ListThingPrincipals":       iot.NewListThingPrincipalsPaginator,
	"ListPrincipalThings":       iot.NewListPrincipalThingsPaginator,
	"ListCertificates":          iot.NewListCertificatesPaginator,
	"ListCACertificates":        iot.NewListCACertificatesPaginator,
	"ListPolicies":              iot.NewListPoliciesPaginator,
	"ListAttachedPolicies":      iot.NewListAttachedPoliciesPaginator,
	"ListTargetsForPolicy":      iot.NewListTargetsForPolicyPaginator,
	"ListIndices":               iot.NewListIndicesPaginator,
	"ListJobs":                  iot.NewListJobsPaginator,
	"ListJobExecutionsForJob":   iot.NewListJobExecutionsForJobPaginator,
	"ListJobExecutionsForThing": iot.NewListJobExecutionsForThingPaginator,
	"ListJobTemplates":          iot.NewListJobTemplatesPaginator,
}

func (c *goClient) do(s step) (answer, error) {
	method := reflect.ValueOf(c.client).MethodByName(s.Operation)
	if s.Service != "iot" || !method.IsValid() {
		return answer{Absent: "the SDK for Go has no " + s.Service + " " + s.Operation}, nil
	}
	in := reflect.New(method.Type().In(1).Elem())
	text, err := json.Marshal(s.Input)
	if err != nil {
		return answer{}, err
	}
	if err := json.Unmarshal(text, in.Interface()); err != nil {
		return answer{}, fmt.Errorf("the input does not fit %s: %w", in.Type(), err)
	}
	if s.Pages != "" {
		return c.pages(s, in)
	}
	result := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	if err, _ := result[1].Interface().(error); err != nil {
		return answer{Error: goFailure(err)}, nil
	}
	return roundTrip(answer{Output: plain(result[0]).(map[string]any)})
}

// pages reads all pages of two.
func (c *goClient) pages(s step, in reflect.Value) (answer, error) {
	make, ok := goPaginators[s.Operation]
	if !ok {
		return answer{Absent: "the SDK for Go has no paginator of " + s.Operation}, nil
	}
	for _, size := range []string{"MaxResults", "PageSize"} {
		if f := in.Elem().FieldByName(size); f.IsValid() {
			f.Set(reflect.New(f.Type().Elem()))
			f.Elem().SetInt(2)
		}
	}
	paginator := reflect.ValueOf(make).Call([]reflect.Value{reflect.ValueOf(c.client), in})[0]
	all := []any{}
	for paginator.MethodByName("HasMorePages").Call(nil)[0].Bool() {
		result := paginator.MethodByName("NextPage").Call([]reflect.Value{reflect.ValueOf(context.Background())})
		if err, _ := result[1].Interface().(error); err != nil {
			return answer{Error: goFailure(err)}, nil
		}
		items, _ := plain(result[0]).(map[string]any)[s.Pages].([]any)
		all = append(all, items...)
	}
	return roundTrip(answer{Output: object{s.Pages: all}})
}

// goFailure tells what an error of the SDK is.
func goFailure(err error) *failure {
	f := &failure{Name: fmt.Sprintf("%T", err), Message: err.Error()}
	var known smithy.APIError
	if errors.As(err, &known) {
		f.Name, f.Message = known.ErrorCode(), known.ErrorMessage()
		class := reflect.TypeOf(known)
		f.Typed = class.Kind() == reflect.Pointer && class.Elem().Name() == f.Name
		f.More, _ = plain(reflect.ValueOf(known)).(map[string]any)
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		f.Status = response.HTTPStatusCode()
	}
	return f
}

// plain turns the SDK's structs into what JSON has, with names as they are on
// the wire.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return float64(at.UnixMilli()) / 1000
		}
		return plainStruct(v)
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, plain(v.Index(i)))
		}
		return list
	case reflect.Map:
		members := map[string]any{}
		for _, key := range v.MapKeys() {
			members[key.String()] = plain(v.MapIndex(key))
		}
		return members
	default:
		return v.Interface()
	}
}

func plainStruct(v reflect.Value) map[string]any {
	members := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		value := v.Field(i)
		unset := value.IsZero() && value.Kind() != reflect.Bool && !value.CanInt()
		if !f.IsExported() || f.Name == "ResultMetadata" || unset {
			continue
		}
		members[strings.ToLower(f.Name[:1])+f.Name[1:]] = plain(value)
	}
	return members
}

// roundTrip gives the answer the types that one from a script has.
func roundTrip(a answer) (answer, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	var again answer
	return again, json.Unmarshal(text, &again)
}
