// Package update is Muster's own job document: it names a signed target and
// nothing else, because a job document is not signed. What may be installed
// and how comes from the target's signed fields, never from here.
package update

import (
	"encoding/json"

	"github.com/muster-iot/muster/protocol"
)

// Schema is the only value of Document.Muster.
const Schema = 1

// OpInstall installs the named target.
const OpInstall = "install"

// Document is a job document of Muster:
//
//	{"muster":1,"operation":"install","product":"app","target":"app/app-6.tar.zst","version":"6","seq":60000}
type Document struct {
	Muster    int    `json:"muster"`
	Operation string `json:"operation"`
	// Product is what the target updates; the agent installs only products it manages.
	Product string `json:"product"`
	// Target is the path of the target in the signed repository.
	Target string `json:"target"`
	// Version and Seq repeat the signed version and release counter of the
	// target, so that the fleet side can compare what a device reports.
	Version string `json:"version"`
	Seq     int64  `json:"seq"`
}

// Parse reads a job document. ok is false when the document is not Muster's
// (it has no "muster" member); err says what is wrong with one that is.
func Parse(doc []byte) (d Document, ok bool, err error) {
	var probe struct {
		Muster *json.RawMessage `json:"muster"`
	}
	if protocol.DecodeObject(doc, &probe) != nil || probe.Muster == nil {
		return Document{}, false, nil
	}
	if err := protocol.DecodeObject(doc, &d); err != nil {
		return Document{}, true, protocol.Errorf(protocol.InvalidRequest, "job document is not a Muster document: %v", err)
	}
	switch {
	case d.Muster != Schema:
		err = protocol.Errorf(protocol.InvalidRequest, "job document has muster schema %d; this version knows %d", d.Muster, Schema)
	case d.Operation != OpInstall:
		err = protocol.Errorf(protocol.InvalidRequest, "job document has unknown operation %q", d.Operation)
	case d.Product == "" || d.Target == "" || d.Version == "" || d.Seq <= 0:
		err = protocol.Errorf(protocol.InvalidRequest, "job document needs product, target, version and seq")
	}
	return d, true, err
}

// Keys of statusDetails by which Muster's agent reports what it runs with
// SUCCEEDED, and of the shadow's reported section (rules 1 and 22).
const (
	KeySoftwareVersion = "softwareVersion"
	KeySoftwareSeq     = "softwareSeq"
	// KeyReason carries why an update was rejected or failed.
	KeyReason = "reason"
	// KeyPhase carries the phase of an update in progress.
	KeyPhase = "phase"
)
