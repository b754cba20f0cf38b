package protocol_test

import (
	"testing"

	"github.com/muster-iot/muster/protocol"
)

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 2, ""}, {"ab", 2, "ab"}, {"abc", 2, "ab…"}, {"äöü", 2, "äö…"}, {"äö", 2, "äö"}, {"a\xffb", 2, "a\xff…"}, {"a", 0, "…"},
	} {
		if got := protocol.Clip(c.text, c.most); got != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}
