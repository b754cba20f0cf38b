package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/store"
)

// resource is what tags are pinned to: the kind and name of its ARN.
type resource struct{ kind, name string }

// resourceOf reads an ARN that a client gave. The region that stands in it is
// ignored (rule 27).
func (s *state) resourceOf(text string) (resource, error) {
	arn, err := protocol.ParseOwnARN(text, s.cfg.Account)
	return resource{arn.Kind, arn.Name}, err
}

// exists says whether a resource that may have tags is there; taggable is
// false for the kinds that have none, as things. Every kind has its line here.
func (s *state) exists(r resource) (there, taggable bool) {
	switch r.kind {
	case protocol.KindThingGroup:
		return s.groups[protocol.ThingGroupName(r.name)] != nil, true
	case protocol.KindJob:
		return s.jobs[protocol.JobID(r.name)] != nil, true
	case protocol.KindThingType:
		return s.types[protocol.ThingTypeName(r.name)] != nil, true
	case protocol.KindPolicy:
		return s.policies[identity.PolicyName(r.name)] != nil, true
	case protocol.KindCACertificate:
		return s.authorities[identity.CertificateID(r.name)] != nil, true
	case "billinggroup", "jobtemplate":
		return false, true
	}
	return false, false
}

// tagged reads the ARN of a resource that exists and may have tags.
func (s *state) tagged(arn string) (resource, error) {
	r, err := s.resourceOf(arn)
	if err != nil {
		return r, err
	}
	switch there, taggable := s.exists(r); {
	case !taggable:
		return r, protocol.Errorf(protocol.InvalidRequest, "ARN %q: a %s cannot have tags", arn, r.kind)
	case !there:
		return r, protocol.Errorf(protocol.NotFound, "%s %q does not exist", r.kind, r.name)
	}
	return r, nil
}

// TagResource sets tags of a resource; each replaces the one with its key.
type TagResource struct {
	ARN  string
	Tags registry.Tags
}

func (in TagResource) step(t *tx) (struct{}, error) {
	r, err := t.tagged(in.ARN)
	if err != nil {
		return struct{}{}, err
	}
	if err := in.Tags.Check(); err != nil {
		return struct{}{}, err
	}
	if r.kind == protocol.KindThingGroup {
		if err := checkDebounce(t.groups[protocol.ThingGroupName(r.name)].Dynamic(), in.Tags); err != nil {
			return struct{}{}, err
		}
	}
	next, err := t.tags[r].With(in.Tags)
	if err != nil {
		return struct{}{}, err
	}
	t.setTags(r, next)
	return struct{}{}, nil
}

// UntagResource takes tags off a resource; keys that have none do no harm.
type UntagResource struct {
	ARN  string
	Keys []string
}

func (in UntagResource) step(t *tx) (struct{}, error) {
	r, err := t.tagged(in.ARN)
	if err != nil {
		return struct{}{}, err
	}
	t.setTags(r, t.tags[r].Without(in.Keys))
	return struct{}{}, nil
}

// tag pins the tags of a request to a resource that it made. An input that
// creates something checks them (registry.Tags.Check) before it changes
// anything, calls tag after it has made the resource, and neither when the
// resource was there already; what deletes a resource calls untag.
func (t *tx) tag(kind, name string, tags registry.Tags) {
	if len(tags) > 0 {
		t.setTags(resource{kind, name}, tags)
	}
}

// untag forgets the tags of a resource that is deleted.
func (t *tx) untag(kind, name string) { t.setTags(resource{kind, name}, nil) }

func (t *tx) setTags(r resource, tags registry.Tags) {
	row := key(r.kind, r.name)
	switch {
	case len(tags) > 0:
		t.tags[r] = tags
		t.put(protocol.GlobalShard, kindTags, row, tags)
	case t.tags[r] != nil:
		delete(t.tags, r)
		t.del(protocol.GlobalShard, kindTags, row)
	}
}

func (l *loader) tagsRow(r store.Row) error {
	return decodePair(r, func(kind, name string, tags registry.Tags) { l.tags[resource{kind, name}] = tags })
}

// Tags lists the tags of a resource in the order of their keys; the cursor is
// the last key.
func (v *View) Tags(arn string, p Page) ([]registry.Tag, string, error) {
	r, err := v.t.tagged(arn)
	if err != nil {
		return nil, "", err
	}
	page := []registry.Tag{}
	for _, tag := range v.t.tags[r].List() {
		switch {
		case tag.Key <= p.After:
		case len(page) == p.Max:
			return page, page[p.Max-1].Key, nil
		default:
			page = append(page, tag)
		}
	}
	return page, "", nil
}
