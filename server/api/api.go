package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/awsmodel/iotdata"
	"github.com/muster-iot/muster/server/api/awsmodel/iotjobsdata"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
)

// Config says what a [Handler] serves and to whom.
type Config struct {
	Engine *engine.Engine
	// Region stands in ARNs where the caller's signature names none; Account
	// is the account of every ARN.
	Region, Account string
	// Endpoint is the host[:port] of the MQTT broker, JobsEndpoint that of the
	// HTTP planes, as DescribeEndpoint answers them.
	Endpoint, JobsEndpoint string
	// Issuer makes certificates for devices; required.
	Issuer Issuer
	// Credentials verify signatures; required unless Dev is set.
	Credentials restjson.Credentials
	// Dev accepts any signature and none.
	Dev    bool
	Logger *slog.Logger // nil discards
	// Messages is the MQTT side; without it Publish and DeleteConnection are
	// not served.
	Messages Messages
}

// Handler answers the requests of AWS clients.
type Handler struct{ front *restjson.Handler }

// New returns a handler over an engine.
func New(cfg Config) (*Handler, error) {
	if cfg.Engine == nil || cfg.Issuer == nil {
		return nil, errors.New("api needs an engine and an issuer")
	}
	served := &operations{
		engine: cfg.Engine, issuer: cfg.Issuer, keys: make(chan struct{}, 1),
		endpoint: cfg.Endpoint, jobsEndpoint: cfg.JobsEndpoint,
	}
	table := served.table()
	maps.Copy(table, served.identityTable())
	maps.Copy(table, messaging{served, cfg.Messages}.table())
	front := restjson.Config{
		Services:   []awsmodel.Service{iotService(), iotdata.Service(), iotjobsdata.Service()},
		Operations: table,
		Region:     cfg.Region, Account: cfg.Account,
		Credentials: cfg.Credentials, AcceptAny: cfg.Dev, Logger: cfg.Logger,
	}
	if cfg.Dev {
		front.Unsigned = []string{"iotjobsdata", "iotdata", "iot"}
	}
	h, err := restjson.New(front)
	if err != nil {
		return nil, err
	}
	return &Handler{front: h}, nil
}

// iotService is the published model with what AWS allows since: attribute
// values may hold = [ and ] as well (AWS IoT reference 2.1).
func iotService() awsmodel.Service {
	service := iot.Service()
	service.Shapes["AttributeValue"].Pattern = `[a-zA-Z0-9_.,@/:#=\[\]-]*`
	return service
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.front.ServeHTTP(w, r) }

// operations are the functions that serve the operations.
type operations struct {
	engine *engine.Engine
	issuer Issuer
	keys   chan struct{} // holds one while a key is made
	// endpoint is the address of the broker, jobsEndpoint that of the HTTP planes.
	endpoint, jobsEndpoint string
}

func (o *operations) table() map[string]restjson.Operation {
	return map[string]restjson.Operation{
		"iot.CreateThing":   restjson.Serve(o.createThing),
		"iot.DescribeThing": restjson.Serve(o.describeThing),
		"iot.UpdateThing":   restjson.Serve(o.updateThing),
		"iot.DeleteThing":   restjson.Serve(o.deleteThing),
		"iot.ListThings":    restjson.Serve(o.listThings),

		"iot.UpdateIndexingConfiguration": restjson.Serve(o.updateIndexingConfiguration),
		"iot.GetIndexingConfiguration":    restjson.Serve(o.getIndexingConfiguration),
		"iot.DescribeIndex":               restjson.Serve(o.describeIndex),
		"iot.ListIndices":                 restjson.Serve(o.listIndices),
		"iot.SearchIndex":                 restjson.Serve(o.searchIndex),
		"iot.GetStatistics":               restjson.Serve(o.getStatistics),
		"iot.GetCardinality":              restjson.Serve(o.getCardinality),
		"iot.GetPercentiles":              restjson.Serve(o.getPercentiles),
		"iot.GetBucketsAggregation":       restjson.Serve(o.getBucketsAggregation),
		"iot.GetThingConnectivityData":    restjson.Serve(o.getThingConnectivityData),

		"iot.CreateThingGroup":          restjson.Serve(o.createThingGroup),
		"iot.UpdateThingGroup":          restjson.Serve(o.updateThingGroup),
		"iot.DeleteThingGroup":          restjson.Serve(o.deleteThingGroup),
		"iot.AddThingToThingGroup":      restjson.Serve(o.addThingToThingGroup),
		"iot.RemoveThingFromThingGroup": restjson.Serve(o.removeThingFromThingGroup),
		"iot.UpdateThingGroupsForThing": restjson.Serve(o.updateThingGroupsForThing),

		"iot.CreateDynamicThingGroup": restjson.Serve(o.createDynamicThingGroup),
		"iot.UpdateDynamicThingGroup": restjson.Serve(o.updateDynamicThingGroup),
		"iot.DeleteDynamicThingGroup": restjson.Serve(o.deleteDynamicThingGroup),
		"iot.DescribeThingGroup":      restjson.Serve(o.describeThingGroup),
		"iot.ListThingGroups":         restjson.Serve(o.listThingGroups),
		"iot.ListThingsInThingGroup":  restjson.Serve(o.listThingsInThingGroup),
		"iot.ListThingGroupsForThing": restjson.Serve(o.listThingGroupsForThing),

		"iot.CreateThingType":    restjson.Serve(o.createThingType),
		"iot.DescribeThingType":  restjson.Serve(o.describeThingType),
		"iot.UpdateThingType":    restjson.Serve(o.updateThingType),
		"iot.ListThingTypes":     restjson.Serve(o.listThingTypes),
		"iot.DeprecateThingType": restjson.Serve(o.deprecateThingType),
		"iot.DeleteThingType":    restjson.Serve(o.deleteThingType),

		"iot.TagResource":         restjson.Serve(o.tagResource),
		"iot.UntagResource":       restjson.Serve(o.untagResource),
		"iot.ListTagsForResource": restjson.Serve(o.listTagsForResource),

		"iot.UpdateEventConfigurations":   restjson.Serve(o.updateEventConfigurations),
		"iot.DescribeEventConfigurations": restjson.Serve(o.describeEventConfigurations),

		"iot.CreateJob":                 restjson.Serve(o.createJob),
		"iot.DescribeJob":               restjson.Serve(o.describeJob),
		"iot.ListJobs":                  restjson.Serve(o.listJobs),
		"iot.CancelJob":                 restjson.Serve(o.cancelJob),
		"iot.DeleteJob":                 restjson.Serve(o.deleteJob),
		"iot.GetJobDocument":            restjson.Serve(o.getJobDocument),
		"iot.ListJobExecutionsForJob":   restjson.Serve(o.listJobExecutionsForJob),
		"iot.ListJobExecutionsForThing": restjson.Serve(o.listJobExecutionsForThing),
		"iot.DescribeJobExecution":      restjson.Serve(o.describeJobExecution),
		"iot.CancelJobExecution":        restjson.Serve(o.cancelJobExecution),

		"iot.DescribeEndpoint": restjson.Serve(o.describeEndpoint),

		"iotdata.GetThingShadow":    restjson.Serve(o.getThingShadow),
		"iotdata.UpdateThingShadow": restjson.Serve(o.updateThingShadow),
		"iotdata.DeleteThingShadow": restjson.Serve(o.deleteThingShadow),

		"iotdata.ListNamedShadowsForThing": restjson.Serve(o.listNamedShadowsForThing),

		"iotjobsdata.GetPendingJobExecutions":      restjson.Serve(o.getPendingJobExecutions),
		"iotjobsdata.StartNextPendingJobExecution": restjson.Serve(o.startNextPendingJobExecution),
		"iotjobsdata.DescribeJobExecution":         restjson.Serve(o.describeOwnJobExecution),
		"iotjobsdata.UpdateJobExecution":           restjson.Serve(o.updateJobExecution),
	}
}

func (o *operations) read(ctx context.Context, f func(v *engine.View) error) error {
	return engine.Read(ctx, o.engine, f)
}

// Pages hold pageSize items unless the request asks for another number, and
// never more than maxPage: ranges differ between operations, and their models
// have checked them.
const (
	pageSize = 50
	maxPage  = 250
)

// page says which part of a list a request asks for.
func page(call restjson.Call, nextToken *string, maxResults *int64) (engine.Page, error) {
	after, err := call.After(nextToken)
	if err != nil {
		return engine.Page{}, err
	}
	size := int64(pageSize)
	if maxResults != nil {
		size = min(*maxResults, maxPage)
	}
	return engine.Page{After: after, Max: int(size)}, nil
}

// next makes the token of the page behind cursor; none when it is empty.
func next(call restjson.Call, cursor string) *string {
	if cursor == "" {
		return nil
	}
	return call.Token(cursor)
}

// unsupported refuses a member that has no effect here.
func unsupported(operation, member string) error {
	return protocol.Errorf(protocol.InvalidRequest, "%s: member %s is not supported by this server: leave it out", operation, member)
}

// or is the value behind p, or the default when it is absent.
func or[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

// text is a member that is absent when empty.
func text[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}
