package install

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-iot/muster/agent/health"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/pack"
	"github.com/muster-iot/muster/internal/durable"
)

// AppDirConfig makes an [AppDir].
type AppDirConfig struct {
	// Product is what is installed. Required.
	Product string
	// Dir is the install folder, such as /opt/app; it is made when it is
	// missing. Required.
	Dir string
	// Restart is the command that makes a running application take the new
	// version, such as "systemctl restart app". Empty: nothing has to run.
	Restart string
	// RestartTimeout bounds it. Default 60 s.
	RestartTimeout time.Duration
	// Health is the command that exits 0 when the new version works. Empty:
	// a version that could be started is healthy.
	Health string
	// Trial is how long Health is asked; signed fields of a target take
	// precedence.
	Trial health.Window
	// Reserve is what has to stay free on the disk, in bytes. Default 50 MB.
	Reserve int64
	// FS is the install folder's file system. Default: that of the machine.
	FS durable.FS
	// Unpack unpacks an archive into a new folder of FS, all of it durable
	// when it returns nil. Default: package pack on Dir.
	Unpack func(archive io.Reader, folder string, limits pack.Limits) error
	// Run runs commands. Default [Shell].
	Run Runner
	// Free measures the disk. Default: the machine's.
	Free func(dir string) (int64, error)
	// Logger takes what is tidied up. Default: nothing is logged.
	Logger *slog.Logger
}

// AppDir installs an application as a folder of its own for each version:
//
//	/opt/app/versions/5/...     a version, complete and durable or not there
//	/opt/app/versions/6/...
//	/opt/app/current            symlink to versions/6, replaced in one rename
//	/opt/app/previous           symlink to versions/5
//
// A version is unpacked as versions/.incoming-6 and renamed when all of it is
// on disk; versions/.release-6.json says which signed target it is.
type AppDir struct {
	cfg  AppDirConfig
	disk durable.Disk
}

// NewAppDir checks the configuration. It touches nothing.
func NewAppDir(cfg AppDirConfig) (*AppDir, error) {
	if err := firmware.CheckProduct(cfg.Product); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(cfg.Dir) {
		return nil, fmt.Errorf("install folder %q of product %s is not an absolute path", cfg.Dir, cfg.Product)
	}
	if cfg.RestartTimeout <= 0 {
		cfg.RestartTimeout = time.Minute
	}
	if cfg.Reserve <= 0 {
		cfg.Reserve = 50 << 20
	}
	if cfg.Run == nil {
		cfg.Run = Shell
	}
	if cfg.Free == nil {
		cfg.Free = freeSpace
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Unpack == nil {
		cfg.Unpack = func(archive io.Reader, folder string, limits pack.Limits) error {
			return pack.Unpack(archive, filepath.Join(cfg.Dir, folder), limits)
		}
	}
	return &AppDir{cfg: cfg, disk: durable.Disk{FS: cfg.FS}}, nil
}

// open makes and opens the install folder when that has not happened yet.
func (a *AppDir) open() error {
	if a.disk.FS == nil {
		if err := durable.MkdirAll(a.cfg.Dir, 0o755); err != nil {
			return fmt.Errorf("cannot make the install folder of product %s: %w", a.cfg.Product, err)
		}
		disk, err := durable.OpenOS(a.cfg.Dir)
		if err != nil {
			return fmt.Errorf("cannot open the install folder of product %s: %w", a.cfg.Product, err)
		}
		a.disk.FS = disk
	}
	// What an earlier process did and did not live to sync must be durable
	// before anything is done because of it.
	err := a.disk.MkdirAll(versions, 0o755)
	if err == nil {
		err = errors.Join(a.disk.SyncDir(versions), a.disk.SyncDir("."))
	}
	if err != nil {
		return fmt.Errorf("cannot use the install folder of product %s: %w", a.cfg.Product, err)
	}
	return nil
}

// Prepare refuses a target of another format, and fails when download and
// unpacked files would not leave the reserve free.
func (a *AppDir) Prepare(_ context.Context, t firmware.Target) error {
	if t.Custom.TargetFormat != firmware.FormatAppDir {
		return update.Refusef("product %s is installed as %s, target %s is %q", a.cfg.Product, firmware.FormatAppDir, t.Path, t.Custom.TargetFormat)
	}
	return a.room(t.Length + t.Custom.UnpackedSize + t.Custom.MaxFile)
}

// room fails when need bytes would not fit.
func (a *AppDir) room(need int64) error {
	if err := a.open(); err != nil {
		return err
	}
	free, err := a.cfg.Free(a.cfg.Dir)
	if err != nil {
		return fmt.Errorf("cannot tell how much room is in %s: %w", a.cfg.Dir, err)
	}
	if free-a.cfg.Reserve < need {
		return fmt.Errorf("not enough room in %s: %d MB are needed, %d MB are free and %d MB of them stay free",
			a.cfg.Dir, mb(need), mb(free), mb(a.cfg.Reserve))
	}
	return nil
}

func mb(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

// Install unpacks the staged file beside the running version. The hash is
// taken of the very bytes that are unpacked.
func (a *AppDir) Install(ctx context.Context, t firmware.Target, file string) error {
	if err := a.room(t.Custom.UnpackedSize); err != nil {
		return err
	}
	if err := a.sweep(); err != nil {
		return err
	}
	name, err := a.place(t)
	if err != nil || name == "" {
		return err
	}
	incoming := folder(incomingPrefix + name)
	if err := a.unpack(ctx, t, file, incoming); err != nil {
		return fmt.Errorf("cannot install version %s: %w", t.Custom.Version, err)
	}
	if err := a.saveRelease(name, t); err != nil {
		return err
	}
	if err := a.disk.Rename(incoming, folder(name)); err != nil {
		return fmt.Errorf("cannot install version %s: %w", t.Custom.Version, err)
	}
	return a.disk.SyncDir(versions)
}

// place returns the folder name that a target is to be unpacked to, or "" when
// the running version already is that very target. A version that was left
// over is replaced, one of other bytes that goes by the same version is not.
func (a *AppDir) place(t firmware.Target) (string, error) {
	running, err := a.link(currentLink)
	if err != nil {
		return "", err
	}
	release := update.ReleaseOf(t)
	for _, name := range names(release) {
		_, err := a.disk.Stat(folder(name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name, nil
		case err != nil:
			return "", fmt.Errorf("cannot install version %s: %w", t.Custom.Version, err)
		case !a.holds(name, release.SHA256):
			continue
		case name == running:
			return "", a.saveRelease(name, t)
		}
		return name, a.discard(name)
	}
	return "", fmt.Errorf("cannot install version %s: its folder is taken by other bytes", t.Custom.Version)
}

// unpack unpacks a file into a new folder. It is hashed before a byte is
// unpacked and again while it is: others may change the file between the two.
func (a *AppDir) unpack(ctx context.Context, t firmware.Target, file, into string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	before, after := sha256.New(), sha256.New()
	if _, err := io.Copy(before, reader{ctx, f}); err != nil {
		return err
	}
	if firmware.Digest(before.Sum(nil)) != t.SHA256 {
		return errors.New("the staged file is not the signed one")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	archive := io.TeeReader(reader{ctx, f}, after)
	if err := a.cfg.Unpack(archive, into, pack.Limits{Bytes: t.Custom.UnpackedSize}); err != nil {
		return err
	}
	if firmware.Digest(after.Sum(nil)) != t.SHA256 {
		return errors.New("the staged file changed while it was unpacked")
	}
	return nil
}

// Switch makes the new version the current one and restarts the application.
func (a *AppDir) Switch(ctx context.Context, t firmware.Target) error {
	if err := a.open(); err != nil {
		return err
	}
	name, err := a.find(update.ReleaseOf(t))
	if err != nil {
		return err
	}
	running, err := a.link(currentLink)
	if err == nil && running != "" && running != name {
		err = a.point(previousLink, running)
	}
	if err == nil && running != name {
		err = a.point(currentLink, name)
	}
	if err != nil {
		return err
	}
	return a.restart(ctx, t.Custom.Version)
}

// restart runs the restart command.
func (a *AppDir) restart(ctx context.Context, version string) error {
	if a.cfg.Restart == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.RestartTimeout)
	defer cancel()
	if output, err := a.cfg.Run(ctx, a.cfg.Restart, a.env(version)); err != nil {
		return failed("restart", output, err)
	}
	return nil
}

// env tells a command what it is about.
func (a *AppDir) env(version string) []string {
	return []string{
		"MUSTER_PRODUCT=" + a.cfg.Product, "MUSTER_VERSION=" + version,
		"MUSTER_DIR=" + a.cfg.Dir, "MUSTER_CURRENT=" + filepath.Join(a.cfg.Dir, currentLink),
	}
}

// Check asks the health command until it is content or the trial is over.
func (a *AppDir) Check(ctx context.Context, t firmware.Target) error {
	if err := a.runs(t); err != nil {
		return err
	}
	if a.cfg.Health == "" {
		return ctx.Err()
	}
	w := a.cfg.Trial
	if d := time.Duration(t.Custom.Health.Timeout); d > 0 {
		w.Timeout = d
	}
	if d := time.Duration(t.Custom.Health.Stable); d > 0 {
		w.Stable = d
	}
	env := a.env(t.Custom.Version)
	return health.Wait(ctx, func(ctx context.Context) error {
		output, err := a.cfg.Run(ctx, a.cfg.Health, env)
		if err != nil {
			return failed("health", output, err)
		}
		return nil
	}, w)
}

// runs fails unless the target is the current version.
func (a *AppDir) runs(t firmware.Target) error {
	if err := a.open(); err != nil {
		return err
	}
	name, err := a.link(currentLink)
	if err == nil && !a.holds(name, t.SHA256.String()) {
		err = fmt.Errorf("version %s of product %s is not the current one: that is %q", t.Custom.Version, a.cfg.Product, name)
	}
	return err
}

// Commit removes all versions but the current and the previous one. What
// cannot be removed is left: it costs room, not the update.
func (a *AppDir) Commit(_ context.Context, t firmware.Target) error {
	if err := a.runs(t); err != nil {
		return err
	}
	if err := errors.Join(a.sweep(), a.collect()); err != nil {
		a.cfg.Logger.Warn("cannot remove old versions", "product", a.cfg.Product, "err", err)
	}
	return nil
}

// Rollback makes a release current again, restarts the application when
// another one may have been started, and removes the failed version.
func (a *AppDir) Rollback(ctx context.Context, to update.Release, failed firmware.Target) error {
	if err := a.open(); err != nil {
		return err
	}
	name, err := a.back(to)
	if err != nil {
		return err
	}
	// The failed version's folder stays until the old one runs again: it
	// tells, after another power cut, that a restart may be due.
	bad := ""
	if failed.Path != "" {
		bad, _ = a.find(update.ReleaseOf(failed)) // none: it was not unpacked
	}
	if failed.Path == "" || bad != "" && bad != name {
		if err := a.restart(ctx, to.Version); err != nil {
			return err
		}
	}
	if bad != "" && bad != name {
		err = a.discard(bad)
	}
	return errors.Join(err, a.sweep())
}

// back points current at a release and returns its folder name: "" for the
// zero release, before which nothing was installed.
func (a *AppDir) back(to update.Release) (string, error) {
	running, err := a.link(currentLink)
	if err != nil {
		return "", err
	}
	if to == (update.Release{}) {
		if running != "" {
			err = a.unlink(currentLink)
		}
		return "", err
	}
	name, err := a.find(to)
	if err != nil || name == running {
		return name, err
	}
	return name, a.point(currentLink, name)
}

// Current returns what is installed, for a device that has no record of it.
func (a *AppDir) Current() (update.Release, error) {
	if err := a.open(); err != nil {
		return update.Release{}, err
	}
	name, err := a.link(currentLink)
	if err != nil || name == "" {
		return update.Release{}, err
	}
	if r, ok := a.release(name); ok {
		return r, nil
	}
	return update.Release{Version: name}, nil
}
