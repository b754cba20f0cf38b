package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/simulator/load"
)

// installer pretends to run software: an image is a file that says which
// release it is, and the link "current" is what runs.
type installer struct {
	device  *Device
	machine *machine
}

// draw returns what was drawn for the update to a target. It is drawn from
// the target, so that a device that crashes in between draws the same again.
func (i *installer) draw(t firmware.Target) (takes time.Duration, fails bool) {
	r := load.Rand(i.device.seed, "update", t.Path, strconv.FormatInt(t.Custom.Seq, 10))
	half := i.device.cfg.UpdateTime / 2
	takes = half + time.Duration(r.Float64()*float64(half))
	return takes, r.Float64() < i.device.cfg.FailureProbability
}

// Current tells what runs.
func (i *installer) Current() (update.Release, error) { return i.machine.current() }

// Prepare refuses formats that are not an application folder.
func (i *installer) Prepare(_ context.Context, t firmware.Target) error {
	if t.Custom.TargetFormat != firmware.FormatAppDir {
		return update.Refusef("target format %q is not known here", t.Custom.TargetFormat)
	}
	return nil
}

// Install writes the image of a target, whose staged file it checks.
func (i *installer) Install(ctx context.Context, t firmware.Target, file string) error {
	data, err := i.machine.flash.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the staged file: %w", err)
	}
	if sha256.Sum256(data) != t.SHA256 {
		return errors.New("the staged file is not the signed one")
	}
	takes, _ := i.draw(t)
	if !pause.For(ctx, takes/2) {
		return ctx.Err()
	}
	return i.machine.writeImage(update.ReleaseOf(t))
}

// Switch makes the image the running one.
func (i *installer) Switch(_ context.Context, t firmware.Target) error {
	r := update.ReleaseOf(t)
	if _, err := i.machine.image(imageOf(r)); err != nil {
		return err
	}
	if err := i.machine.disk().SwapSymlink(imageOf(r), currentLink); err != nil {
		return err
	}
	i.device.switched(r, true)
	return nil
}

// Check takes its time, and fails as drawn.
func (i *installer) Check(ctx context.Context, t firmware.Target) error {
	takes, fails := i.draw(t)
	if !pause.For(ctx, takes/2) {
		return ctx.Err()
	}
	current, err := i.machine.current()
	switch {
	case err != nil:
		return err
	case current != update.ReleaseOf(t):
		return fmt.Errorf("version %s runs, not %s", current.Version, t.Custom.Version)
	case fails:
		return errors.New("simulated: the new version does not become healthy")
	}
	return nil
}

// Commit removes what ran before.
func (i *installer) Commit(_ context.Context, t firmware.Target) error {
	current, err := i.machine.current()
	if err != nil {
		return err
	}
	if current != update.ReleaseOf(t) {
		return fmt.Errorf("version %s runs, not %s", current.Version, t.Custom.Version)
	}
	return i.machine.collect()
}

// Rollback makes a release run and removes every other image.
func (i *installer) Rollback(_ context.Context, to update.Release, _ firmware.Target) error {
	if to == (update.Release{}) {
		return errors.New("there is nothing to go back to")
	}
	if _, err := i.machine.image(imageOf(to)); err != nil {
		return err
	}
	if err := i.machine.disk().SwapSymlink(imageOf(to), currentLink); err != nil {
		return err
	}
	i.device.switched(to, false)
	return i.machine.collect()
}
