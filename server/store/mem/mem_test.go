package mem_test

import (
	"testing"

	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
	"github.com/muster-iot/muster/server/store/storetest"
)

func TestContract(t *testing.T) {
	last := map[*testing.T]*mem.Store{}
	storetest.Run(t, func(t *testing.T) store.Store {
		if last[t] == nil {
			last[t] = mem.New()
			return last[t]
		}
		return last[t].Reopen()
	})
}

func TestCloseEndsOneHandle(t *testing.T) {
	first := mem.New()
	second := first.Reopen()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Claim(t.Context()); err == nil {
		t.Error("a closed handle was claimed")
	}
	if _, err := second.Claim(t.Context()); err != nil {
		t.Errorf("the other handle is closed too: %v", err)
	}
}
