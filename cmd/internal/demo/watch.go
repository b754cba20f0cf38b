package demo

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator/awsapi"
)

// watcher asks the server for the state of the fleet, over the AWS API only.
type watcher struct {
	api   *awsapi.Client
	group protocol.ThingGroupName // "" until it exists
	job   protocol.JobID          // "" until it exists
	last  progress
	// commands counts requests that are not reads.
	commands atomic.Int64
}

// newWatcher makes a watcher of the server at a URL.
func newWatcher(url string) (*watcher, error) {
	w := &watcher{}
	api, err := awsapi.New(url, &http.Client{Timeout: 30 * time.Second, Transport: counting{w, &http.Transport{}}})
	w.api = api
	return w, err
}

// counting counts what is asked of the server.
type counting struct {
	watcher *watcher
	next    http.RoundTripper
}

// RoundTrip sends a request on. Searching is the one read that is no GET.
func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.URL.Path != "/indices/search" {
		c.watcher.commands.Add(1)
	}
	return c.next.RoundTrip(r)
}

// pollLimit bounds one question.
const pollLimit = 10 * time.Second

// pollEvery is the distance of questions: each is answered with all devices,
// so that many of them are asked for less often.
func (d *Demo) pollEvery() time.Duration {
	return 200*time.Millisecond + time.Duration(d.cfg.Devices)*time.Millisecond/2
}

// look returns the state of the fleet, or the last one marked down.
func (w *watcher) look(ctx context.Context) progress {
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	p, err := w.ask(ctx)
	if err != nil {
		w.last.down = true
		return w.last
	}
	w.last = p
	return p
}

// ask puts the questions; they are answered one after the other, so that the
// counts may be some milliseconds apart.
func (w *watcher) ask(ctx context.Context) (progress, error) {
	p := progress{versions: map[string]int{}, executions: map[jobs.ExecutionStatus]int{}}
	things, err := w.api.Search(ctx, "thingName:*")
	if err != nil {
		return p, err
	}
	p.things = len(things)
	for _, t := range things {
		if t.Connectivity != nil && t.Connectivity.Connected {
			p.connected++
		}
		if v := t.Attributes["softwareVersion"]; v != "" {
			p.versions[v]++
		}
	}
	if w.group != "" {
		members, err := w.api.Members(ctx, w.group)
		if err != nil {
			return p, err
		}
		p.group, p.members = true, len(members)
	}
	if w.job != "" {
		job, err := w.api.Job(ctx, w.job)
		if err != nil {
			return p, err
		}
		p.job, p.executions = true, latest(job.Process)
	}
	return p, nil
}

// latest reads a job's numbers of things by the status of their latest execution.
func latest(process map[string]any) map[jobs.ExecutionStatus]int {
	names := map[string]jobs.ExecutionStatus{
		"numberOfQueuedThings": jobs.Queued, "numberOfInProgressThings": jobs.InProgress, "numberOfSucceededThings": jobs.Succeeded,
		"numberOfFailedThings": jobs.Failed, "numberOfRejectedThings": jobs.Rejected, "numberOfRemovedThings": jobs.Removed,
		"numberOfTimedOutThings": jobs.TimedOut, "numberOfCanceledThings": jobs.Canceled,
	}
	counts := map[jobs.ExecutionStatus]int{}
	for name, status := range names {
		n, _ := process[name].(float64)
		counts[status] = int(n)
	}
	return counts
}

// until looks, shows what it sees and looks again until the fleet is as it is
// waited for, a child has ended, or the limit is reached.
func (d *Demo) until(ctx context.Context, what string, limit time.Duration, reached func(progress) bool) error {
	late := time.Now().Add(limit)
	tick := time.NewTicker(d.pollEvery())
	defer tick.Stop()
	for {
		p := d.watch.look(ctx)
		d.screen.progress(p)
		if ctx.Err() == nil && !p.down && reached(p) {
			return nil
		}
		if err := d.ended(); err != nil {
			return err
		}
		if time.Now().After(late) {
			return fmt.Errorf("%s: not reached within %s; last seen: %s", what, limit, p.text())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
