package index

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/muster-iot/muster/protocol"
)

// ThingDocument is a thing in the answer of SearchIndex (AWS IoT reference 3.2).
type ThingDocument struct {
	ThingName       protocol.ThingName `json:"thingName"`
	ThingID         string             `json:"thingId,omitempty"`
	ThingTypeName   string             `json:"thingTypeName,omitempty"`
	ThingGroupNames []string           `json:"thingGroupNames,omitempty"`
	Attributes      map[string]string  `json:"attributes,omitempty"`
	// Shadow is a JSON document in a string; empty when no shadow is indexed.
	Shadow string `json:"shadow,omitempty"`
	// Connectivity is nil when it is not indexed.
	Connectivity *ThingConnectivity `json:"connectivity,omitempty"`
}

// ThingConnectivity is the connectivity of a thing in the answer of SearchIndex.
type ThingConnectivity struct {
	Connected bool `json:"connected"`
	// Timestamp is in milliseconds of Unix time, absent for things that never
	// connected.
	Timestamp        int64  `json:"timestamp,omitempty"`
	DisconnectReason string `json:"disconnectReason,omitempty"`
}

// Answer returns the document as SearchIndex shows it. The dynamic groups that
// the thing is in are added to its static ones. The attributes are read-only.
func (d *Document) Answer(dynamic []protocol.ThingGroupName) (ThingDocument, error) {
	shadow, err := d.shadowJSON()
	if err != nil {
		return ThingDocument{}, fmt.Errorf("cannot show the shadow of thing %q: %w", d.Thing(), err)
	}
	a := ThingDocument{
		ThingName:       d.source.ThingName,
		ThingID:         d.source.ThingID,
		ThingTypeName:   d.source.ThingTypeName,
		ThingGroupNames: slices.Clone(d.source.GroupNames),
		Attributes:      d.source.Attributes,
		Shadow:          shadow,
	}
	for _, name := range dynamic {
		a.ThingGroupNames = append(a.ThingGroupNames, string(name))
	}
	slices.Sort(a.ThingGroupNames)
	a.ThingGroupNames = slices.Compact(a.ThingGroupNames)
	if d.shape.connectivity {
		c := d.source.Connectivity
		a.Connectivity = &ThingConnectivity{Connected: c.Connected, Timestamp: c.Timestamp, DisconnectReason: c.DisconnectReason}
	}
	return a, nil
}

// shadowAnswer is one shadow in the string of ThingDocument.Shadow.
type shadowAnswer struct {
	Reported map[string]any  `json:"reported,omitempty"`
	Desired  map[string]any  `json:"desired,omitempty"`
	Delta    map[string]any  `json:"delta,omitempty"`
	Metadata *metadataAnswer `json:"metadata,omitempty"`
	HasDelta bool            `json:"hasDelta"`
	Version  int64           `json:"version"`
}

type metadataAnswer struct {
	Reported map[string]any `json:"reported,omitempty"`
	Desired  map[string]any `json:"desired,omitempty"`
}

// shadowsAnswer is the whole string: the classic shadow at the top, the named
// ones below "name".
type shadowsAnswer struct {
	*shadowAnswer
	Name map[string]*shadowAnswer `json:"name,omitempty"`
}

func (d *Document) shadowJSON() (string, error) {
	if len(d.shape.shadows) == 0 {
		return "", nil
	}
	all := shadowsAnswer{Name: map[string]*shadowAnswer{}}
	for _, name := range d.shape.shadows {
		one := answerOf(d.source.Shadows[name])
		if name == "" {
			all.shadowAnswer = one
			continue
		}
		all.Name[name] = one
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}

func answerOf(s ShadowState) *shadowAnswer {
	delta, _ := s.Difference()
	a := &shadowAnswer{Reported: s.Reported, Desired: s.Desired, Delta: delta, HasDelta: len(delta) > 0, Version: s.Version}
	if len(s.ReportedMeta) > 0 || len(s.DesiredMeta) > 0 {
		a.Metadata = &metadataAnswer{Reported: s.ReportedMeta, Desired: s.DesiredMeta}
	}
	return a
}
