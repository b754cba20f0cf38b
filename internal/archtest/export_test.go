package archtest

import (
	"slices"
	"strings"
)

// Pure, Domain and Adapters open the tables to the tests.
func Pure() []string     { return pure() }
func Domain() []string   { return domain() }
func Adapters() []string { return adapters() }

// Named returns the packages that the tables are about or fence something
// into, once each.
func Named() []string {
	named := append(pure(), adapters()...)
	for _, l := range layers() {
		named = append(named, l.from...)
	}
	for _, o := range onlies() {
		named = append(named, o.where...)
	}
	slices.Sort(named)
	return slices.CompactFunc(named, func(a, b string) bool {
		return strings.TrimSuffix(a, "/...") == strings.TrimSuffix(b, "/...")
	})
}
