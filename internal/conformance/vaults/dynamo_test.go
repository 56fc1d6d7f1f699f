package vaults

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/internal/conformance/glue"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/dynamovault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// oneAtATime lets one request at a time through. moto takes back a transaction
// that fails by putting back all tables as they were when it began, and with them
// whatever others wrote meanwhile.
type oneAtATime struct{ mu sync.Mutex }

func (o *oneAtATime) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

func openDynamo(t *testing.T, client *dynamodb.Client, table string) *dynamovault.Store {
	t.Helper()
	err := dynamovault.CreateTable(t.Context(), client, table, func(in *dynamodb.CreateTableInput) {
		in.SSESpecification = nil // there is no KMS
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := dynamovault.New(client, table)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDynamoKeepsTheContract(t *testing.T) {
	s := openDynamo(t, dynamoClient(StartDynamo(t), http.DefaultTransport), "tokens")
	vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
}

// What is killed here are the writers: a transaction is theirs no more once it
// was sent.
func TestDynamoOutlivesItsWriters(t *testing.T) {
	url := os.Getenv(urlEnv)
	if url == "" {
		url = StartDynamo(t)
		t.Setenv(urlEnv, url)
		openDynamo(t, dynamoClient(url, http.DefaultTransport), "tokens")
	}
	vaulttest.Crash(t, func(t *testing.T, _ string) tokenize.Store {
		t.Helper()
		s, err := dynamovault.New(dynamoClient(url, http.DefaultTransport), "tokens")
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// Another imitation tells the same outcomes.
func TestDynamoOfMoto(t *testing.T) {
	s := openDynamo(t, dynamoClient(glue.StartMoto(t).URL, &oneAtATime{}), "tokens")
	rows := benchRows(4)
	rows[2].Index, rows[3].Token = rows[0].Index, rows[1].Token
	for i, row := range rows {
		want := []tokenize.Status{tokenize.Inserted, tokenize.Inserted, tokenize.Exists, tokenize.Taken}[i]
		out, err := s.Insert(t.Context(), []tokenize.Row{row})
		if err != nil || out[0].Status != want {
			t.Fatalf("row %d: %v, want status %d", i, err, want)
		}
		if want == tokenize.Exists && !bytes.Equal(out[0].Row.Token, rows[0].Token) {
			t.Error("another row is said to stand")
		}
	}
	ref := tokenize.Ref{Scope: rows[0].Scope, Token: rows[0].Token}
	if err := s.Delete(t.Context(), []tokenize.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	out, err := s.Insert(t.Context(), rows[2:3])
	if err != nil || out[0].Status != tokenize.Inserted {
		t.Errorf("after the delete: %v", err)
	}
	if n, err := s.Count(t.Context(), rows[0].Scope); err != nil || n != 2 {
		t.Errorf("Count = %d, %v", n, err)
	}
}

func TestDynamoTablesAreLookedAt(t *testing.T) {
	client := dynamoClient(StartDynamo(t), http.DefaultTransport)
	for name, change := range map[string]func(*dynamodb.CreateTableInput){
		"another-name": func(in *dynamodb.CreateTableInput) {
			in.AttributeDefinitions[0].AttributeName, in.KeySchema[0].AttributeName = aws.String("key"), aws.String("key")
		},
		"a-text": func(in *dynamodb.CreateTableInput) {
			in.AttributeDefinitions[0].AttributeType = types.ScalarAttributeTypeS
		},
		"two-keys": func(in *dynamodb.CreateTableInput) {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String("r"), AttributeType: types.ScalarAttributeTypeB})
			in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String("r"), KeyType: types.KeyTypeRange})
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := dynamovault.CreateTable(t.Context(), client, name, func(in *dynamodb.CreateTableInput) {
				in.SSESpecification = nil
				change(in)
			})
			if err != nil {
				t.Fatal(err)
			}
			s, err := dynamovault.New(client, name)
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.Insert(t.Context(), randomRows("scope", 1))
			if e, ok := errors.AsType[*dynamovault.Error](err); !ok || e.Op != "insert" || e.Retryable() || out != nil {
				t.Errorf("Insert: %v", err)
			}
		})
	}
	s, err := dynamovault.New(client, "missing")
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := errors.AsType[*dynamovault.Error](s.Check(t.Context())); !ok || e.Code != "ResourceNotFoundException" || e.Retryable() {
		t.Errorf("a table that is not there: %v", e)
	}
}

// Writers that give up in the middle of calls leave whole rows.
func TestDynamoKeepsRowsWhole(t *testing.T) {
	client := dynamoClient(StartDynamo(t), http.DefaultTransport)
	s := openDynamo(t, client, "tokens")
	for range 3 {
		w := startWriting(t.Context(), s)
		w.waitFor(t, 10)
		w.stop()
		if err := w.history.Check(t.Context(), s); err != nil {
			t.Error(err)
		}
		if n := w.failures.Load(); n > 0 {
			t.Errorf("%d batches were refused: %v", n, w.lastErr.Load())
		}
	}
	byIndex, byToken := map[string]string{}, map[string]string{} // each with what it leads to
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String("tokens"), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			key := itemBytes(item, "k")
			space, rest := key[1:2+int(key[1])], key[2+int(key[1]):]
			switch key[0] {
			case 'i':
				byIndex[space+rest] = space + itemBytes(item, "t")
			case 't':
				byToken[space+rest] = space + itemBytes(item, "i")
			}
		}
	}
	for index, token := range byIndex {
		if byToken[token] != index {
			t.Error("a row has no token of its own")
		}
	}
	if len(byToken) != len(byIndex) || len(byIndex) == 0 {
		t.Errorf("%d rows have %d tokens", len(byIndex), len(byToken))
	}
	t.Logf("%d rows have two items each", len(byIndex))
}

func itemBytes(item map[string]types.AttributeValue, name string) string {
	if b, ok := item[name].(*types.AttributeValueMemberB); ok {
		return string(b.Value)
	}
	return ""
}
