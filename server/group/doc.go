// Package group keeps the membership of thing groups. There are two kinds: a
// thing is in a dynamic group exactly when the group's query matches its
// document in the index (AWS IoT reference 4.2 and 4.3); it is in a static
// group when an operator has put it there, or into a group below (2.4).
//
//	joinedAndLeft := matcher.Apply(change)            // a thing changed
//	joinedAndLeft  = matcher.Scan(name, docs)         // a slice of a BUILDING group
//	joinedAndLeft  = tree.Plan(thing, remove, add)    // an operator moves a thing
//
// It owns the [Group] record, the [Status] table of dynamic groups, and who is
// in which group: [Matcher] the dynamic ones, [Tree] the static ones. The two
// know nothing of each other: the static groups of a thing are part of its
// document, by which the matcher sees them. The package never decides what a
// query means (package query), never stores, sends or orders anything. It is
// pure: no clock, no goroutine, no log. The same calls in the same order give
// the same results in the same order.
//
// # How a dynamic group comes to be right
//
// Put registers the query first; from then on Apply keeps every thing right
// that changes. Scan then goes over the things that do not change, slice by
// slice, in any number of steps; when all have been scanned, the group is
// ACTIVE and stays right by Apply alone. Scan is idempotent, so slices may
// overlap and be repeated. A changed query takes the same way: its members
// stay until Apply or Scan comes to them, so that a rebuild says only what
// differs (rule 8).
package group
