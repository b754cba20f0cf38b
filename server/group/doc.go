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
// overlap, be repeated, and leave out things of which it is known that they are
// right. A changed query takes the same way: its members stay until Apply or
// Scan comes to them, so that a rebuild says only what differs (rule 8).
//
// # How a change finds the groups that it touches
//
// Compiling (normal.go, compile.go): a query is a disjunction of conjunctions
// of literals; a literal is a term or its negation. Literals and conjunctions
// are held once, however many groups ask for them. A query that is too large
// for that is residual: the literals that it needs in any case are kept, and
// the query itself is asked about the rest.
//
// Filing (literal.go, field.go, paths.go): a conjunction is filed under each of
// its literals. For a literal, the conjunctions are clustered by which other
// fields they ask for a word or a prefix of (a path), and within that by which
// words and prefixes (a key). Those with a comparison are ordered by its bound
// there, and those that have the trigger itself for a comparison are filed
// under the numbers of the field instead.
//
// Looking (flips.go, candidates.go, sides.go): the values of the changed fields
// before and after tell which literals have flipped: words and numbers by hash,
// prefixes by hash of the word's beginnings of the lengths that occur, bounds
// by walking those between the two numbers, anything else by trying the few
// that may. A flip probes each path with the words that the other fields have
// on the side where the literal is what it has to be, and tests what remains.
//
// So a change costs a few probes and the conjunctions that it really touches,
// not the groups. What costs more: a conjunction whose only positive literals
// are field:*, terms without a field or patterns is found by nothing else, and
// so is tested whenever one of its literals flips.
package group
