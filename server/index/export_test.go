package index

// NewSmall returns an index whose parts are so small that a few things make
// several of each.
func NewSmall() *Index { return newIndex(sizes{piece: 300, entries: 4, recent: 6}) }
