package index

// NewSmall returns an index whose parts are so small that a few things make
// several of each.
func NewSmall() *Index { return newIndex(sizes{piece: 300, entries: 4, recent: 6, few: 3}) }

// Entries returns the number of values in the dictionaries.
func (ix *Index) Entries() int {
	n := 0
	ix.fields.Ascend(func(f *field) bool {
		for _, o := range []*ordered{&f.numbers, &f.texts, &f.phrases, &f.words} {
			for _, b := range o.blocks {
				n += len(b.entries)
			}
		}
		return true
	})
	return n
}
