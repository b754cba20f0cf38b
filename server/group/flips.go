package group

import "github.com/muster-iot/muster/server/query"

// findFlips gathers the literals that the changed fields have flipped, and the
// fields whose numbers may have flipped others.
func (m *Matcher) findFlips(changed []string) {
	visible := false
	for _, name := range changed {
		if f := m.fields[name]; f != nil {
			f.changed = m.round
		}
		visible = visible || query.InFieldless(name)
	}
	for _, name := range changed {
		if f := m.fields[name]; f != nil {
			m.flipsOf(f)
		}
	}
	if len(m.exists) > 0 {
		m.flipsOfPaths(changed)
	}
	if anywhere := m.fields[""]; anywhere != nil && visible {
		m.flipsAnywhere(anywhere, changed)
	}
}

// flipsOf gathers those of a changed field.
func (s *search) flipsOf(f *field) {
	old, new := s.view(before, f), s.view(after, f)
	s.difference(old.selected, new.selected, before)
	s.difference(new.selected, old.selected, after)
	if len(f.moved) > 0 {
		s.moved = append(s.moved, f)
	}
	if len(f.rest) == 0 && len(f.lengths) == 0 {
		return
	}
	s.pass++
	s.trials = f.tried(old.values, s.pass, s.trials[:0])
	s.trials = f.tried(new.values, s.pass, s.trials)
	s.try()
}

// difference adds the literals that are true here and not there.
func (s *search) difference(here, there []*literal, on side) {
	s.pass++
	for _, l := range there {
		l.mark = s.pass
	}
	for _, l := range here {
		if l.mark != s.pass {
			s.flips = append(s.flips, flip{l, on})
		}
	}
}

// try adds those of the trials that have flipped.
func (s *search) try() {
	for _, l := range s.trials {
		switch old, new := s.isTrue(before, l), s.isTrue(after, l); {
		case old && !new:
			s.flips = append(s.flips, flip{l, before})
		case new && !old:
			s.flips = append(s.flips, flip{l, after})
		}
	}
}

// flipsOfPaths adds the literals of paths at and above the changed fields.
func (m *Matcher) flipsOfPaths(changed []string) {
	m.pass++
	m.trials = m.trials[:0]
	for _, name := range changed {
		for path := range upwards(name) {
			if l := m.exists[path]; l != nil {
				m.trials = l.meet(m.pass, m.trials)
			}
		}
	}
	m.try()
}

// flipsAnywhere adds the literals without a field that one of the changed
// values satisfies, as far as they flip for the document as a whole.
func (m *Matcher) flipsAnywhere(anywhere *field, changed []string) {
	m.pass++
	m.trials = m.trials[:0]
	for _, doc := range m.docs {
		if doc == nil {
			continue
		}
		for _, name := range changed {
			if !query.InFieldless(name) {
				continue
			}
			values := doc.Values(name)
			m.trials = anywhere.selected(values, m.pass, m.trials)
			m.trials = anywhere.tried(values, m.pass, m.trials)
		}
	}
	m.try()
}
