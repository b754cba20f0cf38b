package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// validTopic reports whether a device may name topic in a publish at all.
func (l Limits) validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#") && l.fits(topic)
}

// refuseFilter is why no device may subscribe to filter, or CodeSuccess: it is
// badly formed, above the limits, shared, or in a $ tree other than $aws.
func (l Limits) refuseFilter(filter string) packets.Code {
	switch {
	case filter == "", !l.fits(filter), !wellFormed(filter):
		return packets.ErrTopicFilterInvalid
	case len(filter) >= len(sharePrefix) && strings.EqualFold(filter[:len(sharePrefix)], sharePrefix):
		return packets.ErrSharedSubscriptionsNotSupported
	case filter[0] == '$' && !strings.HasPrefix(filter, "$aws/"):
		return packets.ErrNotAuthorized
	}
	return packets.CodeSuccess
}

const sharePrefix = "$share/"

// wellFormed reports whether wildcards stand where they may.
func wellFormed(filter string) bool {
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if level == "+" || level == "#" && i == len(levels)-1 {
			continue
		}
		if strings.ContainsAny(level, "+#") {
			return false
		}
	}
	return true
}

// fits checks the length and depth of a topic or filter. The prefix
// $aws/rules/NAME/ of basic ingest does not count towards the depth.
func (l Limits) fits(topic string) bool {
	if len(topic) > l.TopicBytes {
		return false
	}
	slashes := strings.Count(topic, "/")
	if strings.HasPrefix(topic, "$aws/rules/") {
		slashes -= 3
	}
	return slashes <= l.TopicSlashes
}

// serverTopic reports whether only the server may publish to topic.
func serverTopic(topic string) bool {
	if !strings.HasPrefix(topic, "$") {
		return false
	}
	if !strings.HasPrefix(topic, "$aws/") {
		return true
	}
	return strings.HasPrefix(topic, "$aws/events/") ||
		strings.HasSuffix(topic, "/accepted") || strings.HasSuffix(topic, "/rejected")
}

// matches reports whether filter matches topic by AWS's rules: unlike elsewhere
// a/# does not match a.
func matches(filter, topic string) bool {
	if topic[0] == '$' && filter[0] != '$' {
		return false
	}
	for {
		f, filterRest, moreFilter := strings.Cut(filter, "/")
		t, topicRest, moreTopic := strings.Cut(topic, "/")
		switch {
		case f == "#":
			return true
		case f != "+" && f != t, moreFilter != moreTopic:
			return false
		case !moreFilter:
			return true
		}
		filter, topic = filterRest, topicRest
	}
}
