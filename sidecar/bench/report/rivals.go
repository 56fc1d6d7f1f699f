package report

// ratioText says how many times better ours is.
func (v *Rival) ratioText() (ratio, spread string) {
	if v.Ratio == nil {
		return "–", ""
	}
	return three(v.Ratio.Median) + " ×", quartiles(v.Ratio, three)
}

// figure writes one of the two figures in its unit.
func (v *Rival) figure(f float64) string {
	if v.Unit == "ns/record" {
		return nanoseconds(f)
	}
	return three(f) + " " + v.Unit
}

// title names the software.
func (v *Rival) title() string {
	if v.Version == "" {
		return v.Name
	}
	return v.Name + " " + v.Version
}

// rivals returns the table of the page.
func rivals(r *Report) *table {
	if len(r.Rivals) == 0 {
		return nil
	}
	const columns = 4
	t := &table{Caption: "Other software beside fieldveil", Class: "cards", Heads: []string{"work", "times better", "fieldveil", "theirs"}}
	last := ""
	for i := range r.Rivals {
		v := &r.Rivals[i]
		if title := v.title(); title != last {
			last = title
			t.Rows = append(t.Rows, tableRow{Group: title, Span: columns})
		}
		ratio, spread := v.ratioText()
		if spread != "" {
			ratio += " (" + spread + ")"
		}
		t.Rows = append(t.Rows, tableRow{Cells: []string{v.Work, ratio, v.figure(v.Ours), v.figure(v.Theirs)}})
	}
	return t
}

// rivals writes the block of a terminal.
func (p *printer) rivals(all []Rival) {
	if len(all) == 0 {
		return
	}
	p.line("")
	p.line(p.mark("beside others, times better", bold))
	last := ""
	for i := range all {
		v := &all[i]
		if title := v.title(); title != last {
			last = title
			p.wrap("  ", "    ", title)
		}
		ratio, spread := v.ratioText()
		if spread != "" {
			ratio += " (" + spread + ")"
		}
		p.wrap("    ", "      ", v.Work+": "+ratio+", ours "+v.figure(v.Ours)+", theirs "+v.figure(v.Theirs))
	}
}
