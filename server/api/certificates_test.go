package api_test

import (
	"testing"

	"github.com/muster-iot/muster/server/issuer"
)

// devices is an issuer of certificates for devices.
func devices(t testing.TB) *issuer.Issuer {
	t.Helper()
	i, err := issuer.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return i
}
