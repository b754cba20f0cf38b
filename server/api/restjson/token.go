package restjson

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"

	"github.com/muster-iot/muster/protocol"
)

// token says where a list goes on. It is bound to the operation and its
// filters, so that it cannot be carried over to another list by mistake; it is
// no secret and grants nothing.
type token struct {
	Filters string `json:"f"`
	After   string `json:"a"`
}

// alphabet holds letters and digits only: a marker may hold no - and no _, a
// query string no + without care.
func alphabet() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

// Token returns the nextToken of a page whose last item is after, which is
// any text the operation understands.
func (c Call) Token(after string) *string {
	text, err := json.Marshal(token{c.filterHash(), after})
	if err != nil {
		return nil // a structure of strings always marshals
	}
	return new(alphabet().EncodeToString(text))
}

// After returns the text that [Call.Token] was given for the page before, and
// the empty text for the first page. A token that was not made for this
// operation and these filters is an InvalidRequest, as is an empty one: clients
// ask for the first page without any.
func (c Call) After(nextToken *string) (string, error) {
	if nextToken == nil {
		return "", nil
	}
	text, err := alphabet().DecodeString(*nextToken)
	var t token
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil || t.After == "" || t.Filters != c.filterHash() {
		return "", protocol.Errorf(protocol.InvalidRequest,
			"nextToken is not one that %s returned for these parameters: start again without it", c.Operation)
	}
	return t.After, nil
}

func (c Call) filterHash() string {
	text, _ := json.Marshal(c.filters) // maps marshal in the order of their keys
	sum := sha256.Sum256(append([]byte(c.Operation+"\n"), text...))
	return hex.EncodeToString(sum[:8])
}

// pagingMember reports whether a member may differ between pages of one list.
func pagingMember(name string) bool {
	switch name {
	case "nextToken", "maxResults", "marker", "pageSize":
		return true
	}
	return false
}
