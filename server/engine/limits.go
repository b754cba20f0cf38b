package engine

import "github.com/muster-iot/muster/server/query"

// queryLimits are the limits of a query that may have so many terms (rule 24).
func (s *state) queryLimits(terms int) query.Limits {
	r := s.cfg.Rules
	return query.Limits{Terms: terms, Length: r.QueryLength, FewLeadingWildcards: r.FewLeadingWildcards}
}
