package dynamovault

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

func TestTheContractOfStores(t *testing.T) {
	s := newFake().store(t)
	vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
}

func TestRequestsOfEachCall(t *testing.T) {
	f := newFake()
	s := f.store(t, WithParallel(1))
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(200)
	keys, refs := keysAndRefs(rows)
	long := rowsOf(201)[200:]
	long[0].Sealed = make([]byte, writeUnit)
	_, longRefs := keysAndRefs(long)
	for _, c := range []struct {
		name                  string
		transact, get, update int
		call                  func() error
	}{
		{"an insert of new rows", 8, 0, 1, func() error { _, err := s.Insert(t.Context(), rows); return err }},
		{"an insert of rows that exist", 8, 0, 2, func() error { _, err := s.Insert(t.Context(), rows); return err }},
		{"an insert of a long row", 1, 0, 1, func() error { _, err := s.Insert(t.Context(), long); return err }},
		{"rows by index", 0, 2, 0, func() error { _, err := s.ByIndex(t.Context(), keys); return err }},
		{"one row by index, asked for often", 0, 1, 0, func() error { _, err := s.ByIndex(t.Context(), slices.Repeat(keys[:1], 300)); return err }},
		{"rows by token", 0, 2, 0, func() error { _, err := s.ByToken(t.Context(), refs); return err }},
		{"a long row by token", 0, 2, 0, func() error { _, err := s.ByToken(t.Context(), longRefs); return err }},
		{"a count", 0, 1, 0, func() error { _, err := s.Count(t.Context(), "scope"); return err }},
		{"a delete", 8, 2, 1, func() error { return s.Delete(t.Context(), refs) }},
		{"a delete of nothing", 0, 2, 0, func() error { return s.Delete(t.Context(), refs) }},
	} {
		clear(f.calls)
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := [3]int{f.calls["transact"], f.calls["get"], f.calls["update"]}; got != [3]int{c.transact, c.get, c.update} {
			t.Errorf("%s takes %d requests, want %d transactions, %d reads and %d updates", c.name, got, c.transact, c.get, c.update)
		}
	}
	if f.calls["describe"] > 0 {
		t.Error("the table was looked at again")
	}
}

// A row that exists takes the others of its transaction down, and they get
// another one without it.
func TestTransactionsAreDoneAgainWithoutWhatExists(t *testing.T) {
	f := newFake()
	s := f.store(t)
	rows := rowsOf(maxTransaction)
	old := slices.Clone(rows[3:5])
	old[1].Index = tokenize.Index{0xff} // the token is another's
	if _, err := s.Insert(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	f.rows = nil
	out, err := s.Insert(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out {
		want := tokenize.Inserted
		switch i {
		case 3:
			want = tokenize.Exists
		case 4:
			want = tokenize.Taken
		}
		if o.Status != want {
			t.Errorf("row %d: status %d", i, o.Status)
		}
	}
	if !slices.Equal(f.rows, []int{maxTransaction, maxTransaction - 2}) {
		t.Errorf("transactions of %d rows", f.rows)
	}
	if n, err := s.Count(t.Context(), "scope"); err != nil || n != maxTransaction {
		t.Errorf("Count = %d, %v", n, err)
	}
}

func TestRowsOfOneTokenTakeFewRequests(t *testing.T) {
	f := newFake()
	s := f.store(t)
	rows := rowsOf(100)
	for i := range rows {
		rows[i].Token = rows[0].Token
	}
	out, err := s.Insert(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	want := append([]tokenize.Status{tokenize.Inserted}, slices.Repeat([]tokenize.Status{tokenize.Taken}, 99)...)
	if got := statuses(out); !slices.Equal(got, want) {
		t.Errorf("statuses %d", got)
	}
	if f.calls["transact"]+f.calls["get"] != 2 {
		t.Errorf("requests %v", f.calls)
	}
}

func TestConflictsBetweenTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		f := newFake()
		s := f.store(t)
		left := 3
		f.reasons = func(parts int) []types.CancellationReason {
			if left == 0 {
				return nil
			}
			left--
			reasons := make([]types.CancellationReason, parts)
			reasons[parts-1].Code = aws.String(conflict)
			return reasons
		}
		rows := rowsOf(10)
		out, err := s.Insert(t.Context(), rows)
		if err != nil || slices.ContainsFunc(out, func(o tokenize.Outcome) bool { return o.Status != tokenize.Inserted }) {
			t.Fatalf("Insert: %v, %v", statuses(out), err)
		}
		if f.rows[0] != 10 || slices.Max(f.rows[1:]) != 1 {
			t.Errorf("transactions of %d rows: after a conflict each has its own", f.rows)
		}
		left = 1 << 30
		f.rows = nil
		out, err = s.Insert(t.Context(), rowsOf(11)[10:])
		if e, ok := errors.AsType[*Error](err); !ok || out != nil || e.Code != conflict || !e.Retryable() || len(f.rows) != attempts {
			t.Errorf("Insert: %v after %d attempts", err, len(f.rows))
		}
	})
}

func TestErrorsThatMayPass(t *testing.T) {
	for _, call := range []string{"describe", "update", "transact", "get"} {
		for _, test := range []struct {
			name             string
			err              error
			again, retryable bool
		}{
			{"throttled", apiError("ThrottlingException"), true, true},
			{"out of capacity", &types.ProvisionedThroughputExceededException{}, true, true},
			{"limited", apiError("RequestLimitExceeded"), true, true},
			{"a fault", &types.InternalServerError{}, true, true},
			{"a lost connection", errNetwork, true, true},
			{"in progress", &types.TransactionInProgressException{}, true, true},
			{"no table", &types.ResourceNotFoundException{}, false, false},
			{"no right", apiError("AccessDeniedException"), false, false},
			{"old credentials", apiError("ExpiredTokenException"), false, false},
			{"a bad request", apiError("ValidationException"), false, false},
		} {
			t.Run(call+" "+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					t.Helper()
					f := newFake()
					s := f.store(t)
					faults, limit := 0, 2
					f.fail = func(at string) error {
						if at != call || faults >= limit {
							return nil
						}
						faults++
						return test.err
					}
					run := func() (err error) {
						if call == "get" {
							keys, _ := keysAndRefs(rowsOf(3))
							_, err = s.ByIndex(t.Context(), keys)
						} else {
							_, err = s.Insert(t.Context(), rowsOf(3))
						}
						return err
					}
					err := run()
					if call != "describe" && test.again && err != nil {
						t.Fatalf("%v", err)
					}
					faults, limit = 0, 1<<30
					s.checked.Store(call != "describe")
					e, ok := errors.AsType[*Error](run())
					if !ok || e.Retryable() != test.retryable {
						t.Fatalf("%v", e)
					}
					if strings.Contains(e.Error(), "tok_") || strings.Contains(e.Error(), "sealed") {
						t.Errorf("the error tells: %v", e)
					}
					want := 1
					if test.again && call != "describe" {
						want = attempts
					}
					if faults != want {
						t.Errorf("%d attempts, want %d", faults, want)
					}
				})
			})
		}
	}
}

func TestReasonsThatCannotBeRight(t *testing.T) {
	none := types.CancellationReason{Code: aws.String(reasonNone)}
	for name, test := range map[string]struct {
		reasons []types.CancellationReason
		again   bool
	}{
		"too few":                          {[]types.CancellationReason{none}, false},
		"nobody is to blame":               {[]types.CancellationReason{none, none}, true},
		"no code":                          {make([]types.CancellationReason, 2), true},
		"an item that is no row":           {[]types.CancellationReason{{Code: aws.String(failed), Item: keyOnly([]byte("k"))}, none}, false},
		"no item":                          {[]types.CancellationReason{{Code: aws.String(failed)}, {Code: aws.String(failed)}}, false},
		"an item of another type":          {[]types.CancellationReason{{Code: aws.String(failed), Item: attributes{"t": &types.AttributeValueMemberS{Value: "tok"}, "s": binary([]byte("s"))}}, none}, false},
		"a part that is refused":           {[]types.CancellationReason{none, {Code: aws.String("ValidationError"), Message: aws.String("tok_0")}}, false},
		"a part that is throttled":         {[]types.CancellationReason{{Code: aws.String("ThrottlingError")}, none}, true},
		"a taken token beside a throttled": {[]types.CancellationReason{{Code: aws.String("ThrottlingError")}, {Code: aws.String(failed)}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				t.Helper()
				f := newFake()
				s := f.store(t)
				f.reasons = func(int) []types.CancellationReason { return test.reasons }
				out, err := s.Insert(t.Context(), rowsOf(1))
				e, ok := errors.AsType[*Error](err)
				if !ok || out != nil || e.Retryable() != test.again || strings.Contains(e.Error(), "tok") {
					t.Errorf("Insert: %v", err)
				}
				if want := map[bool]int{true: attempts, false: 1}[test.again]; f.calls["transact"] != want {
					t.Errorf("%d attempts", f.calls["transact"])
				}
			})
		})
	}
}

func TestAnswersThatAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		f := newFake()
		s := f.store(t)
		lost := false
		f.lose = func(call string) error {
			if call == "transact" && !lost {
				lost = true
				return errNetwork
			}
			return nil
		}
		rows := rowsOf(3)
		out, err := s.Insert(t.Context(), rows)
		if err != nil || !lost {
			t.Fatal(err)
		}
		for i, o := range out {
			if o.Status != tokenize.Exists || !bytes.Equal(o.Row.Token, rows[i].Token) {
				t.Errorf("row %d: status %d", i, o.Status)
			}
		}
	})
}

// A count is never too low, whatever fails.
func TestCountsOfWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		f := newFake()
		s := f.store(t)
		rows := rowsOf(50)
		f.fail = func(call string) error {
			if call == "transact" && f.calls["transact"] > 1 {
				return apiError("AccessDeniedException")
			}
			return nil
		}
		if _, err := s.Insert(t.Context(), rows); err == nil {
			t.Fatal("no error")
		}
		f.fail = nil
		stand := 0
		keys, _ := keysAndRefs(rows)
		found, err := s.ByIndex(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found {
			if r.Scope != "" {
				stand++
			}
		}
		if n, err := s.Count(t.Context(), "scope"); err != nil || n < uint64(stand) || stand != maxTransaction {
			t.Errorf("Count = %d for %d rows, %v", n, stand, err)
		}
		// What cannot be taken off stays on.
		f.fail = func(call string) error {
			if call == "update" && f.calls["update"] > 2 {
				return errNetwork
			}
			return nil
		}
		if _, err := s.Insert(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Count(t.Context(), "scope"); err != nil || n < 50 {
			t.Errorf("Count = %d for 50 rows, %v", n, err)
		}
	})
}

// Deletes can be heard of before the inserts that they followed.
func TestCountsBelowZero(t *testing.T) {
	f := newFake()
	s := f.store(t)
	for i, value := range []string{"-7", "3", "x"} {
		key := countKey("scope", i)
		f.items[string(key)] = attributes{keyAttr: binary(key), countAttr: &types.AttributeValueMemberN{Value: value}}
		n, err := s.Count(t.Context(), "scope")
		if n != 0 || (err != nil) != (value == "x") {
			t.Errorf("Count = %d, %v", n, err)
		}
	}
}

func TestItemsThatAReadLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		f := newFake()
		s := f.store(t)
		rows := rowsOf(150)
		if _, err := s.Insert(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		keys, _ := keysAndRefs(rows)
		asked := map[string]int{}
		f.leaveOut = func(key []byte) bool {
			asked[string(key)]++
			return asked[string(key)] <= int(key[len(key)-32])%4 // some of them more than once
		}
		found, err := s.ByIndex(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range found {
			if !bytes.Equal(r.Token, rows[i].Token) || !bytes.Equal(r.Sealed, rows[i].Sealed) {
				t.Errorf("row %d is another one", i)
			}
		}
		clear(f.calls)
		f.leaveOut = func([]byte) bool { return true }
		found, err = s.ByIndex(t.Context(), keys[:5])
		if e, ok := errors.AsType[*Error](err); !ok || !e.Retryable() || found != nil || f.calls["get"] != attempts {
			t.Errorf("ByIndex: %v after %d attempts", err, f.calls["get"])
		}
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	rows := rowsOf(3)
	keys, refs := keysAndRefs(rows[:2])
	for name, answer := range map[string]func(out *dynamodb.BatchGetItemOutput){
		"an item that nobody asked for": func(out *dynamodb.BatchGetItemOutput) {
			out.Responses["tokens"] = append(out.Responses["tokens"], indexItem(&rows[2]))
		},
		"an item of another table": func(out *dynamodb.BatchGetItemOutput) {
			out.Responses["others"], out.Responses["tokens"] = out.Responses["tokens"], nil
		},
		"an item twice": func(out *dynamodb.BatchGetItemOutput) {
			out.Responses["tokens"] = slices.Repeat(out.Responses["tokens"], 2)
		},
		"an item without a key": func(out *dynamodb.BatchGetItemOutput) { delete(out.Responses["tokens"][0], keyAttr) },
		"an item of no index": func(out *dynamodb.BatchGetItemOutput) {
			delete(out.Responses["tokens"][0], indexAttr)
			delete(out.Responses["tokens"][0], tokenAttr)
		},
		"an index cut short": func(out *dynamodb.BatchGetItemOutput) {
			out.Responses["tokens"][0][indexAttr] = binary([]byte{1})
			delete(out.Responses["tokens"][0], tokenAttr)
		},
		"an item left out twice": func(out *dynamodb.BatchGetItemOutput) {
			out.UnprocessedKeys["tokens"] = types.KeysAndAttributes{Keys: []attributes{keyOnly(bytesOf(out.Responses["tokens"][0], keyAttr))}}
		},
		"another item left out": func(out *dynamodb.BatchGetItemOutput) {
			out.UnprocessedKeys["tokens"] = types.KeysAndAttributes{Keys: []attributes{keyOnly([]byte("k"))}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			s := f.store(t)
			if _, err := s.Insert(t.Context(), rows[:2]); err != nil {
				t.Fatal(err)
			}
			f.answer = answer
			found, err := s.ByToken(t.Context(), refs)
			if e, ok := errors.AsType[*Error](err); !ok || e.Retryable() || found != nil {
				t.Errorf("ByToken: %v", err)
			}
			if name == "an index cut short" {
				return
			}
			if found, err := s.ByIndex(t.Context(), keys); err == nil || found != nil {
				t.Errorf("ByIndex: %v", err)
			}
		})
	}
}

func TestLongRows(t *testing.T) {
	f := newFake()
	s := f.store(t)
	for size := writeUnit - 150; size < writeUnit+50; size++ {
		row := rowsOf(1)[0]
		row.Index[0], row.Index[1], row.Token = byte(size), byte(size>>8), []byte{byte(size), byte(size >> 8)}
		row.Sealed = bytes.Repeat([]byte{'s'}, size)
		item := tokenItem(&row)
		billed := 0
		for name, v := range item {
			b, ok := v.(*types.AttributeValueMemberB)
			if !ok {
				t.Fatal("an attribute is not binary")
			}
			billed += len(name) + len(b.Value)
		}
		with := billed
		if item[sealedAttr] == nil {
			with += len(sealedAttr) + size
		}
		if (item[sealedAttr] != nil) != (with <= writeUnit) {
			t.Errorf("%d bytes: the item has %d, with the sealed value %d", size, billed, with)
		}
		if _, err := s.Insert(t.Context(), []tokenize.Row{row}); err != nil {
			t.Fatal(err)
		}
		_, refs := keysAndRefs([]tokenize.Row{row})
		if found, err := s.ByToken(t.Context(), refs); err != nil || !bytes.Equal(found[0].Sealed, row.Sealed) || found[0].Index != row.Index {
			t.Errorf("ByToken: %v", err)
		}
	}
}

// Between the two rounds of a long row's read it can become another token's.
func TestLongRowsThatMoved(t *testing.T) {
	f := newFake()
	s := f.store(t)
	row := rowsOf(1)[0]
	row.Sealed = make([]byte, writeUnit)
	if _, err := s.Insert(t.Context(), []tokenize.Row{row}); err != nil {
		t.Fatal(err)
	}
	_, refs := keysAndRefs([]tokenize.Row{row})
	f.answer = func(out *dynamodb.BatchGetItemOutput) {
		other := row
		other.Token = []byte("another")
		item := indexItem(&other)
		f.items[string(bytesOf(item, keyAttr))] = item
	}
	if found, err := s.ByToken(t.Context(), refs); err != nil || found[0].Scope != "" || found[0].Token != nil {
		t.Errorf("ByToken: %v", err)
	}
}

func TestContextsThatEndBetweenAttempts(t *testing.T) {
	for _, call := range []string{"update", "transact", "get"} {
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			f := newFake()
			s := f.store(t)
			f.fail = func(at string) error {
				if at == call {
					return apiError("ThrottlingException")
				}
				return nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var err error
			if call == "get" {
				_, err = s.Count(ctx, "scope")
			} else {
				_, err = s.Insert(ctx, rowsOf(60))
			}
			if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, context.DeadlineExceeded) && e.Code == "" || e.Retryable() && f.calls[call] < attempts {
				t.Errorf("%s: %v after %d attempts", call, err, f.calls[call])
			}
		})
	}
}

func TestTablesThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(f *fake)
		options []Option
		ok      bool
	}{
		{"the table of the definition", func(*fake) {}, nil, true},
		{"one that is being changed", func(f *fake) { f.table.TableStatus = types.TableStatusUpdating }, nil, true},
		{"one that is being deleted", func(f *fake) { f.table.TableStatus = types.TableStatusDeleting }, nil, false},
		{"one with replicas", func(f *fake) { f.table.Replicas = make([]types.ReplicaDescription, 1) }, nil, false},
		{"one with replicas that are wanted", func(f *fake) { f.table.Replicas = make([]types.ReplicaDescription, 1) }, []Option{WithGlobalTable()}, true},
		{"one with two keys", func(f *fake) { f.table.KeySchema = slices.Repeat(f.table.KeySchema, 2) }, nil, false},
		{"one with a key of another name", func(f *fake) {
			f.table.KeySchema = []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}}
		}, nil, false},
		{"one with a key of another type", func(f *fake) {
			f.table.AttributeDefinitions = []types.AttributeDefinition{{AttributeName: aws.String(keyAttr), AttributeType: types.ScalarAttributeTypeS}}
		}, nil, false},
		{"one with no type", func(f *fake) { f.table.AttributeDefinitions = nil }, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake()
			test.change(f)
			s := f.store(t, test.options...)
			out, err := s.Insert(t.Context(), rowsOf(1))
			if (err == nil) != test.ok || (out != nil) != test.ok || (s.Check(t.Context()) == nil) != test.ok {
				t.Errorf("Insert: %v", err)
			}
			if !test.ok && len(f.items) > 0 {
				t.Error("something was written")
			}
		})
	}
}

func TestCreateTable(t *testing.T) {
	f := newFake()
	f.table.KeySchema = nil
	if err := CreateTable(t.Context(), f, "tokens", func(in *dynamodb.CreateTableInput) { in.DeletionProtectionEnabled = nil }); err != nil {
		t.Fatal(err)
	}
	if err := f.store(t).Check(t.Context()); err != nil {
		t.Error(err)
	}
	f.fail = func(string) error { return &types.ResourceInUseException{} }
	if e, ok := errors.AsType[*Error](CreateTable(t.Context(), f, "tokens", nil)); !ok || e.Retryable() || e.Op != "create table" {
		t.Errorf("a table that is there: %v", e)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for _, n := range []int{0, -1, maxParallel + 1} {
		if s, err := New(newFake(), "tokens", WithParallel(n)); err == nil || s != nil {
			t.Errorf("%d requests at once are accepted", n)
		}
	}
	if s, err := New(nil, "tokens"); err == nil || s != nil {
		t.Error("no client is accepted")
	}
	if s, err := New(newFake(), ""); err == nil || s != nil {
		t.Error("no table is accepted")
	}
}
