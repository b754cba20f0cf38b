package registry

import (
	"errors"
	"fmt"

	"github.com/muster-iot/muster/protocol"
)

// Mirrored returns the value of the attribute that a reported field becomes
// (rule 2), or why it cannot be one.
func Mirrored(field string, reported any) (string, error) {
	text, scalar := Text(reported)
	switch {
	case reported == nil:
		return "", errors.New("null has no value")
	case !scalar:
		return "", errors.New("an object or a list cannot be an attribute")
	case text == "":
		return "", errors.New("an empty text cannot be an attribute")
	case !AttributeForm(field, text):
		return "", fmt.Errorf("%q cannot be an attribute: values are up to 800 of [a-zA-Z0-9_.,@/:#=[]-]", protocol.Clip(text, 100))
	}
	return text, nil
}
