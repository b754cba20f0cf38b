package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-iot/muster/simulator/awsapi"
)

// tidyTime bounds how long cleaning up may take.
const tidyTime = 30 * time.Second

// tidy removes what the run has made on the server: a continuous job that
// stays would go on with whatever its group finds. It also runs when the run
// was interrupted.
func (r *Rollout) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	api := r.fleet.API()
	failed := errors.Join(
		gone(api.DeleteJob(ctx, r.job)), gone(api.DeleteGroup(ctx, r.group)),
		gone(api.DeleteJob(ctx, r.stay)), gone(api.DeleteGroup(ctx, r.online)),
	)
	for _, name := range r.standing {
		failed = errors.Join(failed, gone(api.DeleteGroup(ctx, name)))
	}
	var g errgroup.Group
	g.SetLimit(8)
	for _, d := range r.fleet.Devices() {
		g.Go(func() error { return gone(api.DeleteThing(ctx, d.Thing)) })
	}
	if err := errors.Join(failed, g.Wait()); err != nil {
		return fmt.Errorf("cannot clean up behind run %s: %w", r.cfg.Run, err)
	}
	return nil
}

// gone takes what does not exist for removed.
func gone(err error) error {
	if awsapi.IsNotFound(err) {
		return nil
	}
	return err
}
