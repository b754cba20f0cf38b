package firmware

import (
	"errors"
	"fmt"
	"time"
)

// FormatAppDir is the target format of an application folder: a tar.zst that
// is unpacked next to the running version and switched to by a symlink.
const FormatAppDir = "app-dir"

// AnyHardware in HardwareIDs allows every device. It has to be written out: a
// target that lists no hardware is refused everywhere.
const AnyHardware = "any"

// Custom holds the signed fields of a target. Devices decide by them alone;
// a job document only names the target. Unknown fields are ignored, so that
// newer releases stay readable for older agents (MinAgent says when not).
type Custom struct {
	// Product is what the target updates, and the first part of its path.
	Product string `json:"product"`
	// Version is what people call the release: "6" or "5.1.0".
	Version string `json:"version"`
	// Seq is the release counter of the product. A device never installs a
	// lower one than it has committed; going back to old bytes means to
	// publish them again under a higher Seq.
	Seq int64 `json:"seq"`
	// HardwareIDs lists the hardware the target is made for, or [AnyHardware].
	HardwareIDs []string `json:"hardwareIds"`
	// TargetFormat says how the artifact is installed, as [FormatAppDir].
	TargetFormat string `json:"targetFormat"`
	// UnpackedSize is the sum of all unpacked files in bytes.
	UnpackedSize int64 `json:"unpackedSize"`
	// MaxFile is the size of the largest unpacked file in bytes; 0 is unknown.
	MaxFile int64 `json:"maxFile,omitempty"`
	// MinAgent is the oldest agent that can install the target; "" is any.
	MinAgent string `json:"minAgent,omitempty"`
	// RollbackFloor is the lowest Seq that a device may still install once it
	// has seen this target; 0 leaves it as it is.
	RollbackFloor int64 `json:"rollbackFloor,omitempty"`
	// Health says how a device judges the new version before it commits.
	Health Health `json:"health,omitzero"`
}

// Health is the trial of a new version. Zero fields leave the choice to the
// device's own configuration.
type Health struct {
	// Timeout is how long the new version has to become healthy.
	Timeout Duration `json:"timeout,omitzero"`
	// Stable is how long it has to run without a restart.
	Stable Duration `json:"stable,omitzero"`
}

// Limits on signed fields: far above any real release, they keep arithmetic
// on devices safe.
const (
	maxSeq      = 1 << 53 // JSON numbers of every language hold it exactly
	maxUnpacked = 1 << 44 // 16 TiB
	maxTrial    = 24 * time.Hour
	maxHardware = 64
)

// Validate says what is wrong with the fields, or nil.
func (c Custom) Validate() error {
	if err := CheckProduct(c.Product); err != nil {
		return err
	}
	if err := CheckVersion(c.Version); err != nil {
		return err
	}
	switch {
	case c.Seq <= 0 || c.Seq > maxSeq:
		return fmt.Errorf("seq %d is not between 1 and %d", c.Seq, int64(maxSeq))
	case c.RollbackFloor < 0 || c.RollbackFloor > c.Seq:
		return fmt.Errorf("rollbackFloor %d is not between 0 and seq %d", c.RollbackFloor, c.Seq)
	case c.TargetFormat == "":
		return errors.New("targetFormat is missing")
	case c.UnpackedSize < 0 || c.UnpackedSize > maxUnpacked:
		return fmt.Errorf("unpackedSize %d is out of range", c.UnpackedSize)
	case c.MaxFile < 0 || c.MaxFile > maxUnpacked:
		return fmt.Errorf("maxFile %d is out of range", c.MaxFile)
	}
	if c.MinAgent != "" {
		if err := CheckVersion(c.MinAgent); err != nil {
			return fmt.Errorf("minAgent: %w", err)
		}
	}
	if err := c.Health.validate(); err != nil {
		return err
	}
	return checkHardwareIDs(c.HardwareIDs)
}

func (h Health) validate() error {
	for _, d := range []Duration{h.Timeout, h.Stable} {
		if d < 0 || time.Duration(d) > maxTrial {
			return fmt.Errorf("health duration %s is not between 0 and %s", time.Duration(d), maxTrial)
		}
	}
	return nil
}

func checkHardwareIDs(ids []string) error {
	if len(ids) == 0 {
		return fmt.Errorf("hardwareIds is empty (use %q for every hardware)", AnyHardware)
	}
	if len(ids) > maxHardware {
		return fmt.Errorf("hardwareIds has %d entries; at most %d are allowed", len(ids), maxHardware)
	}
	for _, id := range ids {
		if err := CheckHardwareID(id); err != nil {
			return err
		}
	}
	return nil
}

// Duration is a time span that is text in JSON: "120s".
type Duration time.Duration

// MarshalText writes the span as time.ParseDuration reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a span such as "120s" or "2m".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q is not a duration such as 120s", text)
	}
	*d = Duration(v)
	return nil
}
