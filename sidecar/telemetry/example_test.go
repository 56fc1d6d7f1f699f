package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

func ExampleObserver() {
	observer := telemetry.NewObserver(telemetry.Options{
		Protocols: []string{"v3", "grpc"},
		Routes:    []string{"POST /v3/clusters/{cluster}/topics/{topic}/records"},
	})
	observer.RecordDone("v3", "delivered", "", 626, 871, 3*time.Microsecond)
	observer.RecordDone("v3", "rejected", "value_rejected", 626, -1, 2*time.Microsecond)

	w := httptest.NewRecorder()
	observer.Handler().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "fieldveil_records_total") && !strings.HasSuffix(line, " 0\n") {
			fmt.Print(line)
		}
	}
	// Output:
	// fieldveil_records_total{code="ok",outcome="delivered",protocol="v3"} 1
	// fieldveil_records_total{code="value_rejected",outcome="rejected",protocol="v3"} 1
}

func ExampleNewLogger() {
	config := telemetry.DefaultConfig().Log
	config.Format = "text"
	line := new(strings.Builder) // a program takes os.Stderr
	logger, err := telemetry.NewLogger(line, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	logger.Warn("a record was rejected",
		"topic", "customers", "code", "value_unfit", "email", "ann@example.test", "error", errors.New("bad value 4111111111111111"))
	_, text, _ := strings.Cut(line.String(), " level") // without the time
	fmt.Print("level", text)
	// Output:
	// level=WARN msg="a record was rejected" topic=customers code=value_unfit email=[removed] error=*errors.errorString
}
