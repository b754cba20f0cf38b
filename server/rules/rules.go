// Package rules holds Muster's own rules: what the server does where AWS is
// silent, contradictory or harmful. They live in one struct so that they can
// be listed, changed and tested in one place, and come in two profiles:
// [Safe], the default, and [AWS], which does what AWS does, for people who test
// against that. The numbers in the field comments are those of the rule
// list in docs/rules.md, which says what each profile does. It decides
// nothing: the packages that hold a decision read their fields here.
package rules

import (
	"fmt"
	"time"
)

// Profile names a set of rules.
type Profile string

const (
	// ProfileSafe is the default: no update is lost, repeated or let loose by
	// a rule that AWS happens to have.
	ProfileSafe Profile = "safe"
	// ProfileAWS is what AWS does.
	ProfileAWS Profile = "aws"
)

// Rules returns the rules of a profile; the error names those that exist.
func (p Profile) Rules() (Rules, error) {
	switch p {
	case ProfileSafe:
		return Safe(), nil
	case ProfileAWS:
		return AWS(), nil
	}
	return Rules{}, fmt.Errorf("profile %q does not exist: want %s or %s", string(p), ProfileSafe, ProfileAWS)
}

// Rules decide behaviour. The zero value is not meant for use: take [Safe] or
// [AWS].
type Rules struct {
	// Profile is where these rules come from, for logs and answers only:
	// nothing is decided by it.
	Profile Profile
	// MirroredFields are the classic shadow's reported fields that are copied
	// into thing attributes on every accepted report (rule 2).
	MirroredFields []string
	// AtomicSuccess commits the version in the statusDetails of a SUCCEEDED
	// update together with the execution (rule 1).
	AtomicSuccess bool
	// VerifyReported fails a SUCCEEDED update whose version is not the one of
	// the signed target that the job document names (rule 1).
	VerifyReported bool
	// SignedTargetTimeout is the in-progress timeout of jobs that name a signed
	// target and set none themselves; 0 is none (rule 4).
	SignedTargetTimeout time.Duration
	// OverdueGrace delays timers that expired while the server was down
	// until this long after it is ready (rule 4).
	OverdueGrace time.Duration
	// RerunOnlyAfterRemoved makes a re-entry that only connectivity caused
	// queue a new execution only after REMOVED (rule 5).
	RerunOnlyAfterRemoved bool
	// DwellOnReentry makes a thing that enters a job's targets for the third
	// time within an hour, or more often, stay for a while before it gets an
	// execution (rule 5).
	DwellOnReentry bool
	// RateCoversJoiners applies maximumPerMinute to things that join later
	// too (rule 10).
	RateCoversJoiners bool
	// DefaultRatePerMinute limits jobs that set no rate; 0 is no limit (rule 10).
	DefaultRatePerMinute int
	// IndexingOn switches fleet indexing on from the first start (rule 23).
	IndexingOn bool
	// ReconnectGrace is how long after a restart of the server a device that
	// was connected before still counts as connected (AWS IoT reference 10.3).
	ReconnectGrace time.Duration
	// RegisterOnRequest registers an unknown device that asks for it in its
	// shadow report; only musterd --dev sets it (rule 29).
	RegisterOnRequest bool
	Limits
}

// Limits bound what a fleet may hold and ask (rule 24).
type Limits struct {
	// QueryTerms and QueryLength bound a query; GroupQueryTerms bounds the
	// query of a dynamic group.
	QueryTerms, GroupQueryTerms, QueryLength int
	// FewLeadingWildcards allows a leading wildcard in one term only, of a
	// query of at most 100 characters.
	FewLeadingWildcards bool
	// DynamicGroups bounds the number of dynamic groups.
	DynamicGroups int
	// GroupsPerThing bounds the groups that a thing is directly in, static and
	// dynamic ones together; 0 is no bound.
	GroupsPerThing int
	// ThingAttributes bounds the attributes of a thing without a thing type,
	// TypedThingAttributes those of one with a type; mirrored ones are not counted.
	ThingAttributes, TypedThingAttributes int
}

// Safe is the default profile.
func Safe() Rules {
	return Rules{
		Profile:               ProfileSafe,
		MirroredFields:        []string{"softwareVersion", "softwareSeq"},
		AtomicSuccess:         true,
		VerifyReported:        true,
		SignedTargetTimeout:   24 * time.Hour,
		OverdueGrace:          5 * time.Minute,
		RerunOnlyAfterRemoved: true,
		DwellOnReentry:        true,
		RateCoversJoiners:     true,
		IndexingOn:            true,
		ReconnectGrace:        30 * time.Second,
		Limits:                SafeLimits(),
	}
}

// AWS does what AWS does, with its quotas. What AWS does not know stays: the
// mirror, without which no device could change an attribute, the time-out of
// jobs with a signed target, and the graces of a restart.
func AWS() Rules {
	return Rules{
		Profile:              ProfileAWS,
		MirroredFields:       []string{"softwareVersion", "softwareSeq"},
		SignedTargetTimeout:  24 * time.Hour,
		OverdueGrace:         5 * time.Minute,
		DefaultRatePerMinute: 1000,
		ReconnectGrace:       30 * time.Second,
		Limits:               AWSLimits(),
	}
}

// SafeLimits are generous: they stop mistakes, not fleets.
func SafeLimits() Limits {
	return Limits{
		QueryTerms:      100,
		GroupQueryTerms: 100,
		QueryLength:     10_000,
		DynamicGroups:   100_000,
		ThingAttributes: 100, TypedThingAttributes: 100,
	}
}

// AWSLimits are AWS's default quotas (AWS IoT reference, appendix C).
func AWSLimits() Limits {
	return Limits{
		QueryTerms:          12,
		GroupQueryTerms:     5,
		QueryLength:         1000,
		FewLeadingWildcards: true,
		DynamicGroups:       100,
		GroupsPerThing:      10,
		ThingAttributes:     3, TypedThingAttributes: 50,
	}
}
