package awsmodel

import (
	"fmt"
	"regexp"
	"strings"
)

// compile turns a pattern of the model, which is written for Java, into one
// that matches a whole string. Java's POSIX classes (\p{Graph}) become Go's;
// the possessive *+ becomes *, which is the same to a linear-time matcher.
func compile(pattern string) (*regexp.Regexp, error) {
	translated := strings.NewReplacer(
		`\p{Graph}`, `[:graph:]`,
		`\p{Upper}`, `[:upper:]`,
		`\p{Digit}`, `[:digit:]`,
		`\p{Cntrl}`, `[:cntrl:]`,
		`*+`, `*`,
	).Replace(pattern)
	form, err := regexp.Compile(`\A(?:` + translated + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("cannot compile pattern %q: %w", pattern, err)
	}
	return form, nil
}
