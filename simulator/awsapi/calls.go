package awsapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
)

// MQTTEndpoint asks where devices connect (AWS IoT reference 1.7).
func (c *Client) MQTTEndpoint(ctx context.Context) (string, error) {
	var out struct {
		EndpointAddress string `json:"endpointAddress"`
	}
	err := c.call(ctx, request{
		service: iot, method: http.MethodGet, path: "/endpoint", query: url.Values{"endpointType": {"iot:Data-ATS"}},
	}, &out)
	return out.EndpointAddress, err
}

// EnableEvents switches event families on (AWS IoT reference 5).
func (c *Client) EnableEvents(ctx context.Context, families ...event.Type) error {
	on := map[event.Type]map[string]bool{}
	for _, f := range families {
		on[f] = map[string]bool{"Enabled": true}
	}
	return c.call(ctx, request{
		service: iot, method: http.MethodPatch, path: "/event-configurations", body: map[string]any{"eventConfigurations": on},
	}, nil)
}

// CreateDynamicGroup makes a dynamic thing group and returns its ARN.
func (c *Client) CreateDynamicGroup(ctx context.Context, name protocol.ThingGroupName, query string) (arn string, err error) {
	var out struct {
		ThingGroupARN string `json:"thingGroupArn"`
	}
	err = c.call(ctx, request{
		service: iot, method: http.MethodPost, path: "/dynamic-thing-groups/" + url.PathEscape(string(name)),
		body: map[string]string{"queryString": query},
	}, &out)
	return out.ThingGroupARN, err
}

// Group is a thing group. Query and Status are empty for static ones.
type Group struct {
	Name    protocol.ThingGroupName `json:"thingGroupName"`
	ARN     string                  `json:"thingGroupArn"`
	Version int64                   `json:"version"`
	Query   string                  `json:"queryString"`
	Status  string                  `json:"status"`
}

// Group describes a thing group.
func (c *Client) Group(ctx context.Context, name protocol.ThingGroupName) (Group, error) {
	var g Group
	err := c.call(ctx, request{service: iot, method: http.MethodGet, path: "/thing-groups/" + url.PathEscape(string(name))}, &g)
	return g, err
}

// UpdateDynamicGroup gives a dynamic thing group another query.
func (c *Client) UpdateDynamicGroup(ctx context.Context, name protocol.ThingGroupName, query string) error {
	return c.call(ctx, request{
		service: iot, method: http.MethodPatch, path: "/dynamic-thing-groups/" + url.PathEscape(string(name)),
		body: map[string]any{"queryString": query, "thingGroupProperties": map[string]string{}},
	}, nil)
}

// UpdateThing sets attributes of a thing; those that are not named stay, empty
// ones go.
func (c *Client) UpdateThing(ctx context.Context, name protocol.ThingName, attributes map[string]string) error {
	return c.call(ctx, request{
		service: iot, method: http.MethodPatch, path: "/things/" + url.PathEscape(string(name)),
		body: map[string]any{"attributePayload": map[string]any{"attributes": attributes, "merge": true}},
	}, nil)
}

// UpdateShadow reports to a shadow of a thing; an empty name is the classic one.
func (c *Client) UpdateShadow(ctx context.Context, thing protocol.ThingName, name string, reported map[string]any) error {
	r := request{
		service: iotData, method: http.MethodPost, path: "/things/" + url.PathEscape(string(thing)) + "/shadow",
		body: map[string]any{"state": map[string]any{"reported": reported}},
	}
	if name != "" {
		r.query = url.Values{"name": {name}}
	}
	return c.call(ctx, r, nil)
}

// Members lists the things of a thing group, all pages.
func (c *Client) Members(ctx context.Context, name protocol.ThingGroupName) ([]protocol.ThingName, error) {
	members := []protocol.ThingName{}
	err := pages(ctx, func(ctx context.Context, token string) (string, error) {
		var out struct {
			Things    []protocol.ThingName `json:"things"`
			NextToken string               `json:"nextToken"`
		}
		err := c.call(ctx, request{
			service: iot, method: http.MethodGet, path: "/thing-groups/" + url.PathEscape(string(name)) + "/things", query: page(token),
		}, &out)
		members = append(members, out.Things...)
		return out.NextToken, err
	})
	return members, err
}

func page(token string) url.Values {
	q := url.Values{"maxResults": {"100"}}
	if token != "" {
		q.Set("nextToken", token)
	}
	return q
}

// Document is a thing as the fleet index shows it (AWS IoT reference 3.2).
type Document struct {
	ThingName       protocol.ThingName `json:"thingName"`
	ThingID         string             `json:"thingId"`
	ThingTypeName   string             `json:"thingTypeName"`
	ThingGroupNames []string           `json:"thingGroupNames"`
	Attributes      map[string]string  `json:"attributes"`
	// Shadow is a JSON document in a string.
	Shadow       string        `json:"shadow"`
	Connectivity *Connectivity `json:"connectivity"`
}

// Connectivity says whether a thing is connected. Timestamp is in
// milliseconds of Unix time, 0 for a thing that never was.
type Connectivity struct {
	Connected        bool   `json:"connected"`
	Timestamp        int64  `json:"timestamp"`
	DisconnectReason string `json:"disconnectReason"`
}

// Search returns all things that a query matches.
func (c *Client) Search(ctx context.Context, query string) ([]Document, error) {
	found := []Document{}
	err := pages(ctx, func(ctx context.Context, token string) (string, error) {
		var out struct {
			Things    []Document `json:"things"`
			NextToken string     `json:"nextToken"`
		}
		in := map[string]any{"queryString": query, "maxResults": 100}
		if token != "" {
			in["nextToken"] = token
		}
		err := c.call(ctx, request{service: iot, method: http.MethodPost, path: "/indices/search", body: in, read: true}, &out)
		found = append(found, out.Things...)
		return out.NextToken, err
	})
	return found, err
}

// JobSpec is a job to be created.
type JobSpec struct {
	ID       protocol.JobID
	Targets  []string // ARNs
	Document json.RawMessage
	// Continuous takes in what joins its targets later.
	Continuous bool
	// PerMinute bounds the rate; 0 is none.
	PerMinute int
}

// CreateJob makes a job.
func (c *Client) CreateJob(ctx context.Context, spec JobSpec) error {
	body := map[string]any{"targets": spec.Targets, "document": string(spec.Document), "targetSelection": "SNAPSHOT"}
	if spec.Continuous {
		body["targetSelection"] = "CONTINUOUS"
	}
	if spec.PerMinute > 0 {
		body["jobExecutionsRolloutConfig"] = map[string]int{"maximumPerMinute": spec.PerMinute}
	}
	return c.call(ctx, request{service: iot, method: http.MethodPut, path: "/jobs/" + url.PathEscape(string(spec.ID)), body: body}, nil)
}

// Job is a job as it is described.
type Job struct {
	ID        protocol.JobID `json:"jobId"`
	Status    string         `json:"status"`
	Selection string         `json:"targetSelection"`
	Targets   []string       `json:"targets"`
	CreatedAt Time           `json:"createdAt"`
	Rollout   struct {
		PerMinute int `json:"maximumPerMinute"`
	} `json:"jobExecutionsRolloutConfig"`
	Process map[string]any `json:"jobProcessDetails"`
}

// Job describes a job.
func (c *Client) Job(ctx context.Context, id protocol.JobID) (Job, error) {
	var out struct {
		Job Job `json:"job"`
	}
	err := c.call(ctx, request{service: iot, method: http.MethodGet, path: "/jobs/" + url.PathEscape(string(id))}, &out)
	return out.Job, err
}

// Execution is a job execution. VersionNumber is 0 where it comes from a list.
type Execution struct {
	Thing         protocol.ThingName   `json:"-"`
	JobID         protocol.JobID       `json:"jobId"`
	ThingARN      string               `json:"thingArn"`
	Status        jobs.ExecutionStatus `json:"status"`
	QueuedAt      Time                 `json:"queuedAt"`
	StartedAt     Time                 `json:"startedAt"`
	LastUpdatedAt Time                 `json:"lastUpdatedAt"`
	Number        int64                `json:"executionNumber"`
	VersionNumber int64                `json:"versionNumber"`
}

// ExecutionsOfJob lists the executions of a job, all pages.
func (c *Client) ExecutionsOfJob(ctx context.Context, id protocol.JobID) ([]Execution, error) {
	list := []Execution{}
	err := pages(ctx, func(ctx context.Context, token string) (string, error) {
		var out struct {
			Summaries []struct {
				ThingARN string    `json:"thingArn"`
				Summary  Execution `json:"jobExecutionSummary"`
			} `json:"executionSummaries"`
			NextToken string `json:"nextToken"`
		}
		err := c.call(ctx, request{
			service: iot, method: http.MethodGet, path: "/jobs/" + url.PathEscape(string(id)) + "/things", query: page(token),
		}, &out)
		for _, s := range out.Summaries {
			x := s.Summary
			x.JobID, x.ThingARN, x.Thing = id, s.ThingARN, ThingOf(s.ThingARN)
			list = append(list, x)
		}
		return out.NextToken, err
	})
	return list, err
}

// Execution describes one execution of a job on a thing; it brings the
// version number that lists leave out.
func (c *Client) Execution(ctx context.Context, thing protocol.ThingName, id protocol.JobID, number int64) (Execution, error) {
	var out struct {
		Execution Execution `json:"execution"`
	}
	err := c.call(ctx, request{
		service: iot, method: http.MethodGet, path: "/things/" + url.PathEscape(string(thing)) + "/jobs/" + url.PathEscape(string(id)),
		query: url.Values{"executionNumber": {strconv.FormatInt(number, 10)}},
	}, &out)
	out.Execution.Thing = thing
	return out.Execution, err
}

// Shadow is the classic shadow as far as a simulation needs it.
type Shadow struct {
	Reported map[string]any
	Version  int64
}

// Shadow reads a thing's classic shadow.
func (c *Client) Shadow(ctx context.Context, thing protocol.ThingName) (Shadow, error) {
	var out struct {
		State struct {
			Reported map[string]any `json:"reported"`
		} `json:"state"`
		Version int64 `json:"version"`
	}
	err := c.call(ctx, request{service: iotData, method: http.MethodGet, path: "/things/" + url.PathEscape(string(thing)) + "/shadow"}, &out)
	return Shadow{out.State.Reported, out.Version}, err
}

// ThingOf returns the name in a thing's ARN.
func ThingOf(arn string) protocol.ThingName {
	_, name, _ := strings.Cut(arn, ":thing/")
	return protocol.ThingName(name)
}

// DeleteJob ends a job and removes it with its executions.
func (c *Client) DeleteJob(ctx context.Context, id protocol.JobID) error {
	return c.call(ctx, request{
		service: iot, method: http.MethodDelete, path: "/jobs/" + url.PathEscape(string(id)), query: url.Values{"force": {"true"}},
	}, nil)
}

// DeleteGroup removes a dynamic thing group.
func (c *Client) DeleteGroup(ctx context.Context, name protocol.ThingGroupName) error {
	return c.call(ctx, request{service: iot, method: http.MethodDelete, path: "/dynamic-thing-groups/" + url.PathEscape(string(name))}, nil)
}

// DeleteThing removes a thing from the registry.
func (c *Client) DeleteThing(ctx context.Context, name protocol.ThingName) error {
	return c.call(ctx, request{service: iot, method: http.MethodDelete, path: "/things/" + url.PathEscape(string(name))}, nil)
}
