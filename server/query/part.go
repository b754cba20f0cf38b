package query

// Matches reports whether a part of a query is true of the document.
func Matches(part Node, d Document) bool { return part.match(d) }
