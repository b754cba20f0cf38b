package engine_test

import (
	"testing"

	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
)

// profiles runs a test of a rule under both profiles.
func profiles(t *testing.T, test func(t *testing.T, r rules.Rules)) {
	t.Helper()
	for _, r := range []rules.Rules{rules.Safe(), rules.AWS()} {
		t.Run(string(r.Profile), func(t *testing.T) { test(t, r) })
	}
}

// by picks what is expected under a profile.
func by[T any](r rules.Rules, safe, aws T) T {
	if r.Profile == rules.ProfileAWS {
		return aws
	}
	return safe
}

// indexed starts a fleet whose index is on: in the aws profile somebody has
// to switch it on (rule 23).
func indexed(t *testing.T, s store.Store, r rules.Rules) *fleet {
	t.Helper()
	f := start(t, s, r)
	do(f, engine.UpdateIndexing{Thing: &index.Config{
		ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status,
	}})
	f.indexActive()
	return f
}

func (f *fleet) indexActive() {
	f.Helper()
	for status := engine.IndexOff; status != engine.IndexActive && !f.Failed(); {
		f.read(func(v *engine.View) { status = v.Indexing().Status })
	}
}
