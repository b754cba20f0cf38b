package identity_test

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
)

var all = []identity.Status{
	identity.Active, identity.Inactive, identity.Revoked, identity.PendingActivation, identity.PendingTransfer, identity.RegisterInactive,
}

// TestStatuses walks every change that a client can ask for.
func TestStatuses(t *testing.T) {
	const ok, state, invalid = protocol.Code(""), protocol.CertificateState, protocol.InvalidRequest
	table := map[identity.Status][6]protocol.Code{
		// to:                      ACTIVE, INACTIVE, REVOKED, PENDING_ACTIVATION, PENDING_TRANSFER, REGISTER_INACTIVE
		identity.Active:            {ok, ok, ok, invalid, invalid, invalid},
		identity.Inactive:          {ok, ok, ok, invalid, invalid, invalid},
		identity.Revoked:           {state, state, ok, invalid, invalid, invalid},
		identity.PendingActivation: {ok, ok, ok, invalid, invalid, invalid},
		identity.PendingTransfer:   {state, state, state, invalid, invalid, invalid},
		identity.RegisterInactive:  {ok, ok, ok, invalid, invalid, invalid},
	}
	made, now := time.Unix(100, 0), time.Unix(200, 0)
	for _, from := range all {
		for i, to := range all {
			was := identity.Certificate{ID: "c", Status: from, Version: 3, ModifiedAt: made}
			want := was
			if code := table[from][i]; code == ok && from != to {
				want.Status, want.Version, want.ModifiedAt = to, 4, now
			}
			got, err := was.Move(to, now)
			if code := codeOf(err); code != table[from][i] || got != want {
				t.Errorf("%s -> %s: code %q, %+v; want code %q, %+v", from, to, code, got, table[from][i], want)
			}
		}
	}
}

// codeOf is the code of an error, empty for none.
func codeOf(err error) protocol.Code {
	if err == nil {
		return ""
	}
	return protocol.CodeOf(err)
}

func TestDeleteCertificate(t *testing.T) {
	deletable := map[identity.Status]bool{
		identity.Inactive: true, identity.Revoked: true, identity.PendingActivation: true, identity.RegisterInactive: true,
	}
	for _, s := range all {
		want := protocol.CertificateState
		if deletable[s] {
			want = ""
		}
		if err := (identity.Certificate{Status: s}).CheckDelete(0, 0, true); codeOf(err) != want {
			t.Errorf("%s: %v, want code %q", s, err, want)
		}
	}
	for _, row := range []struct {
		name             string
		things, policies int
		force            bool
		want             protocol.Code
	}{
		{"free", 0, 0, false, ""},
		{"with a thing", 1, 0, false, protocol.DeleteConflict},
		{"with a thing, by force", 1, 0, true, protocol.DeleteConflict},
		{"with a policy", 0, 1, false, protocol.DeleteConflict},
		{"with a policy, by force", 0, 1, true, ""},
	} {
		if err := (identity.Certificate{Status: identity.Inactive}).CheckDelete(row.things, row.policies, row.force); codeOf(err) != row.want {
			t.Errorf("%s: %v, want code %q", row.name, err, row.want)
		}
	}
}

func TestAttach(t *testing.T) {
	for _, row := range []struct {
		name      string
		as        identity.PrincipalType
		others    int
		exclusive bool
		want      protocol.Code
	}{
		{"first", identity.Shared, 0, false, ""},
		{"first, exclusive", identity.Exclusive, 0, false, ""},
		{"another", identity.Shared, 3, false, ""},
		{"exclusive beside others", identity.Exclusive, 1, false, protocol.InvalidRequest},
		{"beside an exclusive one", identity.Shared, 1, true, protocol.InvalidRequest},
		{"exclusive beside an exclusive one", identity.Exclusive, 1, true, protocol.InvalidRequest},
	} {
		if err := identity.CheckAttach("c", "T", row.as, row.others, row.exclusive); codeOf(err) != row.want {
			t.Errorf("%s: %v, want code %q", row.name, err, row.want)
		}
	}
}
