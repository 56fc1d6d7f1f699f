package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want string
		ok   bool
	}{
		{
			name: "passing tests end with the closing lines of go test",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"    --- PASS: TestA/x (0.00s)\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"PASS\n"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: "--- PASS: TestA (0.00s)\n\n== summary: 2 tests and subtests passed, 0 failed, 0 skipped\n\nPASS\nok  \tp\t0.1s\n",
			ok:   true,
		},
		{
			name: "a skipped test is listed with its reason",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestB/tls","Output":"    b_test.go:7: no Java: cannot start a broker\n"}`,
				`{"Action":"output","Package":"p","Test":"TestB/tls","Output":"    --- SKIP: TestB/tls (0.00s)\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestB/tls"}`,
			},
			want: "    b_test.go:7: no Java: cannot start a broker\n    --- SKIP: TestB/tls (0.00s)\n" +
				"\n== summary: 1 tests and subtests passed, 0 failed, 1 skipped\n" +
				"skipped TestB/tls: no Java: cannot start a broker\n\n",
			ok: true,
		},
		{
			name: "a skip without a word says so",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"skip","Package":"p","Test":"TestB"}`,
			},
			want: "\n== summary: 1 tests and subtests passed, 0 failed, 1 skipped\n" +
				"skipped TestB: no reason given\n\n",
			ok: true,
		},
		{
			name: "a failing test fails the run",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p","Test":"TestB"}`,
			},
			want: "\n== summary: 1 tests and subtests passed, 1 failed, 0 skipped\n\n",
		},
		{
			name: "a package that does not build fails the run beside one that passes",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"ImportPath":"q","Action":"build-output","Output":"q.go:1: wrong\n"}`,
				`{"ImportPath":"q","Action":"build-fail"}`,
				`{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}`,
			},
			want: "q.go:1: wrong\n\n== summary: 1 tests and subtests passed, 0 failed, 0 skipped\n\nFAIL\tq [build failed]\n",
		},
		{
			name: "a run without tests fails, even when all its packages are skipped",
			in:   []string{`{"Action":"skip","Package":"p"}`},
			want: "\n== summary: 0 tests and subtests passed, 0 failed, 0 skipped\nno test ran, which counts as a failure\n\n",
		},
		{
			name: "what is no event is printed as it is",
			in:   []string{"go: downloading something", `{"Action":"pass","Package":"p","Test":"TestA"}`},
			want: "go: downloading something\n\n== summary: 1 tests and subtests passed, 0 failed, 0 skipped\n\n",
			ok:   true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := run(strings.NewReader(strings.Join(tt.in, "\n")+"\n"), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != tt.ok {
				t.Errorf("ok = %v, want %v", ok, tt.ok)
			}
			if out.String() != tt.want {
				t.Errorf("output:\n%s\nwant:\n%s", out.String(), tt.want)
			}
		})
	}
}
