package registrytest

import (
	"slices"
	"strconv"
)

// confluentVersion is the property that holds the number of the version it
// stands in, where it stands.
const confluentVersion = "confluent:version"

// register adds a schema to a subject, unless it is there already.
func (s *Server) register(full string, in registration, normalize bool) (*version, *Error) {
	in.Schema = in.Schema.clone()
	in.RuleSet.complete()
	if fail := in.RuleSet.validate(); fail != nil {
		return nil, fail
	}
	if fail := checkSubject(full); fail != nil {
		return nil, fail
	}
	name := parseSubject(full)

	st := s.store
	st.write.Lock()
	defer st.write.Unlock()

	st.mu.RLock()
	fail := st.mayRegister(full, in.ID)
	conf, importing := st.configInScope(full), st.modeInScope(full) == modeImport
	sub := st.subject(name)
	live, latest := sub.live(), sub.latest()
	next := 1
	if sub != nil {
		next = sub.versions[len(sub.versions)-1].number + 1
	}
	st.mu.RUnlock()
	if fail != nil {
		return nil, fail
	}

	normalize = normalize || conf.Normalize != nil && *conf.Normalize
	if !importing {
		// The same schema as it was given, or completed, may be there already.
		if in.Version == 0 && !conf.hasDefaults() {
			if v, fail := s.lookup(full, in.Schema, normalize, false); fail != nil || v != nil {
				return v, fail
			}
		}
		if in.Text == "" && latest != nil {
			from := latest.entry.schema
			in.Text, in.Format, in.References = from.Text, from.Format, from.References
		}
		in.Schema = complete(in.Schema, conf, latest, in.Version, next)
	}
	schema, doc, fail := s.canonical(name.context, in.Schema, normalize)
	if fail != nil {
		return nil, fail
	}
	key := schema.identity()
	if in.Version == 0 {
		for _, v := range live {
			if v.entry.key == key && (in.ID == 0 || in.ID == v.entry.id) {
				return v, nil
			}
		}
	}
	if !importing {
		problems, fail := s.problems(conf, schema, doc, live)
		if fail != nil {
			return nil, fail
		}
		if len(problems) > 0 {
			return nil, incompatible(full, problems)
		}
	}
	return st.add(name, in, next, importing, key, schema)
}

// add stores what was found in order.
func (st *store) add(name subjectName, in registration, next int, importing bool, key [32]byte, schema Schema) (*version, *Error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	number := next
	if in.Version > 0 {
		number = in.Version
	}
	switch {
	case number != next && !importing:
		return nil, invalidSchema("Version is not one more than previous version")
	case st.subject(name).version(number, true) != nil:
		return nil, errorf(CodeNotPermitted, "Overwrite version %d of subject %s is not permitted.", number, name)
	}
	if in.ID > 0 {
		sp := st.space(name.context)
		if e := sp.byID[in.ID]; e != nil && e.key != key {
			return nil, errorf(CodeNotPermitted, "Overwrite new schema with id %d in context %s is not permitted.", in.ID, name.context)
		}
		if e := sp.byKey[key]; e != nil && e.id != in.ID {
			return nil, errorf(CodeIDMismatch, "Schema already registered with id %d instead of input id %d", e.id, in.ID)
		}
	}
	return st.put(name, number, in.ID, key, schema), nil
}

// mayRegister asks the mode.
func (st *store) mayRegister(full string, id int) *Error {
	if fail := st.writable(full); fail != nil {
		return fail
	}
	switch importing := st.modeInScope(full) == modeImport; {
	case id > 0 && !importing:
		return errorf(CodeNotPermitted, "Subject %s is not in import mode", full)
	case id == 0 && importing:
		return errorf(CodeNotPermitted, "Subject %s is not in read-write mode", full)
	default:
		return nil
	}
}

func (c config) hasDefaults() bool {
	return c.DefaultMetadata != nil || c.OverrideMetadata != nil || c.DefaultRuleSet != nil || c.OverrideRuleSet != nil
}

// complete fills metadata and rules: those given, or else those of the latest
// version, between the configured defaults and overrides.
func complete(given Schema, conf config, latest *version, number, next int) Schema {
	out := given.clone()
	if latest != nil {
		from := latest.entry.schema.clone()
		if out.Metadata == nil {
			out.Metadata = from.Metadata
		}
		if out.RuleSet == nil {
			out.RuleSet = from.RuleSet
		}
	}
	out.Metadata = conf.DefaultMetadata.merge(out.Metadata).merge(conf.OverrideMetadata)
	out.RuleSet = conf.DefaultRuleSet.merge(out.RuleSet).merge(conf.OverrideRuleSet)
	has := false
	if out.Metadata != nil {
		_, has = out.Metadata.Properties[confluentVersion]
	}
	if has || number != 0 {
		out.Metadata = out.Metadata.merge(&Metadata{Properties: map[string]string{confluentVersion: strconv.Itoa(next)}})
	}
	return out
}

// lookup finds the version of a subject that has a schema, or nil.
func (s *Server) lookup(full string, given Schema, normalize, deleted bool) (*version, *Error) {
	if given.Text == "" {
		return nil, nil
	}
	name := parseSubject(full)
	schema, _, fail := s.canonical(name.context, given.clone(), normalize)
	if fail != nil {
		return nil, fail
	}
	st := s.store
	st.mu.RLock()
	defer st.mu.RUnlock()
	sub := st.subject(name)
	if sub == nil {
		return nil, nil
	}
	if v := match(sub, schema, normalize, deleted); v != nil {
		return v, nil
	}
	// As on registration, what is not given is what the latest version has.
	latest := sub.latest()
	if latest == nil {
		return nil, nil
	}
	filled := complete(schema, st.configInScope(full), latest, 0, latest.number)
	return match(sub, filled, normalize, deleted), nil
}

// match compares a schema with all versions, the latest first.
func match(sub *subject, want Schema, normalize, deleted bool) *version {
	key := want.comparable(normalize).identity()
	for _, v := range slices.Backward(sub.versions) {
		if v.deleted && !deleted {
			continue
		}
		if v.entry.schema.comparable(normalize).identity() == key {
			return v
		}
		// The number that the registry wrote itself is not asked for.
		if want.version() == "" && v.entry.schema.version() != "" &&
			v.entry.schema.withoutVersion().comparable(normalize).identity() == key {
			return v
		}
	}
	return nil
}

// comparable is the schema as it is compared: normalized, if asked for.
func (s Schema) comparable(normalize bool) Schema {
	if normalize {
		s.Text = normalText(s.Format, s.Text)
		s.References = sortedReferences(s.References)
	}
	return s
}

func (s Schema) version() string {
	if s.Metadata == nil {
		return ""
	}
	return s.Metadata.Properties[confluentVersion]
}

// withoutVersion returns a copy without the number of the version. Metadata
// that held nothing else is no metadata.
func (s Schema) withoutVersion() Schema {
	out := s.clone()
	delete(out.Metadata.Properties, confluentVersion)
	out.Metadata = out.Metadata.clone()
	if m := out.Metadata; len(m.Properties)+len(m.Tags)+len(m.Sensitive) == 0 {
		out.Metadata = nil
	}
	return out
}
