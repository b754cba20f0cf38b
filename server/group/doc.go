// Package group keeps the membership of dynamic thing groups (AWS IoT
// reference 4.2 and 4.3): a thing is a member exactly when the group's query
// matches its document in the index.
//
//	joinedAndLeft := matcher.Apply(change)     // a thing changed
//	joinedAndLeft  = matcher.Scan(name, docs)  // a slice of a BUILDING group
//
// It owns the [Group] record, its [Status] table, and who is in which group
// ([Matcher]). It never decides what a query means (package query), never
// stores, sends or orders anything, and knows no static groups: those are part
// of a thing's document. It is pure: no clock, no goroutine, no log. The same
// calls in the same order give the same results in the same order.
//
// # How a group comes to be right
//
// Put registers the query first; from then on Apply keeps every thing right
// that changes. Scan then goes over the things that do not change, slice by
// slice, in any number of steps; when all have been scanned, the group is
// ACTIVE and stays right by Apply alone. Scan is idempotent, so slices may
// overlap and be repeated. A changed query takes the same way: its members
// stay until Apply or Scan comes to them, so that a rebuild says only what
// differs (rule 8).
package group
