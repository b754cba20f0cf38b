package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
)

// certificateID is a well formed id for a number.
func certificateID(n int) identity.CertificateID {
	return identity.CertificateID(fmt.Sprintf("%064x", n))
}

func certificateARN(n int) string {
	return "arn:aws:iot:us-east-1:123456789012:cert/" + string(certificateID(n))
}

// certificate registers the n-th certificate.
func (f *fleet) certificate(n int, s identity.Status) {
	f.Helper()
	do(f, engine.RegisterCertificate{Certificate: identity.Certificate{ID: certificateID(n), Status: s, Mode: identity.Default}})
}

func policyDocument(t testing.TB) identity.Document {
	t.Helper()
	d, err := identity.ParsePolicy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (f *fleet) policy(n identity.PolicyName) {
	f.Helper()
	do(f, engine.CreatePolicy{Name: n, Document: policyDocument(f)})
}

// everyPage is a page that holds all there is.
var everyPage = engine.Page{Max: 1000}

// identityPicture is what can be seen of certificates and policies.
func (f *fleet) identityPicture() map[string]any {
	f.Helper()
	picture := map[string]any{}
	see := func(what string, list any, _ string, err error) {
		if err != nil {
			f.Errorf("%s: %v", what, err)
		}
		picture[what] = list
	}
	f.read(func(v *engine.View) {
		certificates, next, err := v.Certificates(everyPage)
		see("certificates", certificates, next, err)
		for _, c := range certificates {
			arn := "arn:aws:iot:us-east-1:123456789012:cert/" + string(c.ID)
			list, next, err := v.ThingsOf(arn, "", everyPage)
			see("things of "+string(c.ID), list, next, err)
			names, next, err := v.PoliciesOf(arn, false, everyPage)
			see("policies of "+string(c.ID), names, next, err)
		}
		authorities, next, err := v.Authorities(everyPage)
		see("authorities", authorities, next, err)
		for _, a := range authorities {
			list, next, err := v.CertificatesByCA(a.ID, everyPage)
			see("issued by "+string(a.ID), list, next, err)
			picture["of subject "+string(a.Subject)] = v.AuthoritiesOf(a.Subject)
		}
		policies, next, err := v.Policies(everyPage)
		see("policies", policies, next, err)
		for _, n := range policies {
			p, err := v.Policy(n)
			see("policy "+string(n), p, "", err)
			targets, next, err := v.Targets(n, "", everyPage)
			see("targets of "+string(n), targets, next, err)
		}
		things, _, err := v.Things(everyPage, nil)
		see("things", len(things), "", err)
		for _, th := range things {
			list, next, err := v.PrincipalsOf(th.Name, "", everyPage)
			see("principals of "+string(th.Name), list, next, err)
		}
	})
	return picture
}

func TestCertificates(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.certificate(1, identity.Active)
	err := refused(f, engine.RegisterCertificate{Certificate: identity.Certificate{ID: certificateID(1)}}, protocol.AlreadyExists)
	if e := err.(*protocol.Error); e.ResourceID != string(certificateID(1)) || e.ResourceARN != certificateARN(1) {
		t.Errorf("already exists: %+v", e)
	}
	refused(f, engine.UpdateCertificate{ID: certificateID(2), Status: identity.Active}, protocol.NotFound)
	refused(f, engine.DeleteCertificate{ID: certificateID(2)}, protocol.NotFound)
	refused(f, engine.DeleteCertificate{ID: certificateID(1)}, protocol.CertificateState)
	was := do(f, engine.UpdateCertificate{ID: certificateID(1), Status: identity.Active})
	want(f, "version", was.Version, int64(1))
	is := do(f, engine.UpdateCertificate{ID: certificateID(1), Status: identity.Revoked})
	want(f, "version", is.Version, int64(2))
	refused(f, engine.UpdateCertificate{ID: certificateID(1), Status: identity.Active}, protocol.CertificateState)
	f.read(func(v *engine.View) {
		c, err := v.Certificate(certificateID(1))
		if err != nil || c != is {
			t.Errorf("got %+v, %v; want %+v", c, err, is)
		}
	})
	do(f, engine.DeleteCertificate{ID: certificateID(1)})
	f.certificate(1, identity.Inactive)
	f.read(func(v *engine.View) {
		if c, err := v.Certificate(certificateID(1)); err != nil || c.GenerationID == was.GenerationID || c.Version != 1 {
			t.Errorf("registered again: %+v, %v", c, err)
		}
	})
}

// TestCertificatesInUse: an attached certificate stays, and so does a thing
// that has one.
func TestCertificatesInUse(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.thing("T", "5")
	f.certificate(1, identity.Inactive)
	f.policy("P")
	do(f, engine.AttachPrincipal{Thing: "T", Principal: certificateARN(1)})
	do(f, engine.AttachPolicy{Name: "P", Target: certificateARN(1)})
	refused(f, engine.DeleteThing{Name: "T"}, protocol.InvalidRequest)
	refused(f, engine.DeletePolicy{Name: "P"}, protocol.DeleteConflict)
	refused(f, engine.DeleteCertificate{ID: certificateID(1), Force: true}, protocol.DeleteConflict)
	do(f, engine.DetachPrincipal{Thing: "T", Principal: certificateARN(1)})
	refused(f, engine.DeleteCertificate{ID: certificateID(1)}, protocol.DeleteConflict)
	do(f, engine.DeleteCertificate{ID: certificateID(1), Force: true})
	do(f, engine.DeletePolicy{Name: "P"})
	do(f, engine.DeleteThing{Name: "T"})
	want(f, "what is left", f.identityPicture(), map[string]any{"certificates": []int{}, "authorities": []int{}, "policies": []int{}, "things": 0})
}

func TestAuthorities(t *testing.T) {
	f := start(t, nil, rules.Safe())
	ca := func(n int, mode identity.Mode) identity.Authority {
		return identity.Authority{ID: certificateID(n), Subject: []byte("ca"), Mode: mode, Status: identity.AuthorityInactive}
	}
	refused(f, engine.RegisterAuthority{Authority: ca(1, identity.Default)}, protocol.RegistrationCodeValidation)
	code := do(f, engine.RegistrationCode{Fresh: "first"})
	f.stop()
	f = start(t, f.store, rules.Safe())
	want(f, "code", []string{code, do(f, engine.RegistrationCode{Fresh: "second"})}, []string{"first", "first"})
	refused(f, engine.RegisterAuthority{Authority: ca(1, identity.Default), CommonName: "second"}, protocol.RegistrationCodeValidation)
	do(f, engine.RegisterAuthority{Authority: ca(1, identity.Default), CommonName: code, Tags: registry.Tags{"owner": "me"}})
	refused(f, engine.RegisterAuthority{Authority: ca(1, identity.Default), CommonName: code}, protocol.AlreadyExists)
	for n := 2; n <= 10; n++ {
		do(f, engine.RegisterAuthority{Authority: ca(n, identity.SNIOnly)})
	}
	refused(f, engine.RegisterAuthority{Authority: ca(11, identity.SNIOnly)}, protocol.LimitExceeded)

	device := engine.RegisterCertificate{Certificate: identity.Certificate{ID: certificateID(99), CA: certificateID(1), Status: identity.Active}}
	refused(f, device, protocol.CertificateState)
	do(f, engine.UpdateAuthority{ID: certificateID(1), Status: new(identity.AuthorityActive)})
	do(f, device)
	refused(f, engine.RegisterCertificate{Certificate: identity.Certificate{ID: certificateID(98), CA: certificateID(11)}}, protocol.CertificateValidation)
	refused(f, engine.DeleteAuthority{ID: certificateID(1)}, protocol.CertificateState)
	do(f, engine.UpdateAuthority{ID: certificateID(1), Status: new(identity.AuthorityInactive)})

	const arn = "arn:aws:iot:us-east-1:123456789012:cacert/"
	tagged := func() int {
		n := -1
		f.read(func(v *engine.View) {
			if tags, _, err := v.Tags(arn+string(certificateID(1)), everyPage); err == nil {
				n = len(tags)
			}
		})
		return n
	}
	want(f, "tags", tagged(), 1)
	do(f, engine.DeleteAuthority{ID: certificateID(1)})
	want(f, "tags", tagged(), -1)
	refused(f, engine.DeleteAuthority{ID: certificateID(1)}, protocol.NotFound)
	refused(f, engine.UpdateAuthority{ID: certificateID(1)}, protocol.NotFound)
	f.read(func(v *engine.View) {
		if issued, _, err := v.CertificatesByCA(certificateID(1), everyPage); err != nil || len(issued) != 1 {
			t.Errorf("the certificates of a deleted CA: %v, %v", issued, err)
		}
	})
	do(f, engine.RegisterAuthority{Authority: ca(1, identity.Default), CommonName: code})
	want(f, "tags of the next one", tagged(), 0)
}

func TestPrincipals(t *testing.T) {
	f := start(t, nil, rules.Safe())
	for _, name := range []protocol.ThingName{"A", "B", "C"} {
		f.thing(name, "5")
	}
	for n := 1; n <= 3; n++ {
		f.certificate(n, identity.Active)
	}
	attach := func(thing protocol.ThingName, n int, as identity.PrincipalType) engine.AttachPrincipal {
		return engine.AttachPrincipal{Thing: thing, Principal: certificateARN(n), As: as}
	}
	refused(f, attach("X", 1, ""), protocol.NotFound)
	refused(f, attach("A", 9, ""), protocol.NotFound)
	refused(f, engine.AttachPrincipal{Thing: "A", Principal: "id"}, protocol.InvalidRequest)
	refused(f, engine.AttachPrincipal{Thing: "A", Principal: thingARN("A")}, protocol.InvalidRequest)
	refused(f, engine.AttachPrincipal{Thing: "A", Principal: strings.Replace(certificateARN(1), "123456789012", "210987654321", 1)}, protocol.InvalidRequest)

	do(f, attach("A", 1, ""))
	do(f, attach("A", 1, identity.Shared)) // again
	do(f, attach("B", 1, ""))
	refused(f, attach("C", 1, identity.Exclusive), protocol.InvalidRequest)
	do(f, attach("C", 2, identity.Exclusive))
	do(f, attach("C", 2, identity.Exclusive)) // again
	refused(f, attach("C", 2, identity.Shared), protocol.InvalidRequest)
	refused(f, attach("A", 2, ""), protocol.InvalidRequest)
	do(f, engine.AttachPrincipal{Thing: "A", Principal: strings.Replace(certificateARN(3), "us-east-1", "eu-north-1", 1)})

	principals := func(thing protocol.ThingName, as identity.PrincipalType) (got []string) {
		f.read(func(v *engine.View) {
			list, _, err := v.PrincipalsOf(thing, as, everyPage)
			if err != nil {
				t.Error(err)
			}
			for _, p := range list {
				got = append(got, strings.TrimLeft(string(p.Certificate), "0")+" "+string(p.As))
			}
		})
		return got
	}
	want(f, "of A", principals("A", ""), []string{"1 NON_EXCLUSIVE_THING", "3 NON_EXCLUSIVE_THING"})
	want(f, "of C", principals("C", ""), []string{"2 EXCLUSIVE_THING"})
	want(f, "of C, shared", principals("C", identity.Shared), nil)

	detach := engine.DetachPrincipal{Thing: "C", Principal: certificateARN(2)}
	do(f, detach)
	refused(f, detach, protocol.NotFound)
	refused(f, engine.DetachPrincipal{Thing: "X", Principal: certificateARN(2)}, protocol.NotFound)
	refused(f, engine.DetachPrincipal{Thing: "A", Principal: certificateARN(9)}, protocol.NotFound)
	do(f, attach("A", 2, identity.Exclusive))
	f.read(func(v *engine.View) {
		if _, _, err := v.PrincipalsOf("X", "", everyPage); protocol.CodeOf(err) != protocol.NotFound {
			t.Errorf("of no thing: %v", err)
		}
		if _, _, err := v.ThingsOf(certificateARN(9), "", everyPage); protocol.CodeOf(err) != protocol.NotFound {
			t.Errorf("of no certificate: %v", err)
		}
		list, next, err := v.ThingsOf(certificateARN(1), "", engine.Page{Max: 1})
		if err != nil || len(list) != 1 || list[0].Thing != "A" || next == "" {
			t.Errorf("first page: %v, %q, %v", list, next, err)
		}
		list, next, err = v.ThingsOf(certificateARN(1), "", engine.Page{Max: 1, After: next})
		if err != nil || len(list) != 1 || list[0].Thing != "B" || next != "" {
			t.Errorf("second page: %v, %q, %v", list, next, err)
		}
	})
}

func TestPolicyAttachments(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.group("G", "attributes.softwareVersion:5")
	f.thing("T", "5")
	f.certificate(1, identity.Active)
	for n := range 11 {
		f.policy(identity.PolicyName(fmt.Sprint("P", n)))
	}
	attach := func(p identity.PolicyName, target string) engine.AttachPolicy {
		return engine.AttachPolicy{Name: p, Target: target}
	}
	refused(f, attach("X", certificateARN(1)), protocol.NotFound)
	refused(f, attach("P0", certificateARN(2)), protocol.NotFound)
	refused(f, attach("P0", groupARN("X")), protocol.NotFound)
	refused(f, attach("P0", groupARN("G")), protocol.InvalidRequest)
	refused(f, attach("P0", thingARN("T")), protocol.InvalidRequest)
	refused(f, attach("P0", "P0"), protocol.InvalidRequest)
	for n := range 10 {
		do(f, attach(identity.PolicyName(fmt.Sprint("P", n)), certificateARN(1)))
	}
	do(f, attach("P0", certificateARN(1))) // again
	refused(f, attach("P10", certificateARN(1)), protocol.LimitExceeded)

	detach := engine.DetachPolicy{Name: "P5", Target: certificateARN(1)}
	do(f, detach)
	do(f, detach)
	do(f, engine.DetachPolicy{Name: "X", Target: certificateARN(1)})
	refused(f, engine.DetachPolicy{Name: "P5", Target: certificateARN(2)}, protocol.InvalidRequest)
	for _, strict := range []engine.DetachPolicy{{"P5", certificateARN(1), true}, {"X", certificateARN(1), true}, {"P5", certificateARN(2), true}} {
		refused(f, strict, protocol.NotFound)
	}
	do(f, engine.DetachPolicy{Name: "P4", Target: certificateARN(1), Strict: true})
	do(f, attach("P10", certificateARN(1)))
	f.read(func(v *engine.View) {
		names, _, err := v.PoliciesOf(certificateARN(1), false, everyPage)
		if err != nil {
			t.Error(err)
		}
		want(f, "policies", names, []identity.PolicyName{"P0", "P1", "P2", "P3", "P6", "P7", "P8", "P9", "P10"})
		targets, _, err := v.Targets("P10", "", everyPage)
		if err != nil {
			t.Error(err)
		}
		want(f, "targets", targets, []engine.Target{{"cert", string(certificateID(1))}})
		if targets, _, err = v.Targets("P10", "thinggroup", everyPage); err != nil || len(targets) != 0 {
			t.Errorf("groups: %v, %v", targets, err)
		}
	})
}

// TestPoliciesOfGroups: they are inherited down the hierarchy, and end with the
// group, so that a new group of its name has none.
func TestPoliciesOfGroups(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.thing("T", "5")
	do(f, engine.CreateStaticGroup{Name: "sites"})
	do(f, engine.CreateStaticGroup{Name: "oslo", Parent: "sites"})
	do(f, engine.MoveThing{Thing: "T", Add: []protocol.ThingGroupName{"oslo"}})
	f.certificate(1, identity.Active)
	for n, target := range map[identity.PolicyName]string{"root": groupARN("sites"), "leaf": groupARN("oslo"), "own": certificateARN(1)} {
		f.policy(n)
		do(f, engine.AttachPolicy{Name: n, Target: target})
	}
	do(f, engine.AttachPolicy{Name: "own", Target: groupARN("sites")})
	see := func(target string, recursive bool, policies ...identity.PolicyName) {
		t.Helper()
		f.read(func(v *engine.View) {
			got, _, err := v.PoliciesOf(target, recursive, everyPage)
			if err != nil {
				t.Error(err)
			}
			slices.Sort(got)
			want(t, fmt.Sprintf("%s, recursive %t", target, recursive), got, policies)
		})
	}
	see(groupARN("oslo"), false, "leaf")
	see(groupARN("oslo"), true, "leaf", "own", "root")
	see(groupARN("sites"), true, "own", "root")
	see(certificateARN(1), true, "own")
	do(f, engine.AttachPrincipal{Thing: "T", Principal: certificateARN(1)})
	see(certificateARN(1), false, "own")
	see(certificateARN(1), true, "leaf", "own", "root")

	do(f, engine.DeleteStaticGroup{Name: "oslo"})
	see(certificateARN(1), true, "own")
	do(f, engine.DeletePolicy{Name: "leaf"})
	do(f, engine.CreateStaticGroup{Name: "oslo"})
	see(groupARN("oslo"), true, []identity.PolicyName{}...)
}

func TestPolicies(t *testing.T) {
	f := start(t, nil, rules.Safe())
	create := engine.CreatePolicy{Name: "P", Document: policyDocument(t), Tags: registry.Tags{"a": "b"}}
	do(f, create)
	refused(f, create, protocol.AlreadyExists)
	refused(f, engine.CreatePolicy{Name: "a b", Document: policyDocument(t)}, protocol.InvalidRequest)
	for range 4 {
		do(f, engine.CreatePolicyVersion{Name: "P", Document: policyDocument(t)})
	}
	refused(f, engine.CreatePolicyVersion{Name: "P", Document: policyDocument(t)}, protocol.VersionsLimitExceeded)
	refused(f, engine.CreatePolicyVersion{Name: "X", Document: policyDocument(t)}, protocol.NotFound)
	do(f, engine.SetDefaultPolicyVersion{Name: "P", ID: "5"})
	refused(f, engine.SetDefaultPolicyVersion{Name: "P", ID: "6"}, protocol.NotFound)
	refused(f, engine.DeletePolicyVersion{Name: "P", ID: "5"}, protocol.DeleteConflict)
	refused(f, engine.DeletePolicy{Name: "P"}, protocol.DeleteConflict)
	for _, id := range []string{"1", "2", "3", "4"} {
		do(f, engine.DeletePolicyVersion{Name: "P", ID: id})
	}
	do(f, engine.DeletePolicy{Name: "P"})
	refused(f, engine.DeletePolicy{Name: "P"}, protocol.NotFound)
	f.policy("P")
	f.read(func(v *engine.View) {
		if tags, _, err := v.Tags("arn:aws:iot:us-east-1:123456789012:policy/P", everyPage); err != nil || len(tags) != 0 {
			t.Errorf("the new policy has tags of the old one: %v, %v", tags, err)
		}
	})
}

// TestNewestFirst: lists page both ways, also past what was deleted meanwhile.
func TestNewestFirst(t *testing.T) {
	f := start(t, nil, rules.Safe())
	for n := range 7 {
		f.policy(identity.PolicyName(fmt.Sprint("P", n)))
	}
	for _, row := range []struct {
		newest bool
		gone   identity.PolicyName
		want   []identity.PolicyName
	}{
		{true, "P3", []identity.PolicyName{"P6", "P5", "P4", "P3", "P2", "P1", "P0"}},
		{false, "P4", []identity.PolicyName{"P0", "P1", "P2", "P4", "P5", "P6"}},
	} {
		var got []identity.PolicyName
		page := engine.Page{Max: 2, Newest: row.newest}
		for more := true; more; more = page.After != "" {
			f.read(func(v *engine.View) {
				names, next, err := v.Policies(page)
				if err != nil {
					t.Error(err)
				}
				got, page.After = append(got, names...), next
			})
			if len(got) == 4 { // the page ended at it
				do(f, engine.DeletePolicy{Name: row.gone})
			}
		}
		want(f, fmt.Sprintf("newest first: %t", row.newest), got, row.want)
	}
}
