package broker

import "strings"

// validTopic reports whether a device may name topic in a publish at all.
func (l Limits) validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#") && l.fits(topic)
}

// validFilter reports whether a device may subscribe to filter at all: well
// formed, within the limits, not shared, and no $ tree but $aws.
func (l Limits) validFilter(filter string) bool {
	if filter == "" || !l.fits(filter) {
		return false
	}
	if filter[0] == '$' && !strings.HasPrefix(filter, "$aws/") {
		return false
	}
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

// matchesParent reports whether filter, which mochi found to match topic, is
// of the form a/# for the topic a: on AWS it matches only what is below a.
func matchesParent(filter, topic string) bool {
	return strings.HasSuffix(filter, "/#") && strings.Count(filter, "/") == strings.Count(topic, "/")+1
}

// matches reports whether filter matches topic by AWS's rules.
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
