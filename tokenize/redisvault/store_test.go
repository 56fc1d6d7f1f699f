package redisvault

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

func TestTheContractOfStores(t *testing.T) {
	s := newFake(t).store(t)
	vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
}

func TestTheContractOfStoresThatWait(t *testing.T) {
	f := newFake(t)
	f.confirm = func(string) []int64 { return []int64{2} }
	s := f.store(t, WithWait(2, time.Second))
	vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
}

func TestScriptsAreKnownByTheirSums(t *testing.T) {
	for text, want := range map[string]string{insertScript: insertSHA, deleteScript: deleteSHA} {
		if sum := sha1.Sum([]byte(text)); hex.EncodeToString(sum[:]) != want {
			t.Errorf("a script has the sum %x", sum)
		}
	}
}

func TestScriptsAreSentWhenTheServerHasForgottenThem(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	for round, want := range []int{1, 1, 2} {
		if round == 2 {
			if err := f.client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		rows := rowsOf(20)
		for i := range rows {
			rows[i].Scope = string(rune('a' + round))
		}
		if _, err := s.Insert(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		if f.sent["eval"] != want {
			t.Errorf("round %d: scripts were sent %d times, want %d", round, f.sent["eval"], want)
		}
	}
}

func TestRoundTrips(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	warm := rowsOf(1)
	warm[0].Scope = "another"
	if _, err := s.Insert(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	_, ref := keysAndRefs(warm)
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(maxCommands)
	keys, refs := keysAndRefs(rows)
	for _, c := range []struct {
		name string
		want int
		call func() error
	}{
		{"an insert of new rows", 1, func() error { _, err := s.Insert(t.Context(), rows); return err }},
		{"an insert of rows that exist", 1, func() error { _, err := s.Insert(t.Context(), rows); return err }},
		{"an insert of more rows than go into a pipeline", 2, func() error { _, err := s.Insert(t.Context(), rowsOf(maxCommands+1)); return err }},
		{"rows by index", 1, func() error { _, err := s.ByIndex(t.Context(), keys); return err }},
		{"rows by token", 2, func() error { _, err := s.ByToken(t.Context(), refs); return err }},
		{"a count", 1, func() error { _, err := s.Count(t.Context(), "scope"); return err }},
		{"a delete", 2, func() error { return s.Delete(t.Context(), refs) }},
		{"a delete of nothing", 1, func() error { return s.Delete(t.Context(), refs) }},
	} {
		before := f.pipelines
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if trips := f.pipelines - before; trips != c.want {
			t.Errorf("%s takes %d round trips, want %d", c.name, trips, c.want)
		}
	}
	if f.sent["info"] != 1 || f.sent["config"] != 1 {
		t.Errorf("the server was looked at %d times", f.sent["info"])
	}
}

func TestPipelinesAreCutByBytes(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	rows := rowsOf(maxBytes/tokenize.MaxSealed + 1)
	for i := range rows {
		rows[i].Sealed = make([]byte, tokenize.MaxSealed)
	}
	out, err := s.Insert(t.Context(), rows)
	if err != nil || len(out) != len(rows) {
		t.Fatalf("%d outcomes, %v", len(out), err)
	}
	for i, o := range out {
		if o.Status != tokenize.Inserted || o.Row.Index != rows[i].Index {
			t.Errorf("row %d: status %d", i, o.Status)
		}
	}
	if f.pipelines != 3 { // one of them brings the script
		t.Errorf("%d pipelines", f.pipelines)
	}
}

func TestServersThatLoseRowsAreRefused(t *testing.T) {
	wait := WithWait(1, time.Second)
	for _, test := range []struct {
		name    string
		change  func(f *fake)
		options []Option
		want    string // of the error; empty for none
	}{
		{"a server that flushes each command", nil, nil, ""},
		{"one that flushes each second", func(f *fake) { f.config["appendfsync"] = "everysec" }, nil, "appendfsync is not always"},
		{"one whose appendfsync has another name", func(f *fake) { f.config = map[string]string{"fsync": "always"} }, nil, "appendfsync is not always"},
		{"one without a file", func(f *fake) { f.info["aof_enabled"] = "0" }, nil, "appendonly is not yes"},
		{"one that tells of no file", func(f *fake) { delete(f.info, "aof_enabled") }, nil, "appendonly is not yes"},
		{"one that evicts", func(f *fake) { f.info["maxmemory_policy"] = "allkeys-lru" }, nil, "not noeviction"},
		{"one that evicts what has a time to live", func(f *fake) { f.info["maxmemory_policy"] = "volatile-lru" }, nil, "not noeviction"},
		{"one that does not tell whether it evicts", func(f *fake) { delete(f.info, "maxmemory_policy") }, nil, "not noeviction"},
		{"one that refuses CONFIG", func(f *fake) { f.noConfig = true }, nil, "CONFIG GET is refused (ERR)"},

		{"without the check: one that refuses CONFIG", func(f *fake) { f.noConfig = true }, []Option{WithoutDurabilityCheck()}, ""},
		{"without the check: one that says nothing", func(f *fake) { f.noConfig, f.info = true, nil }, []Option{WithoutDurabilityCheck()}, ""},
		{"without the check: one without a file", func(f *fake) { f.info["aof_enabled"] = "0" }, []Option{WithoutDurabilityCheck()}, ""},
		{"without the check: one that evicts", func(f *fake) { f.info["maxmemory_policy"] = "allkeys-lru" }, []Option{WithoutDurabilityCheck()}, "not noeviction"},

		{"with replicas: an old one that flushes each second", func(f *fake) { f.config["appendfsync"] = "everysec" }, []Option{wait}, "appendfsync is not always"},
		{"with replicas: 7.2 that flushes each second", func(f *fake) { f.info["redis_version"], f.noConfig = "7.2.0", true }, []Option{wait}, ""},
		{"with replicas: 10.0", func(f *fake) { f.info["redis_version"], f.noConfig = "10.0.1", true }, []Option{wait}, ""},
		{"with replicas: 7.2 without a file", func(f *fake) { f.info["redis_version"], f.info["aof_enabled"] = "7.2.0", "0" }, []Option{wait}, "appendonly is not yes"},
		{"with replicas: of no version", func(f *fake) { f.info["redis_version"], f.noConfig = "x", true }, []Option{wait}, "CONFIG GET is refused"},
		{"with no replicas: an old one", nil, []Option{WithWait(0, time.Second)}, "takes WAITAOF"},
		{"with no replicas: 7.2 without a file", func(f *fake) { f.info["redis_version"], f.info["aof_enabled"] = "7.2.0", "0" }, []Option{WithWait(0, time.Second), WithoutDurabilityCheck()}, "takes WAITAOF"},
		{"with no replicas: 7.4", func(f *fake) { f.info["redis_version"] = "7.4.1" }, []Option{WithWait(0, time.Second)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t)
			f.confirm = func(cmd string) []int64 {
				if strings.HasPrefix(cmd, "waitaof") {
					return []int64{1, 1}
				}
				return []int64{1}
			}
			if test.change != nil {
				test.change(f)
			}
			s := f.store(t, test.options...)
			out, err := s.Insert(t.Context(), rowsOf(1))
			if test.want == "" {
				if err != nil || s.Check(t.Context()) != nil {
					t.Fatalf("Insert: %v", err)
				}
				return
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(e.Error(), test.want) || e.Retryable() || e.Op != "insert" || out != nil {
				t.Errorf("Insert: %v", err)
			}
			if e, ok := errors.AsType[*Error](s.Check(t.Context())); !ok || !strings.Contains(e.Error(), test.want) || e.Op != "check" {
				t.Errorf("Check: %v", e)
			}
			if keys := f.server.Keys(); len(keys) > 0 {
				t.Error("something was written")
			}
		})
	}
}

func TestReplicasThatDoNotConfirm(t *testing.T) {
	for _, test := range []struct {
		name    string
		version string
		answer  []int64
		ok      bool
	}{
		{"WAIT, as many as asked for", "7.0.15", []int64{2}, true},
		{"WAIT, more", "7.0.15", []int64{3}, true},
		{"WAIT, one less", "7.0.15", []int64{1}, false},
		{"WAITAOF, as many as asked for", "7.2.4", []int64{1, 2}, true},
		{"WAITAOF, one replica less", "7.2.4", []int64{1, 1}, false},
		{"WAITAOF, not the primary", "7.2.4", []int64{0, 2}, false},
		{"WAITAOF that answers as WAIT does", "7.2.4", []int64{2}, false},
		{"WAIT that answers as WAITAOF does", "7.0.15", []int64{1, 2}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t)
			f.info["redis_version"] = test.version
			asked := ""
			f.confirm = func(cmd string) []int64 { asked = cmd; return test.answer }
			s := f.store(t, WithWait(2, 1500*time.Millisecond))
			rows := rowsOf(3)
			keys, refs := keysAndRefs(rows)
			out, errInsert := s.Insert(t.Context(), rows)
			if want := map[string]string{"7.0.15": "wait 2 1500", "7.2.4": "waitaof 1 2 1500"}[test.version]; asked != want {
				t.Errorf("asked by %q", asked)
			}
			_, errIndex := s.ByIndex(t.Context(), keys)
			_, errToken := s.ByToken(t.Context(), refs)
			for call, err := range map[string]error{"Insert": errInsert, "ByIndex": errIndex, "ByToken": errToken, "Delete": s.Delete(t.Context(), refs)} {
				if (err == nil) != test.ok {
					t.Errorf("%s: %v", call, err)
				}
			}
			if test.ok != (len(out) == 3) {
				t.Errorf("%d outcomes", len(out))
			}
			if f.sent["set"] == 0 {
				t.Error("no write of the connection's own comes before the wait")
			}
		})
	}
}

func TestErrorsThatMayPass(t *testing.T) {
	for _, test := range []struct {
		code             error
		again, retryable bool
	}{
		{serverError("LOADING Redis is loading the dataset in memory"), true, true},
		{serverError("TRYAGAIN Multiple keys request during rehashing of slot"), true, true},
		{serverError("READONLY You can't write against a read only replica."), true, true},
		{serverError("CLUSTERDOWN The cluster is down"), true, true},
		{io.EOF, true, true},
		{serverError("OOM command not allowed when used memory > 'maxmemory'."), false, true},
		{serverError("MISCONF Redis is configured to save RDB snapshots"), false, true},
		{serverError("NOREPLICAS Not enough good replicas to write."), false, true},
		{serverError("NOPERM this user has no permissions to run the 'evalsha' command on sealed 0"), false, false},
		{serverError("WRONGTYPE Operation against a key holding tok_0"), false, false},
		{serverError("ERR unknown command 'evalsha', with args beginning with: 'tok_0' 'sealed 0'"), false, false},
		{serverError("tok_0 is no code"), false, false},
	} {
		t.Run(test.code.Error(), func(t *testing.T) {
			f := newFake(t)
			s := f.store(t)
			faults := 0
			f.fail = func(cmd redis.Cmder) error {
				if !strings.HasPrefix(cmd.Name(), "eval") || faults >= 2 {
					return nil
				}
				faults++
				return test.code
			}
			out, err := s.Insert(t.Context(), rowsOf(1))
			if test.again {
				if err != nil || len(out) != 1 || out[0].Status != tokenize.Inserted {
					t.Errorf("Insert: %v", err)
				}
				faults = -1000
			}
			out, err = s.Insert(t.Context(), rowsOf(3)[2:])
			e, ok := errors.AsType[*Error](err)
			if !ok || out != nil || e.Retryable() != test.retryable {
				t.Fatalf("Insert: %v", err)
			}
			for _, secret := range []string{"tok_", "sealed"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells: %v", err)
				}
			}
			if !test.again && faults != 2 {
				t.Errorf("sent %d times", faults)
			}
			if test.again && faults != -1000+attempts {
				t.Errorf("sent %d times", faults+1000)
			}
		})
	}
}

func TestOnlyWhatFailedIsSentAgain(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	rows := rowsOf(10)
	if _, err := s.Insert(t.Context(), rows[:1]); err != nil {
		t.Fatal(err)
	}
	before := f.sent["evalsha"]
	failed := 0
	f.fail = func(cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" && failed < 2 && slices.ContainsFunc(cmd.Args(), func(a any) bool { text, ok := a.(string); return ok && strings.HasSuffix(text, "tok_7") }) {
			failed++
			return serverError("TRYAGAIN")
		}
		return nil
	}
	out, err := s.Insert(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out {
		if (o.Status == tokenize.Exists) != (i == 0) || !bytes.Equal(o.Row.Token, rows[i].Token) {
			t.Errorf("row %d: status %d", i, o.Status)
		}
	}
	if sent := f.sent["evalsha"] - before; sent != len(rows)+2 {
		t.Errorf("%d commands", sent)
	}
}

func TestAnswersThatAreLost(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	lost := 0
	f.lose = func(cmd redis.Cmder) bool {
		if strings.HasPrefix(cmd.Name(), "eval") && !isScriptMissing(cmd) && lost < 3 {
			lost++
			return true
		}
		return false
	}
	rows := rowsOf(3)
	out, err := s.Insert(t.Context(), rows)
	if err != nil || lost != 3 {
		t.Fatal(err)
	}
	for i, o := range out {
		if o.Status != tokenize.Exists || !bytes.Equal(o.Row.Token, rows[i].Token) {
			t.Errorf("row %d: status %d", i, o.Status)
		}
	}
	if f.sent["info"] != 2 {
		t.Errorf("the server was looked at %d times: after a lost connection it may be another one", f.sent["info"])
	}
	if n, err := s.Count(t.Context(), "scope"); err != nil || n != 3 {
		t.Errorf("Count = %d, %v", n, err)
	}
}

func isScriptMissing(cmd redis.Cmder) bool {
	return cmd.Err() != nil && strings.HasPrefix(cmd.Err().Error(), "NOSCRIPT")
}

func TestWhatIsNoRowIsAnError(t *testing.T) {
	row := rowsOf(1)[0]
	keys, refs := keysAndRefs([]tokenize.Row{row})
	for name, stored := range map[string]string{
		"another format": "\x02\x01ts", "no token": "\x01\x00s", "no sealed value": "\x01\x01t", "a token cut short": "\x01\x09tok", "one byte": "\x01",
		"nothing": "", "too long a value": "\x01\x01t" + strings.Repeat("x", tokenize.MaxSealed+1),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			s := f.store(t)
			space := s.space(row.Scope)
			for key, value := range map[string]string{indexKey(space, &row.Index): stored, tokenKey(space, row.Token): string(row.Index[:])} {
				if err := f.server.Set(key, value); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := s.Insert(t.Context(), []tokenize.Row{row}); err == nil || out != nil {
				t.Errorf("Insert: %v", err)
			}
			if rows, err := s.ByIndex(t.Context(), keys); err == nil || rows != nil {
				t.Errorf("ByIndex: %v", err)
			}
			if rows, err := s.ByToken(t.Context(), refs); err == nil || rows != nil {
				t.Errorf("ByToken: %v", err)
			}
		})
	}
	f := newFake(t)
	s := f.store(t)
	space := s.space(row.Scope)
	for key, value := range map[string]string{tokenKey(space, row.Token): "short", countKey(space): "-1"} {
		if err := f.server.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ByToken(t.Context(), refs); err == nil {
		t.Error("a token leads to what is no index")
	}
	if _, err := s.Count(t.Context(), row.Scope); err == nil {
		t.Error("a count is below zero")
	}
}

// A token whose row somebody removed by hand stands for nothing, is given to
// nobody else, and can be deleted.
func TestTokensWithoutRows(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	rows := rowsOf(2)
	if _, err := s.Insert(t.Context(), rows[:1]); err != nil {
		t.Fatal(err)
	}
	_, refs := keysAndRefs(rows[:1])
	f.server.Del(indexKey(s.space("scope"), &rows[0].Index))
	if found, err := s.ByToken(t.Context(), refs); err != nil || found[0].Scope != "" {
		t.Errorf("ByToken: %v", err)
	}
	rows[1].Token = rows[0].Token
	if out, err := s.Insert(t.Context(), rows[1:]); err != nil || out[0].Status != tokenize.Taken {
		t.Errorf("Insert: %v", err)
	}
	if err := s.Delete(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Insert(t.Context(), rows[1:]); err != nil || out[0].Status != tokenize.Inserted {
		t.Errorf("Insert after the delete: %v", err)
	}
}

// Between its two round trips a delete leaves alone what became another row.
func TestDeletesOfTokensThatMoved(t *testing.T) {
	f := newFake(t)
	s := f.store(t)
	rows := rowsOf(2)
	rows[1].Token = rows[0].Token
	if _, err := s.Insert(t.Context(), rows[:1]); err != nil {
		t.Fatal(err)
	}
	_, refs := keysAndRefs(rows[:1])
	moved := false
	f.fail = func(cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") && !moved {
			moved = true
			space := s.space("scope")
			f.server.Del(indexKey(space, &rows[0].Index))
			_ = f.server.Set(indexKey(space, &rows[1].Index), string(append(appendHead(nil, rows[1].Token), rows[1].Sealed...)))
			_ = f.server.Set(tokenKey(space, rows[1].Token), string(rows[1].Index[:]))
		}
		return nil
	}
	if err := s.Delete(t.Context(), refs); err != nil || !moved {
		t.Fatal(err)
	}
	found, err := s.ByToken(t.Context(), refs)
	if err != nil || found[0].Index != rows[1].Index {
		t.Errorf("the other row is gone: %v", err)
	}
}

func TestContextsThatEndBetweenAttempts(t *testing.T) {
	f := newFake(t)
	f.fail = func(redis.Cmder) error { return serverError("LOADING") }
	s := f.store(t)
	s.checked.Store(&servers{})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), firstPause/4)
		defer cancel()
		out, err := s.Insert(ctx, rowsOf(1))
		if !errors.Is(err, context.DeadlineExceeded) || out != nil {
			t.Errorf("Insert: %v", err)
		}
	})
}

func TestClientsThatCannotBeUsed(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{})
	defer ring.Close()
	single := redis.NewClient(&redis.Options{ReadTimeout: time.Second})
	defer single.Close()
	for name, test := range map[string]struct {
		client  redis.UniversalClient
		options []Option
	}{
		"nothing":                          {nil, nil},
		"no client":                        {(*redis.Client)(nil), nil},
		"no cluster":                       {(*redis.ClusterClient)(nil), nil},
		"a ring":                           {ring, nil},
		"a prefix with braces":             {single, []Option{WithPrefix("a{b}")}},
		"a prefix with a space":            {single, []Option{WithPrefix("a b")}},
		"a prefix of other letters":        {single, []Option{WithPrefix("ä")}},
		"no prefix":                        {single, []Option{WithPrefix("")}},
		"a long prefix":                    {single, []Option{WithPrefix(strings.Repeat("a", maxPrefix+1))}},
		"a wait as long as reads may take": {single, []Option{WithWait(1, time.Second)}},
		"a wait without an end":            {single, []Option{WithWait(1, 0)}},
		"a wait for fewer than none":       {single, []Option{WithWait(-1, time.Millisecond)}},
	} {
		if s, err := New(test.client, test.options...); err == nil || s != nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := New(single, WithWait(1, 999*time.Millisecond), WithPrefix("Az09:._-/")); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), "http://user:secret@127.0.0.1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open: %v", err)
	}
}

func TestStoresWithOtherPrefixes(t *testing.T) {
	f := newFake(t)
	a, b := f.store(t, WithPrefix("a")), f.store(t, WithPrefix("b"))
	rows := rowsOf(1)
	for _, s := range []*Store{a, b} {
		if out, err := s.Insert(t.Context(), rows); err != nil || out[0].Status != tokenize.Inserted {
			t.Errorf("Insert: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := f.client.Ping(t.Context()).Err(); err != nil {
		t.Error("the caller's client was closed")
	}
}
