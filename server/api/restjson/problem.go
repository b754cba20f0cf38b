package restjson

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol"
)

const (
	// maxProblems and maxQuoted bound a message, whatever a request holds.
	maxProblems = 10
	maxQuoted   = 100
)

// problem is a constraint that a value of the request does not satisfy.
type problem struct {
	value      any // nil when absent
	path       string
	constraint string
}

func (c *checker) add(value any, path, constraint string) {
	c.problems = append(c.problems, problem{value, path, constraint})
}

// err words the problems as AWS does, or is nil without any.
func (c *checker) err() error {
	n := len(c.problems)
	if n == 0 {
		return nil
	}
	var words []string
	for _, p := range c.problems[:min(n, maxProblems)] {
		words = append(words, p.String())
	}
	plural := "s"
	if n == 1 {
		plural = ""
	}
	return protocol.Errorf(protocol.InvalidRequest, "%d validation error%s detected: %s", n, plural, strings.Join(words, "; "))
}

func (p problem) String() string {
	value := "null"
	if p.value != nil {
		value = "'" + abbreviate(plain(p.value)) + "'"
	}
	return fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, abbreviate(p.path), p.constraint)
}

// plain is the text of a value in a message.
func plain(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case text:
		return string(v)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}

// abbreviate cuts a text that a client sent to what fits into a message.
func abbreviate(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= maxQuoted {
		return s
	}
	return string([]rune(s)[:maxQuoted]) + "..."
}

func list(values []string) string { return "[" + strings.Join(values, ", ") + "]" }

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
