// Package rules holds Muster's own rules: what the server does where AWS is
// silent, contradictory or harmful. They live in one struct so that they can
// be listed, changed and tested in one place. The numbers in the field
// comments are those of the rule list in docs/rules.md.
package rules

import "time"

// Rules decide behaviour. The zero value is not meant for use: take [Safe].
type Rules struct {
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
	// RateCoversJoiners applies maximumPerMinute to things that join later
	// too (rule 10).
	RateCoversJoiners bool
	// DefaultRatePerMinute limits jobs that set no rate; 0 is no limit (rule 10).
	DefaultRatePerMinute int
	// IndexingOn switches fleet indexing on from the first start (rule 23).
	IndexingOn bool
	// QueryTerms and QueryLength bound a query; GroupQueryTerms bounds the
	// query of a dynamic group (rule 24).
	QueryTerms, GroupQueryTerms, QueryLength int
	// DynamicGroups bounds the number of dynamic groups (rule 24).
	DynamicGroups int
	// ThingAttributes bounds the attributes of a thing, mirrored ones not
	// counted (rule 24).
	ThingAttributes int
	// ReconnectGrace is how long after a restart of the server a device that
	// was connected before still counts as connected (AWS IoT reference 10.3).
	ReconnectGrace time.Duration
	// RegisterOnRequest registers an unknown device that asks for it in its
	// shadow report; only musterd --dev sets it (rule 29).
	RegisterOnRequest bool
}

// Safe is the default profile.
func Safe() Rules {
	return Rules{
		MirroredFields:        []string{"softwareVersion", "softwareSeq"},
		AtomicSuccess:         true,
		VerifyReported:        true,
		SignedTargetTimeout:   24 * time.Hour,
		OverdueGrace:          5 * time.Minute,
		RerunOnlyAfterRemoved: true,
		RateCoversJoiners:     true,
		IndexingOn:            true,
		QueryTerms:            100,
		GroupQueryTerms:       100,
		QueryLength:           10_000,
		DynamicGroups:         100_000,
		ThingAttributes:       100,
		ReconnectGrace:        30 * time.Second,
	}
}
