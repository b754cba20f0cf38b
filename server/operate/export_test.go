package operate

import (
	"maps"
	"slices"
)

// Routes lists what the handler serves, as "GET /muster/v1/rules", sorted.
func Routes() []string { return slices.Sorted(maps.Keys(Config{}.routes())) }
