package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	jobID  = "bench"
	groups = 100
)

// api is the HTTP face of the server under test.
type api struct {
	base string
	http http.Client
}

// newAPI keeps as many connections as it uses at once.
func newAPI(address string) *api {
	transport := &http.Transport{MaxIdleConnsPerHost: lanes}
	return &api{base: "http://" + address, http: http.Client{Transport: transport}}
}

func (a *api) call(ctx context.Context, method, path, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	response, err := a.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", method, path, response.Status, answer)
	}
	return answer, err
}

// populate registers the devices, a hundred groups that ask for their
// connectivity, and one job with an execution for each device.
func populate(ctx context.Context, address string, devices int) error {
	a := newAPI(address)
	if err := parallel(devices, func(i int) error {
		_, err := a.call(ctx, "POST", "/things/"+device(i), fmt.Sprintf(`{"attributePayload":{"attributes":{"region":"r%d","softwareVersion":"5"}}}`, i%groups))
		return err
	}); err != nil {
		return err
	}
	if err := parallel(groups, func(i int) error {
		_, err := a.call(ctx, "POST", fmt.Sprintf("/dynamic-thing-groups/region-%d", i), fmt.Sprintf(`{"queryString":"connectivity.connected:true AND attributes.region:r%d AND attributes.softwareVersion:5"}`, i))
		return err
	}); err != nil {
		return err
	}
	answer, err := a.call(ctx, "POST", "/dynamic-thing-groups/all", `{"queryString":"thingName:bench-*"}`)
	if err != nil {
		return err
	}
	var group struct{ ThingGroupArn string }
	if err := json.Unmarshal(answer, &group); err != nil {
		return err
	}
	body := fmt.Sprintf(`{"targets":[%q],"targetSelection":"CONTINUOUS","document":"{}"}`, group.ThingGroupArn)
	if _, err := a.call(ctx, "PUT", "/jobs/"+jobID, body); err != nil {
		return err
	}
	return a.until(ctx, "/jobs/"+jobID, fmt.Sprintf(`"numberOfQueuedThings":%d`, devices))
}

// until asks until the answer holds a text.
func (a *api) until(ctx context.Context, path, want string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		answer, err := a.call(ctx, "GET", path, "")
		if err != nil || bytes.Contains(answer, []byte(want)) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("GET %s never said %s; last: %s", path, want, answer)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lanes is how many calls are made at a time.
const lanes = 8

// parallel calls f for 0 to n-1, some at a time, and returns an error of one.
func parallel(n int, f func(i int) error) error {
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() {
			for i := lane; i < n && failed.Load() == nil; i += lanes {
				if err := f(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
