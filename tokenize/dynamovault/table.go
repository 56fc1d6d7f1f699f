package dynamovault

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// createTimeout bounds the wait for a new table.
const createTimeout = 5 * time.Minute

// Definition returns the table that a [Store] works on: one binary key "k",
// billed by request, encrypted under a key of KMS, and protected against
// deletion. The rest is the operator's to change. Backups by point in time are
// set after a table was made, and belong to it: the table is the only thing that
// turns tokens back into values.
func Definition(table string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:                 aws.String(table),
		AttributeDefinitions:      []types.AttributeDefinition{{AttributeName: aws.String(keyAttr), AttributeType: types.ScalarAttributeTypeB}},
		KeySchema:                 []types.KeySchemaElement{{AttributeName: aws.String(keyAttr), KeyType: types.KeyTypeHash}},
		BillingMode:               types.BillingModePayPerRequest,
		DeletionProtectionEnabled: aws.Bool(true),
		SSESpecification:          &types.SSESpecification{Enabled: aws.Bool(true), SSEType: types.SSETypeKms},
	}
}

// A TableAPI is what [CreateTable] needs of DynamoDB. [*dynamodb.Client] has it.
type TableAPI interface {
	CreateTable(ctx context.Context, in *dynamodb.CreateTableInput, options ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(ctx context.Context, in *dynamodb.DescribeTableInput, options ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// CreateTable makes a table as [Definition] has it, as change leaves it where
// that is not nil, and returns when the table can be used. It is for tests and
// first steps: elsewhere tables are made by whoever makes the rest.
func CreateTable(ctx context.Context, api TableAPI, table string, change func(*dynamodb.CreateTableInput)) error {
	in := Definition(table)
	if change != nil {
		change(in)
	}
	if _, err := api.CreateTable(ctx, in); err != nil {
		return callError(ctx, "create table", err)
	}
	waiter := dynamodb.NewTableExistsWaiter(api)
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: in.TableName}, createTimeout); err != nil {
		return callError(ctx, "create table", err)
	}
	return nil
}

// Check looks at the table and returns an [*Error] when it is not one that
// [Definition] describes, or has replicas in other regions and [WithGlobalTable]
// was not given.
func (s *Store) Check(ctx context.Context) error {
	if e := s.check(ctx, "check"); e != nil {
		return e
	}
	return nil
}

func (s *Store) check(ctx context.Context, op string) *Error {
	if e := contextError(ctx, op); e != nil {
		return e
	}
	got, err := s.api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.table})
	if err != nil {
		return callError(ctx, op, err)
	}
	if got == nil || got.Table == nil {
		return callError(ctx, op, errAnswer)
	}
	t := got.Table
	switch {
	case t.TableStatus != types.TableStatusActive && t.TableStatus != types.TableStatusUpdating:
		return &Error{Op: op, text: "the table is not active", again: t.TableStatus == types.TableStatusCreating}
	case !hasKey(t):
		return &Error{Op: op, text: `the table's key is not the binary attribute "` + keyAttr + `" alone`}
	case len(t.Replicas) > 0 && !s.global:
		return &Error{Op: op, text: "the table has replicas in other regions, which could give a value a second token"}
	}
	s.checked.Store(true)
	return nil
}

func hasKey(t *types.TableDescription) bool {
	if len(t.KeySchema) != 1 || aws.ToString(t.KeySchema[0].AttributeName) != keyAttr || t.KeySchema[0].KeyType != types.KeyTypeHash {
		return false
	}
	for _, a := range t.AttributeDefinitions {
		if aws.ToString(a.AttributeName) == keyAttr {
			return a.AttributeType == types.ScalarAttributeTypeB
		}
	}
	return false
}
