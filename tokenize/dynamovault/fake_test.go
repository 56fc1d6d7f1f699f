package dynamovault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/fieldveil/fieldveil/tokenize"
)

// A fake is a table in memory that refuses what DynamoDB refuses and fails where
// it is told to. What DynamoDB itself does is tested elsewhere.
type fake struct {
	mu    sync.Mutex
	items map[string]attributes
	table types.TableDescription
	calls map[string]int
	rows  []int // in each transaction

	// fail is asked before a request is done, after one of its transactions was
	// judged and of each item of a read.
	fail     func(call string) error
	reasons  func(parts int) []types.CancellationReason
	lose     func(call string) error // the answer, after it was done
	leaveOut func(key []byte) bool
	answer   func(out *dynamodb.BatchGetItemOutput)
}

func newFake() *fake {
	in := Definition("tokens")
	return &fake{
		items: map[string]attributes{}, calls: map[string]int{},
		table: types.TableDescription{TableStatus: types.TableStatusActive, KeySchema: in.KeySchema, AttributeDefinitions: in.AttributeDefinitions},
	}
}

func (f *fake) store(t *testing.T, options ...Option) *Store {
	t.Helper()
	s, err := New(f, "tokens", options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func apiError(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "the item tok_0 with sealed 0", Fault: smithy.FaultClient}
}

// begin counts a call. The caller holds mu.
func (f *fake) begin(ctx context.Context, call string) error {
	f.calls[call]++
	if err := ctx.Err(); err != nil {
		return &smithy.CanceledError{Err: err}
	}
	if f.fail != nil {
		return f.fail(call)
	}
	return nil
}

func (f *fake) end(call string) error {
	if f.lose != nil {
		return f.lose(call)
	}
	return nil
}

func (f *fake) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "transact"); err != nil {
		return nil, err
	}
	f.rows = append(f.rows, len(in.TransactItems)/2)
	if len(in.TransactItems) > 100 {
		return nil, apiError("ValidationException")
	}
	if f.reasons != nil {
		if reasons := f.reasons(len(in.TransactItems)); reasons != nil {
			return nil, &types.TransactionCanceledException{CancellationReasons: reasons}
		}
	}
	reasons := make([]types.CancellationReason, len(in.TransactItems))
	named := map[string]bool{}
	refused := false
	for i, part := range in.TransactItems {
		key, ok, old := f.judge(part)
		if named[key] {
			return nil, apiError("ValidationException")
		}
		named[key] = true
		reasons[i].Code = aws.String(reasonNone)
		if !ok {
			refused = true
			reasons[i] = types.CancellationReason{Code: aws.String(failed), Item: old}
		}
	}
	if refused {
		return nil, &types.TransactionCanceledException{CancellationReasons: reasons}
	}
	for _, part := range in.TransactItems {
		if part.Put != nil {
			f.items[string(bytesOf(part.Put.Item, keyAttr))] = cloneItem(part.Put.Item)
		} else {
			delete(f.items, string(bytesOf(part.Delete.Key, keyAttr)))
		}
	}
	return &dynamodb.TransactWriteItemsOutput{}, f.end("transact")
}

// judge tells whether the condition of a part holds.
func (f *fake) judge(part types.TransactWriteItem) (key string, ok bool, old attributes) {
	if part.Put != nil {
		key = string(bytesOf(part.Put.Item, keyAttr))
		old, there := f.items[key]
		if *part.Put.ConditionExpression != "attribute_not_exists(k)" {
			return key, false, nil
		}
		if part.Put.ReturnValuesOnConditionCheckFailure != types.ReturnValuesOnConditionCheckFailureAllOld {
			return key, !there, nil
		}
		return key, !there, cloneItem(old)
	}
	key = string(bytesOf(part.Delete.Key, keyAttr))
	name, _, _ := strings.Cut(*part.Delete.ConditionExpression, " ")
	return key, f.items[key] != nil && bytes.Equal(bytesOf(f.items[key], name), bytesOf(part.Delete.ExpressionAttributeValues, ":v")), nil
}

func (f *fake) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "get"); err != nil {
		return nil, err
	}
	want := in.RequestItems["tokens"]
	if len(want.Keys) == 0 || len(want.Keys) > 100 || !aws.ToBool(want.ConsistentRead) {
		return nil, apiError("ValidationException")
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]attributes{}, UnprocessedKeys: map[string]types.KeysAndAttributes{}}
	named := map[string]bool{}
	for _, key := range want.Keys {
		k := string(bytesOf(key, keyAttr))
		if named[k] {
			return nil, apiError("ValidationException")
		}
		named[k] = true
		if f.leaveOut != nil && f.leaveOut([]byte(k)) {
			left := out.UnprocessedKeys["tokens"]
			left.Keys = append(left.Keys, key)
			out.UnprocessedKeys["tokens"] = left
		} else if item := f.items[k]; item != nil {
			out.Responses["tokens"] = append(out.Responses["tokens"], cloneItem(item))
		}
	}
	slices.Reverse(out.Responses["tokens"]) // in no order
	if f.answer != nil {
		f.answer(out)
	}
	return out, nil
}

func (f *fake) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "update"); err != nil {
		return nil, err
	}
	add, ok := in.ExpressionAttributeValues[":n"].(*types.AttributeValueMemberN)
	if !ok || *in.UpdateExpression != "ADD n :n" {
		return nil, apiError("ValidationException")
	}
	n, err := strconv.Atoi(add.Value)
	if err != nil {
		return nil, apiError("ValidationException")
	}
	k := string(bytesOf(in.Key, keyAttr))
	if old, ok := f.items[k][countAttr].(*types.AttributeValueMemberN); ok {
		before, err := strconv.Atoi(old.Value)
		if err != nil {
			return nil, err
		}
		n += before
	}
	item := cloneItem(in.Key)
	item[countAttr] = &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
	f.items[k] = item
	return &dynamodb.UpdateItemOutput{}, f.end("update")
}

func (f *fake) DescribeTable(ctx context.Context, in *dynamodb.DescribeTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "describe"); err != nil {
		return nil, err
	}
	if *in.TableName != "tokens" {
		return nil, &types.ResourceNotFoundException{}
	}
	table := f.table
	return &dynamodb.DescribeTableOutput{Table: &table}, nil
}

func (f *fake) CreateTable(ctx context.Context, in *dynamodb.CreateTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "create"); err != nil {
		return nil, err
	}
	f.table.KeySchema, f.table.AttributeDefinitions = in.KeySchema, in.AttributeDefinitions
	return &dynamodb.CreateTableOutput{}, nil
}

func cloneItem(item attributes) attributes {
	if item == nil {
		return nil
	}
	out := maps.Clone(item)
	for name, v := range out {
		if b, ok := v.(*types.AttributeValueMemberB); ok {
			out[name] = binary(bytes.Clone(b.Value))
		}
	}
	return out
}

func rowsOf(n int) []tokenize.Row {
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = tokenize.Row{Scope: "scope", Index: tokenize.Index{byte(i), byte(i >> 8)}, Token: fmt.Appendf(nil, "tok_%d", i), Sealed: fmt.Appendf(nil, "sealed %d", i)}
	}
	return rows
}

func keysAndRefs(rows []tokenize.Row) (keys []tokenize.Key, refs []tokenize.Ref) {
	for _, r := range rows {
		keys = append(keys, tokenize.Key{Scope: r.Scope, Index: r.Index})
		refs = append(refs, tokenize.Ref{Scope: r.Scope, Token: r.Token})
	}
	return keys, refs
}

func statuses(out []tokenize.Outcome) (all []tokenize.Status) {
	for _, o := range out {
		all = append(all, o.Status)
	}
	return all
}

var errNetwork = errors.New("read tcp: connection reset while sending tok_0")
