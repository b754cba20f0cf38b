package operate

import (
	"net/http"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/query"
)

// QueryQuestion asks what a query would match as that of a dynamic group.
type QueryQuestion struct {
	Query string `json:"query"`
	// Group is an existing dynamic group whose query it would become.
	Group protocol.ThingGroupName `json:"group,omitempty"`
	// Thing is one to which the query is explained.
	Thing protocol.ThingName `json:"thing,omitempty"`
	// First is how many of the things are named; absent is 10.
	First *int `json:"first,omitempty"`
}

// QueryAnswer is what a query would match now.
type QueryAnswer struct {
	// Query is the query in canonical form.
	Query string               `json:"query"`
	Count int                  `json:"count"`
	First []protocol.ThingName `json:"first"`
	// Terms and Length are those of the query; 0 as a limit is none.
	Terms     int `json:"terms"`
	MaxTerms  int `json:"maxTerms"`
	MaxLength int `json:"maxLength"`
	// Joining and Leaving count what an existing group would gain and lose.
	Joining *int          `json:"joining,omitempty"`
	Leaving *int          `json:"leaving,omitempty"`
	Lints   []engine.Lint `json:"lints"`
	// Explanation is that of the thing asked for.
	Explanation *query.Explanation `json:"explanation,omitempty"`
}

const previewed = 10

func (c Config) previewQuery(w http.ResponseWriter, r *http.Request) {
	var ask QueryQuestion
	if err := decode(w, r, &ask); err != nil {
		c.fail(w, r, err)
		return
	}
	first := previewed
	if ask.First != nil {
		first = *ask.First
	}
	p, err := engine.PreviewQuery(r.Context(), c.Engine, engine.QueryPreview{Query: ask.Query, Group: ask.Group, Thing: ask.Thing, First: first})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	a := QueryAnswer{
		Query: p.Query.String(), Count: p.Count, First: p.First, Lints: p.Lints, Explanation: p.Explanation,
		Terms: p.Query.Terms(), MaxTerms: p.Limits.Terms, MaxLength: p.Limits.Length,
	}
	if a.First == nil {
		a.First = []protocol.ThingName{}
	}
	if ask.Group != "" {
		a.Joining, a.Leaving = &p.Joining, &p.Leaving
	}
	answer(w, http.StatusOK, a)
}

// ChangeQuestion asks what a change of a thing would do.
type ChangeQuestion struct {
	Thing protocol.ThingName `json:"thing"`
	// Attributes are merged into the thing's; an empty value removes.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Reported is merged into what the classic shadow reports.
	Reported map[string]any `json:"reported,omitempty"`
	// Connected is what becomes of the connection; absent leaves it.
	Connected *bool `json:"connected,omitempty"`
	// Delete deletes the thing.
	Delete bool `json:"delete,omitempty"`
}

// ChangeAnswer is what a change of a thing would do.
type ChangeAnswer struct {
	// Touched are the dynamic groups whose query would be evaluated.
	Touched []protocol.ThingGroupName `json:"touched"`
	Joined  []Move                    `json:"joined"`
	Left    []Move                    `json:"left"`
	// Jobs are those that it would matter to.
	Jobs []JobEffect `json:"jobs"`
}

// Move is a thing group that would be joined or left.
type Move struct {
	Group protocol.ThingGroupName `json:"thingGroupName"`
	// After is how long it would wait for the group's connectivityDebounce.
	After string `json:"after,omitempty"`
}

// JobEffect is what a job would make of a change.
type JobEffect struct {
	Job    protocol.JobID `json:"jobId"`
	Action job.Action     `json:"action"`
	Reason job.Reason     `json:"reason"`
	Until  time.Time      `json:"until,omitzero"`
}

func (c Config) previewChange(w http.ResponseWriter, r *http.Request) {
	var ask ChangeQuestion
	if err := decode(w, r, &ask); err != nil {
		c.fail(w, r, err)
		return
	}
	c.read(w, r, func(v *engine.View) (any, error) {
		p, err := v.PreviewChange(engine.ChangePreview(ask))
		a := ChangeAnswer{
			Touched: append([]protocol.ThingGroupName{}, p.Touched...),
			Joined:  moves(p.Joined), Left: moves(p.Left), Jobs: []JobEffect{},
		}
		for _, j := range p.Jobs {
			a.Jobs = append(a.Jobs, JobEffect{Job: j.Job, Action: j.Action, Reason: j.Reason, Until: j.Until.UTC()})
		}
		return a, err
	})
}

func moves(of []engine.MovePreviewed) []Move {
	all := make([]Move, len(of))
	for i, m := range of {
		all[i].Group = m.Group
		if m.After > 0 {
			all[i].After = m.After.String()
		}
	}
	return all
}
