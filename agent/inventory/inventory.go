// Package inventory tells what a device is, for its shadow: hardware, agent
// version, uptime and free disk. It owns no state; it is asked at every
// report, and keeps its answer small because every device sends it. Versions
// of products are not its business: the agent alone knows when they may be
// told (rule 22).
package inventory

import "time"

// Source is a device's inventory. It is an agent's Inventory.
type Source struct {
	// Hardware is the device's hardware id; empty is not reported.
	Hardware string
	// AgentVersion is the version of the program; empty is not reported.
	AgentVersion string
	// Started is when the agent started; zero is not reported.
	Started time.Time
	// DataDir is the folder whose disk is reported; empty is none.
	DataDir string
}

// Report returns members of the shadow's reported section.
func (s Source) Report() map[string]any {
	report := map[string]any{}
	if s.Hardware != "" {
		report["hardware"] = s.Hardware
	}
	if s.AgentVersion != "" {
		report["agentVersion"] = s.AgentVersion
	}
	if !s.Started.IsZero() {
		report["uptimeSeconds"] = int64(time.Since(s.Started) / time.Second)
	}
	if s.DataDir != "" {
		if free, err := freeDisk(s.DataDir); err == nil {
			report["freeDiskMB"] = int64(free >> 20)
		}
	}
	return report
}
