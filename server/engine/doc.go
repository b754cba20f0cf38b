// Package engine is the one ordered loop that moves the fleet: every change
// of a thing, session, shadow, group or job enters it as an [Input], is stepped
// on one goroutine, committed in a batch, and only then answered and sent.
//
// One device change flows through these files:
//
//	engine.go    Do hands an input to the loop and waits for its answer
//	loop.go      batches, commits (committer) and releases effects
//	shadows.go   UpdateShadow -> shadow.Apply -> mirror (rule 2)
//	membership.go index.Put -> group.Matcher.Apply -> who joined and left
//	targets.go   job.Plan -> executions queued, held or removed
//	executions.go the device's start-next and update, atomic success (rule 1)
//	notices.go   notify and notify-next for every queue that changed
//
// A search (search.go, aggregate.go, groupindex.go) visits the loop before and
// behind, and runs beside it in between. A new group is evaluated over the index
// in slices between the inputs (build.go), as are a new configuration of it
// (indexing.go) and another bound of groups per thing (settle.go).
//
// Messages that clients ask to retain come the same way (retained.go), so that
// a new subscriber (subscriptions.go) gets the last one and then what follows.
//
// The state (state.go) belongs to the loop's goroutine alone. A step never
// fails half way: it checks first, then changes; a step that breaks this, a
// panic or a failed commit makes the loop throw its state away and load it
// again from the store, so memory never holds what the store does not.
package engine
