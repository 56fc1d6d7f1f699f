package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s differs from line %d on; -update writes it anew:\n%s", name, i+1, g[i])
		}
	}
	t.Fatalf("%s has more lines; -update writes it anew", name)
}

// pages are all the samples as pages, by name.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	all, err := writePages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var writePages = sync.OnceValues(func() (map[string][]byte, error) {
	out := map[string][]byte{}
	var errs error
	add := func(name string, r *Report, c *Comparison) {
		var b bytes.Buffer
		errs = errors.Join(errs, WriteHTML(&b, r, c))
		out[name] = b.Bytes()
	}
	add("small", small(), nil)
	old, now := rich(1, 1), rich(90, 1.15)
	c := Compare(old, now)
	add("rich", now, &c)
	for name, r := range poor() {
		add(name, r, nil)
	}
	foreign := Compare(poor()["one case"], now)
	add("other runs", now, &foreign)
	hostile := Compare(poor()["hostile"], poor()["hostile"])
	add("hostile compared", poor()["hostile"], &hostile)
	return out, errs
})

func TestThePageOfTheSmallReportIsTheOneKept(t *testing.T) {
	golden(t, "small.html", pages(t)["small"])
}

// tokens reads a page as XML, which it is, and fails where it is not well formed.
func tokens(t *testing.T, page []byte, see func(xml.Token)) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	depth := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		see(xml.CopyToken(tok))
	}
	if depth != 0 {
		t.Errorf("%d elements are not closed", depth)
	}
}

func TestPagesAreWellFormedAndLoadNothing(t *testing.T) {
	for name, page := range pages(t) {
		t.Run(name, func(t *testing.T) {
			inStyle := false
			ids := map[string]bool{}
			var links []string
			tokens(t, page, func(tok xml.Token) {
				switch tok := tok.(type) {
				case xml.StartElement:
					inStyle = tok.Name.Local == "style"
					switch tok.Name.Local {
					case "script", "img", "link", "iframe", "object", "embed", "image", "use", "base", "form", "video", "audio", "foreignObject":
						t.Errorf("an element <%s>", tok.Name.Local)
					}
					for _, a := range tok.Attr {
						loads := strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" || a.Name.Local == "srcset" || a.Name.Local == "style" || a.Name.Local == "ping"
						if loads {
							t.Errorf("<%s> has an attribute %s", tok.Name.Local, a.Name.Local)
						}
						if a.Name.Local == "href" {
							links = append(links, a.Value)
						}
						if a.Name.Local == "id" {
							ids[a.Value] = true
						}
						if strings.Contains(a.Value, "//") || strings.Contains(a.Value, "url(") {
							t.Errorf("<%s %s> refers to something outside", tok.Name.Local, a.Name.Local)
						}
					}
				case xml.CharData:
					if s := string(tok); inStyle && (strings.Contains(s, "//") || strings.Contains(s, "url(") || strings.Contains(s, "@import")) {
						t.Error("the style refers to something outside")
					}
				case xml.EndElement:
					inStyle = false
				}
			})
			for _, l := range links {
				if !strings.HasPrefix(l, "#") || !ids[l[1:]] {
					t.Errorf("a link to %q, where nothing is", l)
				}
			}
		})
	}
}

func TestABrowserIsToldToLoadNothingAndToTakeThisStyleAlone(t *testing.T) {
	page := string(pages(t)["small"])
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := ""
	tokens(t, []byte(page), func(tok xml.Token) {
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "meta" && len(e.Attr) == 2 && e.Attr[0].Value == "Content-Security-Policy" {
			policy = e.Attr[1].Value
		}
	})
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("the policy is %q, not %q", policy, want)
	}
}

func TestWhatAReportSaysIsTextOnThePage(t *testing.T) {
	page := string(pages(t)["hostile compared"])
	r := poor()["hostile"]
	var text strings.Builder
	tokens(t, []byte(page), func(tok xml.Token) {
		if s, ok := tok.(xml.CharData); ok {
			text.Write(s)
		}
	})
	c := r.Cases[0]
	for _, s := range []string{c.Name, c.Scenario, c.Yardstick, "</style>", "<u>", "</td>", "<s>", "<em>"} {
		if strings.Contains(page, s) && s != "</style>" && s != "</td>" {
			t.Errorf("%q is on the page as it is", s)
		}
		if !strings.Contains(text.String(), s) {
			t.Errorf("%q is not in the text of the page", s)
		}
	}
	if strings.Count(page, "</style>") != 1 {
		t.Error("the style is closed twice")
	}
}

// TestDrawingsStayInTheirBoxes walks the drawings of all samples: every
// coordinate is a number; along the width all lie between 0 and 100 %, and along
// the height inside the drawing, but for labels of axes, which stand in its
// padding, and uprights, which the style cuts off.
func TestDrawingsStayInTheirBoxes(t *testing.T) {
	for name, page := range pages(t) {
		t.Run(name, func(t *testing.T) {
			height, depth, drawings := 0.0, 0, 0
			tokens(t, page, func(tok xml.Token) {
				if end, ok := tok.(xml.EndElement); ok && end.Name.Local == "svg" {
					depth--
				}
				e, ok := tok.(xml.StartElement)
				if !ok {
					return
				}
				attr := map[string]string{}
				for _, a := range e.Attr {
					attr[a.Name.Local] = a.Value
				}
				if e.Name.Local == "svg" {
					depth++
					if depth == 1 {
						drawings++
						height = number(t, attr["height"])
						if attr["role"] != "img" && attr["aria-hidden"] != "true" {
							t.Error("a drawing without a role")
						}
					}
				}
				if depth == 0 || attr["width"] != "" && e.Name.Local == "svg" || strings.Contains(strings.Join(values(attr), " "), "%") == false {
					return
				}
				for _, k := range []string{"x", "x1", "x2"} {
					if v, ok := attr[k]; ok {
						inside(t, k, v, 0, 100)
					}
				}
				if w, ok := attr["width"]; ok {
					inside(t, "x and width", strconv.FormatFloat(number(t, attr["x"])+number(t, w), 'f', -1, 64), 0, 100.02)
				}
				low, high := 0.0, height
				switch {
				case e.Name.Local == "text":
					high += 40
				case attr["class"] == "grid" || attr["class"] == "bound":
					low, high = -beyond, high+beyond
				}
				for _, k := range []string{"y", "y1", "y2"} {
					if v, ok := attr[k]; ok {
						inside(t, k, v, low, high)
					}
				}
			})
			if drawings == 0 && name != "nothing" && name != "one case" {
				t.Error("no drawings")
			}
		})
	}
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		t.Errorf("%q is no coordinate", s)
	}
	return v
}

func inside(t *testing.T, what, s string, low, high float64) {
	t.Helper()
	if v := number(t, s); v < low || v > high {
		t.Errorf("%s = %s is outside of %v to %v", what, s, low, high)
	}
}

func TestEveryDrawingIsNamedAndEveryTableHasACaption(t *testing.T) {
	page := string(pages(t)["rich"])
	if n, m := strings.Count(page, `role="img"`), strings.Count(page, `role="img"><title>`); m < n-strings.Count(page, `aria-hidden="true"><span></span>`) {
		t.Errorf("%d of %d drawings have a name", m, n)
	}
	if n, m := strings.Count(page, "<table"), strings.Count(page, "<caption>"); n != m || n == 0 {
		t.Errorf("%d captions of %d tables", m, n)
	}
	if strings.Count(page, "<h1>") != 1 {
		t.Error("there is no single heading of the page")
	}
}

func TestAScaleKeepsAllInItsRange(t *testing.T) {
	for _, v := range []float64{0, 1, -1, 1e-300, 1e300, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN()} {
		for _, high := range []float64{0, 1, 1e-300, 1e300, math.MaxFloat64, math.Inf(1), math.NaN()} {
			s, ticks := linear(high)
			l, logTicks := logarithmic(high, v, 240, 0)
			for _, got := range []float64{s.at(v), l.at(v) / 2.4} {
				if !(got >= 0 && got <= 100) {
					t.Errorf("of %v, up to %v: %v", v, high, got)
				}
			}
			if len(ticks) < 2 || len(ticks) > 7 || len(logTicks) < 2 || len(logTicks) > 8 {
				t.Errorf("of %v, up to %v: %d and %d ticks", v, high, len(ticks), len(logTicks))
			}
		}
	}
}
