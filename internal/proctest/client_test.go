package proctest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muster-iot/muster/internal/proctest"
)

// The services whose operations share paths; the signature tells them apart.
const (
	iot     = "iot"
	iotdata = "iotdata"
)

// api is an HTTP client of one server, with nothing between it and the wire.
type api struct {
	base string
	http *http.Client
}

func newAPI(address string) *api {
	return &api{base: "http://" + address, http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
}

// refusal is an answer that says no: the request changed nothing.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.text) }

// errUnknown is that nobody knows whether a request was carried out.
var errUnknown = errors.New("outcome unknown")

// call makes a request. The error is nil when it was acknowledged, a *refusal
// when it was refused, and errUnknown otherwise.
func (a *api) call(ctx context.Context, service, method, path string, body, into any) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, payload)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	response, err := a.http.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	defer response.Body.Close()
	// The status line is the acknowledgement, whatever becomes of the body.
	text, readErr := io.ReadAll(response.Body)
	switch {
	case response.StatusCode >= 500:
		return fmt.Errorf("%w: %d %s", errUnknown, response.StatusCode, text)
	case response.StatusCode >= 300:
		return &refusal{response.StatusCode, response.Header.Get("x-amzn-ErrorType") + " " + string(text)}
	case into == nil || readErr != nil:
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s %s answered %q: %w", method, path, text, err)
	}
	return nil
}

// object is a JSON object.
type object map[string]any

// pages reads every page of a list of the control plane.
func pages[Item any](ctx context.Context, a *api, path, member string) ([]Item, error) {
	return pagesOf[Item](ctx, a, iot, path, member)
}

func pagesOf[Item any](ctx context.Context, a *api, service, path, member string) ([]Item, error) {
	var all []Item
	token := ""
	for {
		q := "maxResults=200"
		if token != "" {
			q += "&nextToken=" + url.QueryEscape(token)
		}
		var page map[string]json.RawMessage
		if err := a.call(ctx, service, "GET", path+"?"+q, nil, &page); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		var items []Item
		if err := json.Unmarshal(page[member], &items); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		all = append(all, items...)
		if page["nextToken"] == nil {
			return all, nil
		}
		if err := json.Unmarshal(page["nextToken"], &token); err != nil {
			return nil, err
		}
	}
}

// read reads the whole fleet, with the classic shadows of the named things.
func (a *api) read(ctx context.Context, shadows []string) (proctest.Fleet, error) {
	f := proctest.Fleet{
		Things: map[string]proctest.Thing{}, Shadows: map[string]proctest.Shadow{},
		Groups: map[string]proctest.Group{}, Jobs: map[string]proctest.Job{}, Retained: map[string]string{},
	}
	things, err := pages[struct {
		ThingName  string
		Attributes map[string]string
		Version    int64
	}](ctx, a, "/things", "things")
	if err != nil {
		return f, err
	}
	for _, th := range things {
		f.Things[th.ThingName] = proctest.Thing{Version: th.Version, Attributes: th.Attributes}
	}
	return f, errors.Join(a.readShadows(ctx, f, shadows), a.readGroups(ctx, f), a.readJobs(ctx, &f), a.readRetained(ctx, f.Retained))
}

func (a *api) readShadows(ctx context.Context, f proctest.Fleet, names []string) error {
	for _, name := range names {
		var doc struct {
			Version int64
			State   struct{ Reported, Desired map[string]any }
		}
		err := a.call(ctx, iotdata, "GET", "/things/"+name+"/shadow", nil, &doc)
		if r := (&refusal{}); errors.As(err, &r) && r.status == http.StatusNotFound {
			continue
		}
		if err != nil {
			return err
		}
		s := proctest.Shadow{Version: doc.Version, Values: map[string]string{}}
		for section, values := range map[string]map[string]any{"reported": doc.State.Reported, "desired": doc.State.Desired} {
			if n, ok := values["n"]; ok {
				s.Values[section] = counter(n, values["echo"])
			}
		}
		f.Shadows[name+"/classic"] = s
	}
	return nil
}

// counter is the value of a counter; it comes with an echo, so that a counter
// from one write and content from another are noticed.
func counter(n, echo any) string {
	if echo != fmt.Sprintf("echo %v", n) {
		return fmt.Sprintf("%v with %q", n, echo)
	}
	return fmt.Sprint(n)
}

func echo(n int64) string { return fmt.Sprintf("echo %d", n) }

func (a *api) readGroups(ctx context.Context, f proctest.Fleet) error {
	groups, err := pages[struct{ GroupName string }](ctx, a, "/thing-groups", "thingGroups")
	if err != nil {
		return err
	}
	for _, g := range groups {
		var d struct {
			Version              int64
			Status, QueryString  string
			ThingGroupProperties struct{ ThingGroupDescription string }
		}
		if err := a.call(ctx, iot, "GET", "/thing-groups/"+g.GroupName, nil, &d); err != nil {
			return err
		}
		members, err := pages[string](ctx, a, "/thing-groups/"+g.GroupName+"/things", "things")
		if err != nil {
			return err
		}
		found, err := a.search(ctx, d.QueryString)
		if err != nil {
			return err
		}
		f.Groups[g.GroupName] = proctest.Group{
			Version: d.Version, Status: d.Status, Query: d.QueryString,
			Description: d.ThingGroupProperties.ThingGroupDescription, Members: members, Found: found,
		}
	}
	return nil
}

func (a *api) search(ctx context.Context, query string) (names []string, err error) {
	body := object{"queryString": query, "maxResults": 100}
	for {
		var page struct {
			NextToken *string
			Things    []struct{ ThingName string }
		}
		if err := a.call(ctx, iot, "POST", "/indices/search", body, &page); err != nil {
			return nil, err
		}
		for _, th := range page.Things {
			names = append(names, th.ThingName)
		}
		if page.NextToken == nil {
			return names, nil
		}
		body["nextToken"] = *page.NextToken
	}
}

func (a *api) readJobs(ctx context.Context, f *proctest.Fleet) error {
	jobs, err := pages[struct{ JobID string }](ctx, a, "/jobs", "jobs")
	if err != nil {
		return err
	}
	for _, j := range jobs {
		var d struct {
			Job struct {
				Status, TargetSelection string
				Targets                 []string
			}
		}
		if err := a.call(ctx, iot, "GET", "/jobs/"+j.JobID, nil, &d); err != nil {
			return err
		}
		job := proctest.Job{Status: d.Job.Status, Selection: d.Job.TargetSelection}
		for _, target := range d.Job.Targets {
			if _, group, ok := strings.Cut(target, ":thinggroup/"); ok {
				job.Group = group
			}
		}
		f.Jobs[j.JobID] = job
		executions, err := a.readExecutions(ctx, j.JobID)
		if err != nil {
			return err
		}
		f.Executions = append(f.Executions, executions...)
	}
	return nil
}

func (a *api) readExecutions(ctx context.Context, job string) ([]proctest.Execution, error) {
	summaries, err := pages[struct {
		ThingArn            string
		JobExecutionSummary struct{ ExecutionNumber int64 }
	}](ctx, a, "/jobs/"+job+"/things", "executionSummaries")
	if err != nil {
		return nil, err
	}
	executions := make([]proctest.Execution, len(summaries))
	var wg sync.WaitGroup
	errs := make([]error, len(summaries))
	for i, s := range summaries {
		_, thing, _ := strings.Cut(s.ThingArn, ":thing/")
		wg.Go(func() {
			executions[i], errs[i] = a.describe(ctx, job, thing, s.JobExecutionSummary.ExecutionNumber)
		})
		if i%8 == 7 {
			wg.Wait()
		}
	}
	wg.Wait()
	return executions, errors.Join(errs...)
}

// describe reads one execution, the latest when number is 0.
func (a *api) describe(ctx context.Context, job, thing string, number int64) (proctest.Execution, error) {
	path := "/things/" + thing + "/jobs/" + job
	if number > 0 {
		path += "?executionNumber=" + strconv.FormatInt(number, 10)
	}
	var d struct {
		Execution struct {
			Status                         string
			ExecutionNumber, VersionNumber int64
			StatusDetails                  struct{ DetailsMap map[string]string }
		}
	}
	if err := a.call(ctx, iot, "GET", path, nil, &d); err != nil {
		return proctest.Execution{}, err
	}
	x := proctest.Execution{
		Job: job, Thing: thing, Number: d.Execution.ExecutionNumber, Version: d.Execution.VersionNumber, Status: d.Execution.Status,
	}
	if n, ok := d.Execution.StatusDetails.DetailsMap["n"]; ok {
		x.Counter = counter(n, d.Execution.StatusDetails.DetailsMap["echo"])
	}
	return x, nil
}
