package report

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var shots = flag.String("shots", "", "directory to write pages and pictures of them to")

// A browser is a headless chromium, driven by the DevTools protocol over a pipe.
type browser struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	id      int
	session string
}

type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no chromium here, so the page is not looked at in a browser")
	}
	// Not the context of the test, which ends before the browser is asked to.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	if end, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, end.Add(-5*time.Second))
	}
	home := t.TempDir()
	args := []string{"--headless=new", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + home}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // it does not run as root otherwise; the pages are ours
	}
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, append(args, "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirs, answers}
	cmd.Env = append(os.Environ(), "HOME="+home)
	if err := cmd.Start(); err != nil {
		t.Skip("chromium does not start: ", err)
	}
	_ = theirs.Close()
	_ = answers.Close()
	b := &browser{t: t, to: to, from: bufio.NewReaderSize(from, 1<<20)}
	t.Cleanup(func() {
		_, _ = to.WriteString(`{"id":0,"method":"Browser.close"}` + "\x00")
		_, _ = io.Copy(io.Discard, b.from) // until it has ended, with all its processes
		_ = cmd.Wait()
		cancel()
		_ = to.Close()
		_ = from.Close()
	})
	var target struct{ TargetID string }
	b.into(&target, b.call("Target.createTarget", map[string]any{"url": "about:blank"}))
	var session struct{ SessionID string }
	b.into(&session, b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}))
	b.session = session.SessionID
	b.call("Page.enable", nil)
	return b
}

func (b *browser) into(v any, data json.RawMessage) {
	b.t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command and reads until its answer.
func (b *browser) call(method string, params any) json.RawMessage {
	b.t.Helper()
	b.id++
	data, err := json.Marshal(message{ID: b.id, Method: method, SessionID: b.session, Params: params})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(data, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		m := b.read()
		if m.ID != b.id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		return m.Result
	}
}

func (b *browser) read() message {
	b.t.Helper()
	data, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatal(err)
	}
	var m message
	b.into(&m, bytes.TrimSuffix(data, []byte{0}))
	return m
}

// open shows a page and waits until it is there.
func (b *browser) open(path string, width int, scheme, media string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false})
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": media, "features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
	b.id++
	u := url.URL{Scheme: "file", Path: path}
	data, err := json.Marshal(message{ID: b.id, Method: "Page.navigate", SessionID: b.session, Params: map[string]any{"url": u.String()}})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(data, 0)); err != nil {
		b.t.Fatal(err)
	}
	for b.read().Method != "Page.loadEventFired" {
	}
}

// eval returns what a script says of the page.
func (b *browser) eval(v any, script string) {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.into(&out, b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}))
	if out.ExceptionDetails != nil {
		b.t.Fatalf("the script failed: %s", out.ExceptionDetails)
	}
	b.into(v, out.Result.Value)
}

func (b *browser) picture(path string) {
	b.t.Helper()
	var out struct{ Data string }
	b.into(&out, b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "format": "png"}))
	data, err := base64.StdEncoding.DecodeString(out.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// wideElements names what sticks out of the page beside its own scroll box.
const wideElements = `[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('caption') &&
	e.getBoundingClientRect().width > 0 && (e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)).slice(0, 5).map(e => e.outerHTML.slice(0, 200))`

// overlaps names texts of one drawing that lie on each other.
const overlaps = `[...document.querySelectorAll('svg.plot, svg.bar')].flatMap(s => {
	const boxes = [...s.querySelectorAll('text')].map(t => [t, t.getBoundingClientRect()]).filter(([t, r]) => r.width > 0);
	const out = [];
	for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
		const a = boxes[i][1], b = boxes[j][1];
		if (a.left + 1 < b.right && b.left + 1 < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
			out.push(boxes[i][0].textContent + ' / ' + boxes[j][0].textContent);
	}
	return out;
}).slice(0, 5)`

// contrasts names text that is too faint for its background: below 4.5 to 1.
const contrasts = `(() => {
	const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const rgba = s => (s.match(/[\d.]+/g) || []).map(Number);
	const paper = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
	const out = new Set();
	const seen = (e, ink, back) => { const a = lum(ink), b = lum(back), k = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); if (k < 4.5) out.add(k.toFixed(2) + ' ' + e.outerHTML.slice(0, 120)); };
	for (const e of document.querySelectorAll('body *')) {
		if (e.closest('svg')) continue;
		if ([...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) seen(e, rgba(getComputedStyle(e).color).slice(0, 3), paper(e));
	}
	for (const e of document.querySelectorAll('svg text')) {
		if (!e.classList.contains('in-part')) { seen(e, rgba(getComputedStyle(e).fill).slice(0, 3), paper(e.closest('svg').parentElement)); continue; }
		for (let r = e.previousElementSibling; r; r = r.previousElementSibling) if (r.tagName === 'rect') { seen(e, rgba(getComputedStyle(e).fill).slice(0, 3), rgba(getComputedStyle(r).fill).slice(0, 3)); break; }
	}
	return [...out].slice(0, 5);
})()`

func TestThePageFitsWideAndNarrowScreens(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := startBrowser(t)
	dir := *shots
	if dir == "" {
		dir = t.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, html := range pages(t) {
		t.Run(name, func(t *testing.T) {
			outer := b.t
			b.t = t
			t.Cleanup(func() { b.t = outer })
			path := filepath.Join(dir, name+".html")
			if err := os.WriteFile(path, html, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, show := range []struct {
				width  int
				scheme string
				media  string
			}{{1280, "light", "screen"}, {1280, "dark", "screen"}, {800, "light", "screen"}, {400, "light", "screen"}, {740, "dark", "print"}} {
				b.open(path, show.width, show.scheme, show.media)
				b.fits(t, fmt.Sprintf("at %d px, %s, %s", show.width, show.scheme, show.media), show.width)
				if *shots != "" {
					b.picture(filepath.Join(dir, fmt.Sprintf("%s-%d-%s-%s.png", name, show.width, show.scheme, show.media)))
				}
			}
		})
	}
}

// fits checks the page that is open.
func (b *browser) fits(t *testing.T, at string, width int) {
	t.Helper()
	var got struct {
		Scroll, Inner, Sections int
		Wide, Overlaps, Faint   []string
		Style                   string
	}
	b.eval(&got, `({scroll: document.documentElement.scrollWidth, inner: innerWidth, sections: document.querySelectorAll('main > section').length,
		style: getComputedStyle(document.querySelector('.facts')).display, wide: `+wideElements+`, overlaps: `+overlaps+`, faint: `+contrasts+`})`)
	if got.Scroll > got.Inner || got.Inner != width {
		t.Errorf("%s: the page is %d px wide on a screen of %d", at, got.Scroll, got.Inner)
	}
	if got.Sections == 0 || got.Style != "grid" {
		t.Errorf("%s: %d sections, facts are shown as %q: the style was not taken", at, got.Sections, got.Style)
	}
	if len(got.Wide) > 0 {
		t.Errorf("%s: sticks out: %q", at, got.Wide)
	}
	if len(got.Overlaps) > 0 {
		t.Errorf("%s: texts lie on each other: %q", at, got.Overlaps)
	}
	if len(got.Faint) > 0 {
		t.Errorf("%s: too faint: %q", at, got.Faint)
	}
}
