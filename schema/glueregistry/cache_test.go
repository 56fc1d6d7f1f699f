package glueregistry

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"github.com/fieldveil/fieldveil/schema"
)

// A slowAPI answers after a while, for tests that keep their own time. Its
// fields may be changed between calls.
type slowAPI struct {
	API // the calls that no test makes

	latency time.Duration
	err     error
	metaErr error
	tags    []string
	calls   atomic.Int64
}

func (a *slowAPI) wait(ctx context.Context) error {
	select {
	case <-time.After(a.latency):
		return nil
	case <-ctx.Done():
		return &smithy.CanceledError{Err: ctx.Err()}
	}
}

func (a *slowAPI) GetSchemaVersion(ctx context.Context, in *glue.GetSchemaVersionInput, _ ...func(*glue.Options)) (*glue.GetSchemaVersionOutput, error) {
	a.calls.Add(1)
	if err := a.wait(ctx); err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	return &glue.GetSchemaVersionOutput{SchemaVersionId: in.SchemaVersionId, Status: types.SchemaVersionStatusAvailable, DataFormat: types.DataFormatAvro, SchemaDefinition: aws.String(avroText)}, nil
}

func (a *slowAPI) QuerySchemaVersionMetadata(context.Context, *glue.QuerySchemaVersionMetadataInput, ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error) {
	out := &glue.QuerySchemaVersionMetadataOutput{MetadataInfoMap: map[string]types.MetadataInfo{}}
	for i, v := range a.tags {
		out.MetadataInfoMap[TagKey+"."+string(rune('a'+i))] = types.MetadataInfo{MetadataValue: aws.String(v)}
	}
	return out, a.metaErr
}

var (
	errOutage  = errors.New("no route to host")
	errMissing = &types.EntityNotFoundException{Message: aws.String("no")}
)

func slowClient(t *testing.T, a *slowAPI) *Client {
	t.Helper()
	c, err := New(Config{API: a})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestManyWaitForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &slowAPI{latency: time.Second}
		c := slowClient(t, a)
		var done atomic.Int64
		for range 1000 {
			go func() {
				if _, err := c.SchemaByGUID(t.Context(), testGUID); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}()
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // the time of the bubble
		synctest.Wait()
		if done.Load() != 1000 || a.calls.Load() != 1 {
			t.Errorf("%d answers after %d calls", done.Load(), a.calls.Load())
		}
	})
}

func TestOneCallerWhoLeavesFailsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &slowAPI{latency: time.Second}
		c := slowClient(t, a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.SchemaByGUID(ctx, testGUID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one who leaves: %v", err)
		}
		if _, err := c.SchemaByGUID(t.Context(), testGUID); err != nil || a.calls.Load() != 1 {
			t.Errorf("the one who stays: %v after %d calls", err, a.calls.Load())
		}
	})
}

func TestAFetchEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slowClient(t, &slowAPI{latency: time.Hour})
		began := time.Now()
		_, err := c.SchemaByGUID(t.Context(), testGUID)
		if took := time.Since(began); took != defaultTimeout {
			t.Errorf("it took %v", took)
		}
		// The caller's context has not ended, and must not seem to have.
		if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, schema.ErrNotFound) {
			t.Errorf("SchemaByGUID: %v", err)
		}
	})
}

func TestFailuresAreNotAskedForAgainAtOnce(t *testing.T) {
	for _, test := range []struct {
		name     string
		err      error
		notFound bool
		wait     time.Duration
	}{
		{"a version that does not exist", errMissing, true, defaultNotFound},
		{"an outage", errOutage, false, afterFailure},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &slowAPI{err: test.err}
				c := slowClient(t, a)
				for range 50 {
					if _, err := c.SchemaByGUID(t.Context(), testGUID); err == nil || errors.Is(err, schema.ErrNotFound) != test.notFound {
						t.Fatalf("SchemaByGUID: %v", err)
					}
				}
				if n := a.calls.Load(); n != 1 {
					t.Errorf("%d calls", n)
				}
				a.err = nil
				time.Sleep(test.wait - 1) //nolint:forbidigo // the time of the bubble
				if _, err := c.SchemaByGUID(t.Context(), testGUID); err == nil {
					t.Errorf("it was asked again too early")
				}
				time.Sleep(time.Nanosecond) //nolint:forbidigo // the time of the bubble
				if _, err := c.SchemaByGUID(t.Context(), testGUID); err != nil {
					t.Errorf("it is not asked again: %v", err)
				}
			})
		})
	}
}

func TestAnOutageLeavesWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &slowAPI{tags: []string{"/email@PII"}}
		c := slowClient(t, a)
		want, err := c.SchemaByGUID(t.Context(), testGUID)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range []error{errOutage, errMissing} {
			a.err = fault
			for range 100 {
				time.Sleep(time.Hour) //nolint:forbidigo // the time of the bubble
				got, err := c.SchemaByGUID(t.Context(), testGUID)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("SchemaByGUID = %+v, %v", got, err)
				}
				synctest.Wait()
				// The failure counts for a while.
				if _, err := c.SchemaByGUID(t.Context(), testGUID); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		if n := a.calls.Load(); n != 201 {
			t.Errorf("%d calls in 200 hours, want one each and the first", n)
		}
	})
}

func TestTagsThatComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &slowAPI{tags: []string{"/email@PII"}}
		c := slowClient(t, a)
		rules := func() int {
			t.Helper()
			text, err := c.SchemaByGUID(t.Context(), testGUID)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // for the fetch that this may have started
			return len(text.Tags)
		}
		if n := rules(); n != 1 {
			t.Fatalf("%d rules", n)
		}
		a.tags = []string{"/email@PII", "/phone@PII"}
		time.Sleep(defaultRefresh) //nolint:forbidigo // the time of the bubble
		if n := rules(); n != 1 || a.calls.Load() != 1 {
			t.Errorf("%d rules after %d calls: asked too early", n, a.calls.Load())
		}
		time.Sleep(time.Nanosecond) //nolint:forbidigo // the time of the bubble
		rules()
		if n := rules(); n != 2 {
			t.Errorf("%d rules: a tag that came does not count", n)
		}
		for _, gone := range [][]string{nil, {"PII"}} { // removed, and no longer to be understood
			a.tags = gone
			time.Sleep(2 * defaultRefresh) //nolint:forbidigo // the time of the bubble
			rules()
			if n := rules(); n != 2 {
				t.Errorf("%d rules: a tag that went switched protection off", n)
			}
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	a := &slowAPI{}
	c, err := New(Config{API: a, MaxSchemas: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, a.err = range []error{nil, errMissing} {
		for i := range 100 {
			guid := testGUID
			guid[0] = byte(i)
			if a.err != nil {
				guid[1]++
			}
			c.SchemaByGUID(t.Context(), guid) //nolint:errcheck // only what stays counts
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) != 10 || len(c.failed) != 10 || len(c.flights) != 0 {
		t.Errorf("%d texts, %d failures and %d fetches", len(c.known), len(c.failed), len(c.flights))
	}
}

func TestAnswersAboutAnotherVersionAreRefused(t *testing.T) {
	for name, api := range map[string]API{"text": otherText{}, "tags": otherTags{&slowAPI{}}} {
		c, err := New(Config{API: api})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.SchemaByGUID(t.Context(), testGUID); err == nil || !strings.Contains(err.Error(), "another") {
			t.Errorf("the %s of another version: %v", name, err)
		}
	}
}

func TestMetadataInPages(t *testing.T) {
	for _, test := range []struct {
		pages, want int
	}{{1, 1}, {maxPages, maxPages}, {maxPages + 1, -1}} {
		c, err := New(Config{API: pagedAPI{API: &slowAPI{}, pages: test.pages}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.SchemaByGUID(t.Context(), testGUID)
		if (err != nil) != (test.want < 0) || err == nil && len(text.Tags) != test.want {
			t.Errorf("%d pages: %d rules, %v", test.pages, len(text.Tags), err)
		}
	}
}

// pagedAPI has one tag on each page of metadata.
type pagedAPI struct {
	API

	pages int
}

func (a pagedAPI) QuerySchemaVersionMetadata(_ context.Context, in *glue.QuerySchemaVersionMetadataInput, _ ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error) {
	page := len(aws.ToString(in.NextToken))
	out := &glue.QuerySchemaVersionMetadataOutput{
		SchemaVersionId: in.SchemaVersionId,
		MetadataInfoMap: map[string]types.MetadataInfo{TagKey: {MetadataValue: aws.String(strings.Repeat("f", page+1) + "@PII")}},
	}
	if page+1 < a.pages {
		out.NextToken = aws.String(strings.Repeat("n", page+1))
	}
	return out, nil
}

// otherTags answers with the metadata of a version that nobody asked for.
type otherTags struct{ API }

func (otherTags) QuerySchemaVersionMetadata(context.Context, *glue.QuerySchemaVersionMetadataInput, ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error) {
	return &glue.QuerySchemaVersionMetadataOutput{SchemaVersionId: aws.String(FormatGUID([16]byte{1}))}, nil
}

// otherText answers with a version that nobody asked for.
type otherText struct{ API }

func (otherText) GetSchemaVersion(context.Context, *glue.GetSchemaVersionInput, ...func(*glue.Options)) (*glue.GetSchemaVersionOutput, error) {
	return &glue.GetSchemaVersionOutput{SchemaVersionId: aws.String(FormatGUID([16]byte{1})), Status: types.SchemaVersionStatusAvailable, DataFormat: types.DataFormatAvro, SchemaDefinition: aws.String(avroText)}, nil
}
