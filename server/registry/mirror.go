package registry

import (
	"errors"
	"fmt"
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
		return "", fmt.Errorf("%q cannot be an attribute: values are up to 800 of [a-zA-Z0-9_.,@/:#=[]-]", clip(text))
	}
	return text, nil
}

// clip shortens a device's text for a message.
func clip(s string) string {
	const most = 100
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
