package registry

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol"
)

// Tag is a key with a value that an operator pins to a resource (AWS IoT
// reference 2.1).
type Tag struct{ Key, Value string }

// Tags are the tags of one resource by their keys. They are never changed in place.
type Tags map[string]string

// The limits of tags: characters of a key and value, tags of a resource.
const (
	maxTagKey   = 128
	maxTagValue = 256
	maxTags     = 50
)

// reservedTag begins the keys that only AWS itself may set.
const reservedTag = "aws:"

// NewTags makes the tags of a list as requests carry it. A key that is there
// twice and what breaks a limit of a single tag are an InvalidRequest, too
// many tags a LimitExceeded.
func NewTags(list []Tag) (Tags, error) {
	tags := make(Tags, len(list))
	for _, tag := range list {
		if _, twice := tags[tag.Key]; twice {
			return nil, protocol.Errorf(protocol.InvalidRequest, "tag key %q is given twice", tag.Key)
		}
		tags[tag.Key] = tag.Value
	}
	return tags, tags.Check()
}

// Check returns what is wrong with tags, as [NewTags] does.
func (ts Tags) Check() error {
	for key, value := range ts {
		switch n := utf8.RuneCountInString(key); {
		case n == 0 || n > maxTagKey:
			return protocol.Errorf(protocol.InvalidRequest, "tag key %q has %d characters; want 1 to %d", key, n, maxTagKey)
		case strings.HasPrefix(strings.ToLower(key), reservedTag):
			return protocol.Errorf(protocol.InvalidRequest, "tag key %q begins with the reserved %s", key, reservedTag)
		case utf8.RuneCountInString(value) > maxTagValue:
			return protocol.Errorf(protocol.InvalidRequest, "the value of tag %q is longer than %d characters", key, maxTagValue)
		}
	}
	if len(ts) > maxTags {
		return protocol.Errorf(protocol.LimitExceeded, "%d tags are more than the %d that a resource may have", len(ts), maxTags)
	}
	return nil
}

// With returns the tags with those given set, each in place of the one that
// has its key. The error is that of [Tags.Check].
func (ts Tags) With(given Tags) (Tags, error) {
	next := make(Tags, len(ts)+len(given))
	maps.Copy(next, ts)
	maps.Copy(next, given)
	return next, next.Check()
}

// Without returns the tags without those of the keys; a key that has none is
// taken off already.
func (ts Tags) Without(keys []string) Tags {
	next := maps.Clone(ts)
	for _, key := range keys {
		delete(next, key)
	}
	return next
}

// List returns the tags in the order of their keys.
func (ts Tags) List() []Tag {
	list := make([]Tag, 0, len(ts))
	for _, key := range slices.Sorted(maps.Keys(ts)) {
		list = append(list, Tag{key, ts[key]})
	}
	return list
}
