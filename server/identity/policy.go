package identity

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// PolicyName names a policy: 1 to 128 of [\w+=,.@-], for life.
type PolicyName string

var policyName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

// Valid reports whether the name has the form of a policy name.
func (n PolicyName) Valid() bool { return policyName.MatchString(string(n)) }

// Limits of policies (AWS IoT reference, appendix C).
const (
	// MaxVersions bounds the versions of a policy.
	MaxVersions = 5
	// MaxPolicies bounds the policies attached to one certificate or group.
	MaxPolicies = 10
)

// Policy is a named set of versions, one of which is in force. Its slices are
// never changed in place.
type Policy struct {
	Name PolicyName `json:"name"`
	// Versions are in the order of their ids, which are never used again.
	Versions []PolicyVersion `json:"versions"`
	// InForce is the id of the default version, Last the highest id so far.
	InForce      int64     `json:"inForce"`
	Last         int64     `json:"last"`
	GenerationID string    `json:"generationId"`
	CreatedAt    time.Time `json:"createdAt"`
	ModifiedAt   time.Time `json:"modifiedAt"`
}

// PolicyVersion is one text of a policy.
type PolicyVersion struct {
	ID        int64     `json:"id"`
	Document  Document  `json:"document"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewPolicy makes a policy of one version, which is in force.
func NewPolicy(name PolicyName, d Document, generation string, now time.Time) (Policy, error) {
	p := Policy{Name: name, GenerationID: generation, CreatedAt: now}
	if !name.Valid() {
		return p, protocol.Errorf(protocol.InvalidRequest, `policy name %q is not 1 to 128 of [\w+=,.@-]`, name)
	}
	p, _, err := p.AddVersion(d, true, now)
	return p, err
}

// AddVersion returns the policy with one version more.
func (p Policy) AddVersion(d Document, inForce bool, now time.Time) (Policy, PolicyVersion, error) {
	if len(p.Versions) >= MaxVersions {
		return p, PolicyVersion{}, protocol.Errorf(protocol.VersionsLimitExceeded, "policy %q has %d versions already: delete one first", p.Name, len(p.Versions))
	}
	v := PolicyVersion{ID: p.Last + 1, Document: d, CreatedAt: now}
	p.Versions = append(slices.Clone(p.Versions), v)
	p.Last, p.ModifiedAt = v.ID, now
	if inForce {
		p.InForce = v.ID
	}
	return p, v, nil
}

// Version returns a version by the id that a client names, or a NotFound.
func (p Policy) Version(id string) (PolicyVersion, error) {
	for _, v := range p.Versions {
		if strconv.FormatInt(v.ID, 10) == id {
			return v, nil
		}
	}
	return PolicyVersion{}, protocol.Errorf(protocol.NotFound, "policy %q has no version %q", p.Name, id)
}

// Current returns the version in force.
func (p Policy) Current() PolicyVersion {
	for _, v := range p.Versions {
		if v.ID == p.InForce {
			return v
		}
	}
	return PolicyVersion{} // no change leads here
}

// WithoutVersion returns the policy without a version; the one in force stays.
func (p Policy) WithoutVersion(id string, now time.Time) (Policy, error) {
	v, err := p.Version(id)
	if err != nil {
		return p, err
	}
	if v.ID == p.InForce {
		return p, protocol.Errorf(protocol.DeleteConflict, "version %s is the default version of policy %q, which cannot be deleted: make another one the default, or delete the policy", id, p.Name)
	}
	p.Versions = slices.DeleteFunc(slices.Clone(p.Versions), func(w PolicyVersion) bool { return w.ID == v.ID })
	p.ModifiedAt = now
	return p, nil
}

// WithDefault returns the policy with another version in force.
func (p Policy) WithDefault(id string, now time.Time) (Policy, error) {
	v, err := p.Version(id)
	if err != nil || v.ID == p.InForce {
		return p, err
	}
	p.InForce, p.ModifiedAt = v.ID, now
	return p, nil
}

// CheckDelete refuses the deletion of a policy that is attached, or that has
// versions beside its default one.
func (p Policy) CheckDelete(targets int) error {
	switch {
	case targets > 0:
		return protocol.Errorf(protocol.DeleteConflict, "policy %q is still attached to certificates or groups (%d): detach it before you delete it", p.Name, targets)
	case len(p.Versions) > 1:
		return protocol.Errorf(protocol.DeleteConflict, "policy %q has %d versions: delete all but the default one before you delete it", p.Name, len(p.Versions))
	}
	return nil
}
