// Package index is the fleet index: what every thing looks like to a query
// (AWS IoT reference 3.1 to 3.3 and 3.5).
//
//	doc := index.Flatten(source, config)   // registry, shadows, connectivity -> fields with values
//	change := ix.Put(doc)                  // which fields really differ from before
//	matcher.Apply(change)                  // package group goes on from here
//	docs, more := ix.Select(q).Page(after, 50)  // what SearchIndex answers
//
// It owns one [Document] per registered thing and the [Config] that says what
// is in them. It never decides what a query means (package query), who is a
// member of what (package group), nor where its sources come from or are kept.
// It is pure: no clock, no goroutine, no log.
//
// # How it works
//
// A [Document] is immutable. It refers to the maps of the [Source] it was made
// from, so those must never be written to afterwards; registry records and
// shadow.Document are replaced, not edited, so this comes for free. Documents
// with the same fields share a shape, and those with the same value the value:
// the entry of the dictionary (see field.go) that says which things have it.
//
// An [Index] has one writer, which may read it in any way. Things have dense
// numbers, and each field has one dictionary entry for every different value,
// with the set of its things: a bare number, a short list or a roaring bitmap.
// Entries lie in an order, by number or by text, in blocks that know the things
// of all their entries; words of longer texts are filed besides. So a term is a
// union of entries and of whole blocks. Terms without a field ask the
// dictionaries of all visible fields one after the other, because a dictionary
// over all of them would be the largest part of the index.
//
// A search ([Find]) runs on any goroutine in pieces of bounded work, each under
// a lock for reading; work is counted, since no clock is read here. It does not
// copy what it reads, so between two pieces the fleet changes. That is made up
// for at its end: the writer notes the numbers of things that change in a short
// log (recent.go), the search follows it, and its last piece judges what has
// changed by its documents. The answer is thus exact for one moment, the last.
// Nobody has to tell the index that a search is over, and a search or a
// [Selection] that has fallen behind the log begins anew or judges every thing:
// so documents need no sequence numbers either, which would cost every thing
// some memory for the few selections that are looked at late.
//
// What comes of a search is listed and aggregated in such pieces too. An
// aggregation counts things by dictionary entries where that is less work and
// none of them has changed, and by documents otherwise.
//
// Read downhill: config.go says what is indexed, flatten.go turns a source into
// fields, document.go and shape.go look them up, change.go compares two of them,
// answer.go is their shape in SearchIndex; index.go puts them into postings.go,
// ordered.go and field.go; find.go, part.go, term.go, run.go and gathered.go search these;
// selection.go and aggregate.go are about what was found.
//
// # What the reference leaves open, and what is done here
//
//   - Terms without a field look at values that somebody wrote: registry,
//     desired, reported and delta. Metadata and hasDelta are bookkeeping and
//     left out (connectivity is by the reference).
//   - The order of the elements of an array does not matter to any query, so a
//     mere reordering is no change.
//   - The metadata of an array is one timestamp per element at <path>.timestamp.
//   - What lies in a shadow at a path of more than 512 bytes below its section
//     is not indexed.
//   - Dynamic groups are in thingGroupNames for searches but not for the queries
//     of dynamic groups, which would otherwise depend on themselves (4.3 rule 8):
//     a Source names static groups only, see [Index.Join] for the others.
package index
