package repo_test

import (
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/internal/durable"
)

// Publishing, signing, reading and serving at once; meant for the race detector.
func TestConcurrentUse(t *testing.T) {
	disk := durable.NewCrashable()
	r := open(t, repo.Config{Metadata: disk})
	s := serve(t, r)
	o := operatorNow(t, r)
	store(t, r, 5, 6)
	publish(t, r, time.Now(), o.Bundle())
	release(o, 6)
	next := o.Bundle()
	v := device(t, folder{disk}, o.Files["1.root.json"])
	var all sync.WaitGroup
	for _, work := range []func() error{
		func() error { return r.Resign(time.Now()) },
		func() error { return r.Publish(time.Now(), next) },
		func() error { _ = r.Status(); _ = r.Targets(); return nil },
		func() error { _, err := repo.Client{URL: s.URL}.Status(t.Context()); return err },
		func() error { return v.Refresh(t.Context(), time.Now()) },
		func() error { _ = v.Floor(); _, _ = v.Target(tuftest.Path(5)); return nil },
	} {
		for range 2 {
			all.Go(func() {
				for range 10 {
					if err := work(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	wantSeq(t, v, time.Now(), 6)
}
