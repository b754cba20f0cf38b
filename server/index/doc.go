// Package index is the fleet index: what every thing looks like to a query
// (AWS IoT reference 3.1 to 3.3 and 3.5).
//
//	doc := index.Flatten(source, config)   // registry, shadows, connectivity -> fields with values
//	change := ix.Put(doc)                  // which fields really differ from before
//	matcher.Apply(change)                  // package group goes on from here
//	docs, more := ix.Search(q, after, 50)  // what SearchIndex answers
//
// It owns one [Document] per registered thing and the [Config] that says what
// is in them. It never decides what a query means (package query), who is a
// member of what (package group), nor where its sources come from or are kept.
// It is pure: no clock, no goroutine, no log.
//
// A Document is immutable. It refers to the maps of the [Source] it was made
// from, so those must never be written to afterwards; registry records and
// shadow.Document are replaced, not edited, so this comes for free.
//
// An [Index] belongs to one goroutine. Documents that it returned may be read
// from any.
//
// Read downhill: config.go says what is indexed, flatten.go turns a source into
// fields, document.go looks them up, index.go keeps the documents in order,
// change.go compares two of them, answer.go is their shape in SearchIndex.
//
// # What the reference leaves open, and what is done here
//
//   - Terms without a field look at values that somebody wrote: registry,
//     desired, reported and delta. Metadata and hasDelta are bookkeeping and
//     left out (connectivity is by the reference).
//   - The order of the elements of an array does not matter to any query, so a
//     mere reordering is no change.
//   - The metadata of an array is one timestamp per element at <path>.timestamp.
//   - Dynamic groups are in thingGroupNames for searches but not for the queries
//     of dynamic groups, which would otherwise depend on themselves (4.3 rule 8):
//     a Source names static groups only, see [Index.AddGroupsOf] for the others.
package index
