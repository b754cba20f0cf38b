package update

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol/jobs"
	document "github.com/muster-iot/muster/protocol/update"
)

// maxReason is the longest reason that is reported, in bytes; a value of
// statusDetails holds 1024 characters.
const maxReason = 512

func failure(reason string) Outcome { return Outcome{Status: jobs.Failed, Reason: clean(reason)} }
func refusal(reason string) Outcome { return Outcome{Status: jobs.Rejected, Reason: clean(reason)} }

func tries(n int) string { return strconv.Itoa(n) }

// reportOf makes the report of a state: its outcome when that is known and
// due, or its phase.
func reportOf(s State) Effect {
	if s.Phase != Reporting {
		return Effect{Kind: Report, Status: jobs.InProgress, Details: jobs.StatusDetails{document.KeyPhase: string(s.Phase)}}
	}
	details := jobs.StatusDetails{}
	if s.Outcome.Status == jobs.Succeeded {
		details[document.KeySoftwareVersion] = s.Outcome.Running.Version
		details[document.KeySoftwareSeq] = strconv.FormatInt(s.Outcome.Running.Seq, 10)
	} else {
		details[document.KeyReason] = clean(s.Outcome.Reason)
	}
	return Effect{Kind: Report, Status: s.Outcome.Status, Details: details}
}

// clean makes a text fit for statusDetails: valid UTF-8, no control
// characters, bounded.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxReason {
		return text
	}
	cut := maxReason - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
