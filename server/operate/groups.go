package operate

import (
	"net/http"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/query"
)

// Group is what Muster says of a thing group beyond DescribeThingGroup.
type Group struct {
	Name protocol.ThingGroupName `json:"thingGroupName"`
	// Dynamic tells groups with a query from static ones.
	Dynamic bool `json:"dynamic"`
	// Status is that of a dynamic group, Build how far one has come that is not
	// ACTIVE.
	Status group.Status          `json:"status,omitempty"`
	Build  *engine.BuildProgress `json:"build,omitempty"`
	// Members counts its things; of a static group those of the groups below
	// it too.
	Members int `json:"members"`
	// Query is that of a dynamic group in canonical form, Terms the number of
	// its terms.
	Query string `json:"query,omitempty"`
	Terms int    `json:"terms,omitempty"`
	// ConnectivityDebounce is how long joins and leaves that connectivity alone
	// caused wait (rule 9), PendingDebounces how many of them wait.
	ConnectivityDebounce string `json:"connectivityDebounce,omitempty"`
	PendingDebounces     int    `json:"pendingDebounces"`
	// HeldJoins counts the members that jobs learn of when the group is ACTIVE.
	HeldJoins int `json:"heldJoins"`
	// Jobs are the live jobs that target it.
	Jobs      []protocol.JobID `json:"jobs"`
	Version   int64            `json:"version"`
	CreatedAt time.Time        `json:"createdAt"`
}

func (c Config) describeGroup(w http.ResponseWriter, r *http.Request) {
	c.read(w, r, func(v *engine.View) (any, error) {
		info, err := v.GroupInfo(protocol.ThingGroupName(r.PathValue("group")))
		return groupOf(info), err
	})
}

func groupOf(info engine.GroupInfo) Group {
	g := Group{
		Name: info.Name, Dynamic: info.Dynamic(), Status: info.Status, Build: info.Build,
		Members: info.Members, HeldJoins: info.HeldJoins, Jobs: info.Jobs,
		Version: info.Version, CreatedAt: info.CreatedAt.UTC(),
	}
	if g.Jobs == nil {
		g.Jobs = []protocol.JobID{}
	}
	if info.Query != nil {
		g.Query, g.Terms = info.Query.String(), info.Query.Terms()
		g.ConnectivityDebounce, g.PendingDebounces = info.Debounce.String(), info.Debounced
	}
	return g
}

// GroupSettings are what Muster adds to a dynamic thing group.
type GroupSettings struct {
	// ConnectivityDebounce is how long joins and leaves that connectivity alone
	// caused wait, as "30s": 0s to 1h.
	ConnectivityDebounce *string `json:"connectivityDebounce"`
}

func (c Config) setGroup(w http.ResponseWriter, r *http.Request) {
	var s GroupSettings
	err := decode(w, r, &s)
	if err == nil && s.ConnectivityDebounce == nil {
		err = protocol.Errorf(protocol.InvalidRequest, "connectivityDebounce is missing: give a duration such as 30s")
	}
	var info engine.GroupInfo
	if err == nil {
		info, err = engine.Do(r.Context(), c.Engine, engine.SetDebounce{
			Group: protocol.ThingGroupName(r.PathValue("group")), Debounce: *s.ConnectivityDebounce,
		})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	answer(w, http.StatusOK, groupOf(info))
}

// Membership says why a thing is, or is not, in a thing group.
type Membership struct {
	Thing  protocol.ThingName      `json:"thingName"`
	Group  protocol.ThingGroupName `json:"thingGroupName"`
	Status group.Status            `json:"status,omitempty"`
	Member bool                    `json:"member"`
	Reason engine.MemberReason     `json:"reason"`
	// Matched is whether the query of a dynamic group matches the thing; Query
	// says why, with what each term saw.
	Matched *bool                 `json:"matched,omitempty"`
	Query   *query.Explanation    `json:"query,omitempty"`
	Build   *engine.BuildProgress `json:"build,omitempty"`
	// JobsWait is that jobs learn of the member when the group is ACTIVE.
	JobsWait bool `json:"jobsWait,omitempty"`
	// Until is when a membership that waits for the debounce changes.
	Until time.Time `json:"until,omitzero"`
	// Places are the groups of a thing that may be in no more of them.
	Places []protocol.ThingGroupName `json:"places,omitempty"`
	// Through are the groups below a static one through which the thing is in it.
	Through []protocol.ThingGroupName `json:"through,omitempty"`
	// NotMirrored are the reported fields that did not become attributes (rule 2).
	NotMirrored []engine.NotMirrored `json:"notMirrored,omitempty"`
}

func (c Config) explainMember(w http.ResponseWriter, r *http.Request) {
	name, thing := protocol.ThingGroupName(r.PathValue("group")), protocol.ThingName(r.PathValue("thing"))
	c.read(w, r, func(v *engine.View) (any, error) {
		x, err := v.ExplainMember(name, thing)
		m := Membership{
			Thing: thing, Group: name, Status: x.Status, Member: x.Member, Reason: x.Reason,
			Query: x.Query, Build: x.Build, JobsWait: x.JobsWait,
			Until: x.Until.UTC(), Places: x.Places, Through: x.Through, NotMirrored: x.NotMirrored,
		}
		if x.Query != nil {
			m.Matched = &x.Matched
		}
		return m, err
	})
}
