package deploycheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

const (
	deploy  = "../../deploy/"
	metrics = "../../docs/metrics.md"
	runbook = "../../docs/operations.md"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A metric is a row of the table in docs/metrics.md, which a test of the sidecar
// compares with its registry.
type metric struct {
	kind   string
	labels []string
}

func known(t *testing.T) map[string]metric {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| ([a-z_` ]*) \\|")
	out := map[string]metric{"up": {kind: "gauge"}}
	for _, m := range row.FindAllStringSubmatch(string(read(t, metrics)), -1) {
		out[m[1]] = metric{m[2], strings.Fields(strings.ReplaceAll(m[3], "`", ""))}
	}
	if len(out) < 50 {
		t.Fatalf("only %d metrics were found", len(out))
	}
	return out
}

// ofTarget are labels that Prometheus adds.
func ofTarget() []string { return []string{"job", "instance"} }

// problems lists what is wrong with an expression: what does not parse, metrics
// that are not there, labels that a metric does not have, and rates of gauges.
func problems(all map[string]metric, expr string) []string {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	var seen []string // labels of the metrics in the expression
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		name, bucket := s.Name, false
		if _, there := all[name]; !there {
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && all[base].kind == "histogram" {
					name, bucket = base, suffix == "_bucket"
				}
			}
		}
		m, there := all[name]
		if !there && (strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")) {
			m, there = metric{}, true
		}
		if !there {
			out = append(out, "there is no metric "+s.Name)
			return nil
		}
		have := append(append(ofTarget(), m.labels...), "__name__")
		if bucket {
			have = append(have, "le")
		}
		seen = append(seen, have...)
		for _, l := range s.LabelMatchers {
			if !slices.Contains(have, l.Name) {
				out = append(out, fmt.Sprintf("%s has no label %s", s.Name, l.Name))
			}
		}
		for _, p := range path {
			if call, ok := p.(*parser.Call); ok && (call.Func.Name == "rate" || call.Func.Name == "increase") && m.kind == "gauge" {
				out = append(out, s.Name+" is a gauge and has no "+call.Func.Name)
			}
		}
		return nil
	})
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok && !a.Without {
			for _, l := range a.Grouping {
				if !slices.Contains(seen, l) {
					out = append(out, "nothing has the label "+l)
				}
			}
		}
		return nil
	})
	return out
}

// labelsOf returns the labels that the result of an expression has, as far as it
// can be told without data.
func labelsOf(all map[string]metric, e parser.Expr) []string {
	switch e := e.(type) {
	case *parser.VectorSelector:
		name := e.Name
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && all[base].kind == "histogram" {
				name = base
			}
		}
		return append(append(ofTarget(), all[name].labels...), "le")
	case *parser.MatrixSelector:
		return labelsOf(all, e.VectorSelector)
	case *parser.SubqueryExpr:
		return labelsOf(all, e.Expr)
	case *parser.ParenExpr:
		return labelsOf(all, e.Expr)
	case *parser.UnaryExpr:
		return labelsOf(all, e.Expr)
	case *parser.AggregateExpr:
		if !e.Without {
			return e.Grouping
		}
		return slices.DeleteFunc(labelsOf(all, e.Expr), func(l string) bool { return slices.Contains(e.Grouping, l) })
	case *parser.BinaryExpr:
		return labelsOf(all, e.LHS)
	case *parser.Call:
		for _, arg := range e.Args {
			if labels := labelsOf(all, arg); labels != nil {
				return labels
			}
		}
	}
	return nil
}

// legend lists the labels in the legend of an expression that its result has not.
func legend(all map[string]metric, expr, format string) []string {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	have := labelsOf(all, e)
	var out []string
	for _, m := range regexp.MustCompile(`{{ *(\w+) *}}`).FindAllStringSubmatch(format, -1) {
		if !slices.Contains(have, m[1]) {
			out = append(out, "the legend names "+m[1]+", which the result has not")
		}
	}
	return out
}

func TestALegendNamesLabelsOfTheResult(t *testing.T) {
	all := known(t)
	for _, tt := range []struct {
		expr, format string
		wrong        int
	}{
		{`fieldveil_records_total`, "{{outcome}} {{code}} {{instance}}", 0},
		{`sum by (code) (rate(fieldveil_records_total[5m]))`, "{{code}}", 0},
		{`sum by (code) (rate(fieldveil_records_total[5m])) / 2`, "{{ outcome }}", 1},
		{`sum(fieldveil_records_total)`, "{{code}}", 1},
		{`sum without (code) (fieldveil_records_total)`, "{{code}} {{outcome}}", 1},
		{`histogram_quantile(0.99, sum by (le, client) (rate(fieldveil_protect_seconds_bucket[5m])))`, "{{client}} p99", 0},
		{`histogram_quantile(0.99, sum by (le) (rate(fieldveil_protect_seconds_bucket[5m])))`, "{{client}}", 1},
	} {
		if got := legend(all, tt.expr, tt.format); len(got) != tt.wrong {
			t.Errorf("%s: %q", tt.expr, got)
		}
	}
}

func TestWhatIsWrongWithAnExpressionIsFound(t *testing.T) {
	all := known(t)
	for expr, want := range map[string]string{
		`sum(rate(fieldveil_records_total[5m])`:                    "parse error",
		`fieldveil_record_total`:                                   "no metric",
		`fieldveil_records_total{topic="a"}`:                       "no label topic",
		`sum by (tenant) (rate(fieldveil_records_total[5m]))`:      "nothing has the label tenant",
		`rate(fieldveil_ready[5m])`:                                "is a gauge",
		`fieldveil_protect_seconds_total`:                          "no metric",
		`sum by (le) (rate(fieldveil_protect_seconds_sum[5m]))`:    "nothing has the label le",
		`sum by (le) (rate(fieldveil_protect_seconds_bucket[5m]))`: "",
	} {
		got := strings.Join(problems(all, expr), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", expr, got)
		}
	}
}

// Rules as Prometheus reads them, so that an unknown key is an error.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

func TestEachAlertParsesAndHasARunbook(t *testing.T) {
	all := known(t)
	var file ruleFile
	if err := yaml.UnmarshalStrict(read(t, deploy+"prometheus/rules.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	var headings []string
	_, section, ok := strings.Cut(string(read(t, runbook)), "\n## Sidecar alerts\n")
	if !ok {
		t.Fatal("there is no section of runbooks")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)\n\n\*(Page|Ticket)\.\* .{60,}`).FindAllStringSubmatch(section, -1) {
		headings = append(headings, m[1]+" "+strings.ToLower(m[2]))
	}
	var alerts []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			for _, p := range problems(all, r.Expr) {
				t.Errorf("%s: %s", r.Alert, p)
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: %v", r.Alert, err)
			}
			alerts = append(alerts, r.Alert+" "+r.Labels["severity"])
			if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/operations.md#"+strings.ToLower(r.Alert)) {
				t.Errorf("%s: runbook %q", r.Alert, r.Annotations["runbook_url"])
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s says nothing", r.Alert)
			}
		}
	}
	slices.Sort(alerts)
	slices.Sort(headings)
	if len(alerts) < 20 || !slices.Equal(alerts, headings) {
		t.Errorf("alerts   %q\nrunbooks %q", alerts, headings)
	}
}

// panels returns the panels of a dashboard with the ones in them.
func panels(v any) []map[string]any {
	var out []map[string]any
	list, _ := v.([]any)
	for _, p := range list {
		if m, ok := p.(map[string]any); ok {
			out = append(append(out, m), panels(m["panels"])...)
		}
	}
	return out
}

func TestEachPanelOfTheDashboardAsksForWhatIsThere(t *testing.T) {
	all := known(t)
	var dash struct {
		Title, UID    string
		SchemaVersion int
		Panels        []any
		Annotations   struct{ List []struct{ Expr string } }
		Templating    struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(read(t, deploy+"grafana/dashboard.json"), &dash); err != nil {
		t.Fatal(err)
	}
	words := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*")
	ids, count := map[float64]bool{}, 0
	for _, p := range panels(dash.Panels) {
		id, ok := p["id"].(float64)
		if !ok || ids[id] {
			t.Errorf("panel %v: id %v", p["title"], p["id"])
		}
		ids[id] = true
		pos, ok := p["gridPos"].(map[string]any)
		if x, w := number(pos["x"]), number(pos["w"]); !ok || x+w > 24 || w < 1 {
			t.Errorf("panel %v: at %v", p["title"], pos)
		}
		if p["type"] == "row" {
			continue
		}
		targets, _ := p["targets"].([]any)
		if len(targets) == 0 {
			t.Errorf("panel %v asks for nothing", p["title"])
		}
		for _, target := range targets {
			m, _ := target.(map[string]any)
			expr, _ := m["expr"].(string)
			count++
			for _, wrong := range problems(all, words.Replace(expr)) {
				t.Errorf("panel %v: %s", p["title"], wrong)
			}
			format, _ := m["legendFormat"].(string)
			for _, wrong := range legend(all, words.Replace(expr), format) {
				t.Errorf("panel %v: %s", p["title"], wrong)
			}
			if !strings.Contains(expr, `job=~"$job", instance=~"$instance"`) {
				t.Errorf("panel %v does not look at the chosen instances", p["title"])
			}
		}
	}
	for _, a := range dash.Annotations.List {
		for _, wrong := range problems(all, words.Replace(a.Expr)) {
			t.Errorf("annotation: %s", wrong)
		}
	}
	for _, v := range dash.Templating.List {
		inner := regexp.MustCompile(`^label_values\((.*), \w+\)$`).FindStringSubmatch(v.Definition)
		if v.Type == "query" && (len(inner) != 2 || len(problems(all, words.Replace(inner[1]))) > 0) {
			t.Errorf("variable %s: %s", v.Name, v.Definition)
		}
	}
	if count < 40 || dash.UID == "" || dash.Title == "" || dash.SchemaVersion < 36 {
		t.Errorf("%d expressions, %q, %q, version %d", count, dash.UID, dash.Title, dash.SchemaVersion)
	}
}

func number(v any) float64 {
	f, _ := v.(float64)
	return f
}

func TestYAMLHasNoKeyTwice(t *testing.T) {
	for _, path := range yamlFiles(t) {
		for doc := range bytes.SplitSeq(read(t, path), []byte("\n---\n")) {
			var v any
			if err := yaml.UnmarshalStrict(doc, &v); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
