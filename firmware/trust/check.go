package trust

import (
	"fmt"
	"slices"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol/update"
)

// Device is what a device knows of itself when it judges a target. All of it
// is local: nothing here comes from the server.
type Device struct {
	// Products are the products that the device manages.
	Products []string
	// HardwareID is the device's hardware, from a root-owned file.
	HardwareID string
	// CommittedSeq is the highest seq of the target's product that was ever
	// committed here; 0 is none.
	CommittedSeq int64
	// RollbackFloor is the highest signed roll-back floor of the product seen
	// here; 0 is none.
	RollbackFloor int64
	// Formats are the target formats that are installed and allowed.
	Formats []string
	// AgentVersion is the agent's own version.
	AgentVersion string
}

// Check says whether a device may install a target, by signed fields only.
// Its errors are [*Refusal]. The way back to old bytes is to publish them
// again under a higher seq; a device's own roll-back after a failed trial does
// not come here.
func Check(t firmware.Target, d Device) error {
	c := t.Custom
	switch {
	case !slices.Contains(d.Products, c.Product):
		return refuse(ReasonProduct, "target %s is product %q; this device manages %s", t.Path, c.Product, list(d.Products))
	case !slices.Contains(c.HardwareIDs, firmware.AnyHardware) && !slices.Contains(c.HardwareIDs, d.HardwareID):
		return refuse(ReasonHardware, "target %s is made for hardware %s; this device is %q", t.Path, list(c.HardwareIDs), d.HardwareID)
	case !slices.Contains(d.Formats, c.TargetFormat):
		return refuse(ReasonFormat, "target %s has format %q; this device installs %s", t.Path, c.TargetFormat, list(d.Formats))
	case c.Seq < d.CommittedSeq:
		return refuse(ReasonOlder, "target %s has seq %d; this device has committed seq %d of %s", t.Path, c.Seq, d.CommittedSeq, c.Product)
	case c.Seq < d.RollbackFloor:
		return refuse(ReasonFloor, "target %s has seq %d; the signed roll-back floor of %s is %d", t.Path, c.Seq, c.Product, d.RollbackFloor)
	}
	return checkAgent(t, d.AgentVersion)
}

func checkAgent(t firmware.Target, agent string) error {
	if t.Custom.MinAgent == "" {
		return nil
	}
	order, err := firmware.CompareVersions(agent, t.Custom.MinAgent)
	if err != nil {
		return refuse(ReasonAgent, "target %s needs agent %s; cannot compare with agent %q: %v", t.Path, t.Custom.MinAgent, agent, err)
	}
	if order < 0 {
		return refuse(ReasonAgent, "target %s needs agent %s or newer; this agent is %s", t.Path, t.Custom.MinAgent, agent)
	}
	return nil
}

// CheckDocument says whether a job document tells the truth about the signed
// target it names. Its errors are [*Refusal].
func CheckDocument(doc update.Document, t firmware.Target) error {
	c := t.Custom
	if doc.Target != t.Path || doc.Product != c.Product || doc.Version != c.Version || doc.Seq != c.Seq {
		return refuse(ReasonDocument, "job document names %s of %s, version %s, seq %d; signed is %s of %s, version %s, seq %d",
			doc.Target, doc.Product, doc.Version, doc.Seq, t.Path, c.Product, c.Version, c.Seq)
	}
	return nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%q", names)
}
