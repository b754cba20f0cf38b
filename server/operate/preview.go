package operate

import (
	"net/http"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
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
