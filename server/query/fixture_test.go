package query_test

import (
	"testing"

	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/server/index"
)

// fixtures are the four things of AWS IoT reference 3.4 "Query cases".
func fixtures(t testing.TB) map[string]*index.Document {
	t.Helper()
	cfg := naivetest.Fixed()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	docs := map[string]*index.Document{}
	for name, src := range naivetest.Fixtures(t) {
		docs[name] = index.Flatten(src, cfg)
	}
	return docs
}
