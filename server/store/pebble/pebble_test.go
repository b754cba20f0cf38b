package pebble_test

import (
	"testing"

	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/pebble"
	"github.com/muster-iot/muster/server/store/storetest"
)

func TestContract(t *testing.T) {
	folders := map[*testing.T]string{}
	storetest.Run(t, func(t *testing.T) store.Store {
		if folders[t] == "" {
			folders[t] = t.TempDir()
		}
		s, err := pebble.Open(pebble.Config{Dir: folders[t]})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
