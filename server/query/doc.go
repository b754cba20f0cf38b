// Package query is the fleet indexing query language of AWS IoT (AWS IoT
// reference 3.4): lexer, parser, canonical printer, evaluator and explanation.
//
//	q, err := query.Parse("connectivity.connected:true AND attributes.softwareVersion:5")
//	if err != nil { ... }        // a *protocol.Error that names the column
//	q.Match(document)            // is it true of this thing?
//	q.Explain(document)          // and why?
//
// It owns the language: what a query means is decided here and nowhere else.
// It never holds things: what a query is asked about comes in as a [Document],
// which package index builds. It is pure: no clock, no goroutine, no log, and
// a [Query] never changes after [Parse], so it may be shared freely.
//
// Read downhill: query.go is the face; lex.go cuts the text into tokens;
// parse.go builds the tree of node.go, within limits.go; cond.go and
// wildcard.go are what a single term demands of a value of value.go; print.go
// writes a tree back as text; explain.go and field.go are what their names say.
//
// Text comes from strangers: [ParseWithin] refuses what is too long before it
// reads it, nesting ends at 64 levels, and no condition takes more than one
// pass over a value, but for a * on both sides of a ?.
//
// # What the reference leaves open, and what is done here
//
//   - NOT binds tighter than AND, AND (written or implied) tighter than OR.
//   - A backslash takes the next character literally, in words and in phrases.
//     Inside quotes * and ? are literal.
//   - Numbers compare by value: attributes.v:5 finds 5.0, and so 1.1 finds 1.10.
//     Whole numbers beyond ±(2^53−1) are equal only when their text is, because
//     as floating point two serial numbers of 19 digits would be the same.
//   - A wildcard is tried on every word, numbers by their shortest decimal text.
//   - The empty phrase "" finds values without any word in them.
//   - TO is an operator everywhere; quote it to search for the word.
//   - Field names take no wildcards, and geo_distance is understood and refused.
package query
