package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// TestIdentitiesOverRestarts: whatever happens to certificates, policies and
// their attachments, a restart shows the same; and nothing that is attached is
// ever gone.
func TestIdentitiesOverRestarts(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := mem.New()
		f := start(t, s, rules.Safe())
		defer func() { f.stop() }()
		for range 2 {
			for range rapid.IntRange(1, 40).Draw(r, "steps") {
				identityStep(r, f)
			}
			before := asJSON(r, f.identityPicture())
			f.stop()
			f = start(t, s, rules.Safe())
			if after := asJSON(r, f.identityPicture()); after != before {
				r.Fatalf("after the restart\n%s\nbefore\n%s", after, before)
			}
			if left, right := f.attachments(); !maps.Equal(left, right) {
				r.Fatalf("attachments seen from things and policies: %v; from certificates: %v", left, right)
			}
		}
	})
}

func asJSON(r *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}

// attachments are those that things and policies know of, and those that
// certificates know of, where both sides are there.
func (f *fleet) attachments() (left, right map[string]bool) {
	f.Helper()
	left, right = map[string]bool{}, map[string]bool{}
	f.read(func(v *engine.View) {
		for _, n := range []protocol.ThingName{"A", "B"} {
			list, _, _ := v.PrincipalsOf(n, "", everyPage) // none of a thing that is gone
			for _, p := range list {
				left[fmt.Sprint(p)] = true
			}
		}
		for _, n := range []identity.PolicyName{"P", "Q"} {
			list, _, _ := v.Targets(n, "", everyPage)
			for _, to := range list {
				left[string(n)+" "+to.Name] = true
			}
		}
		for n := 1; n <= 3; n++ {
			list, _, _ := v.ThingsOf(certificateARN(n), "", everyPage)
			for _, p := range list {
				right[fmt.Sprint(p)] = true
			}
			names, _, _ := v.PoliciesOf(certificateARN(n), false, everyPage)
			for _, name := range names {
				right[string(name)+" "+string(certificateID(n))] = true
			}
		}
	})
	return left, right
}

// identityStep does something at random; that it may be refused is fine.
func identityStep(r *rapid.T, f *fleet) {
	n := rapid.IntRange(1, 3).Draw(r, "n")
	thing := protocol.ThingName(rapid.SampledFrom([]string{"A", "B"}).Draw(r, "thing"))
	name := identity.PolicyName(rapid.SampledFrom([]string{"P", "Q"}).Draw(r, "policy"))
	status := rapid.SampledFrom([]identity.Status{identity.Active, identity.Inactive, identity.Inactive}).Draw(r, "status")
	as := rapid.SampledFrom([]identity.PrincipalType{identity.Exclusive, identity.Shared}).Draw(r, "as")
	ca := rapid.SampledFrom([]identity.CertificateID{"", certificateID(1)}).Draw(r, "ca")
	version := fmt.Sprint(n)
	authority := identity.Authority{ID: certificateID(n), Subject: []byte("ca"), Mode: identity.SNIOnly, Status: identity.AuthorityActive}
	switch rapid.IntRange(0, 15).Draw(r, "step") {
	case 0:
		try(r, f, engine.CreateThing{Name: thing})
	case 1:
		try(r, f, engine.DeleteThing{Name: thing})
	case 2:
		try(r, f, engine.RegisterCertificate{Certificate: identity.Certificate{ID: certificateID(n), CA: ca, Status: status}})
	case 3:
		try(r, f, engine.UpdateCertificate{ID: certificateID(n), Status: status})
	case 4:
		try(r, f, engine.DeleteCertificate{ID: certificateID(n), Force: n == 1})
	case 5:
		try(r, f, engine.RegisterAuthority{Authority: authority, Tags: registry.Tags{"a": "b"}})
	case 6:
		try(r, f, engine.UpdateAuthority{ID: certificateID(n), Status: new(identity.AuthorityInactive), AutoRegister: new(n == 1)})
	case 7:
		try(r, f, engine.DeleteAuthority{ID: certificateID(n)})
	case 8:
		try(r, f, engine.CreatePolicy{Name: name, Document: policyDocument(f)})
	case 9:
		try(r, f, engine.CreatePolicyVersion{Name: name, Document: policyDocument(f), Default: n == 1})
	case 10:
		try(r, f, engine.DeletePolicyVersion{Name: name, ID: version})
	case 11:
		try(r, f, engine.DeletePolicy{Name: name})
	case 12:
		try(r, f, engine.AttachPolicy{Name: name, Target: certificateARN(n)})
	case 13:
		try(r, f, engine.DetachPolicy{Name: name, Target: certificateARN(n)})
	case 14:
		try(r, f, engine.AttachPrincipal{Thing: thing, Principal: certificateARN(n), As: as})
	case 15:
		try(r, f, engine.DetachPrincipal{Thing: thing, Principal: certificateARN(n)})
	}
}

// try does something that may be refused, but must not break the engine.
func try[R any](r *rapid.T, f *fleet, in engine.Input[R]) {
	if _, err := engine.Do(context.Background(), f.engine, in); err != nil && protocol.CodeOf(err) == protocol.Unavailable {
		r.Fatalf("%T: %v", in, err)
	}
}
