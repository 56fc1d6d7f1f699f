package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/internal/conformance/process"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

var (
	//go:embed package.json
	manifest []byte
	//go:embed bench.mjs
	script []byte
)

const (
	fetchTimeout = 5 * time.Minute
	endTimeout   = 5 * time.Second
)

// install returns the folder with the client and the script, which npm fills
// the first time.
func install(ctx context.Context) (dir string, err error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", fmt.Errorf("no Node is installed: %w", err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("no npm is installed: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	sum := sha256.New()
	sum.Write(manifest)
	sum.Write(script)
	return process.Cached(fmt.Sprintf("compare-javascript-%x", sum.Sum(nil)[:4]), func(dir string) error {
		for name, text := range map[string][]byte{"package.json": manifest, "bench.mjs": script} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				return err
			}
		}
		cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
		if _, err := process.Run(cmd); err != nil {
			return fmt.Errorf("install the client of Confluent with npm: %w", err)
		}
		return nil
	})
}

// A node is the process that runs the script. It ends when its input does, so
// it does not outlive this one.
type node struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
}

func startNode(ctx context.Context) (*node, error) {
	dir, err := install(ctx)
	if err != nil {
		return nil, row.MissingError{Err: err}
	}
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, "bench.mjs"))
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = endTimeout
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Node: %w", err)
	}
	return &node{cmd, in, bufio.NewReader(out)}, nil
}

func (n *node) end() {
	_ = n.in.Close()
	late := time.AfterFunc(endTimeout, func() { _ = n.cmd.Process.Kill() })
	defer late.Stop()
	_ = n.cmd.Wait() // whatever it says, it is over
}

// ask sends a command and reads the answer into result.
func (n *node) ask(command, result any) error {
	line, err := json.Marshal(command)
	if err != nil {
		return err
	}
	if _, err := n.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("ask Node: %w", err)
	}
	answer, err := n.answers.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no answer of Node: %w", err)
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(answer, &failed); err != nil {
		return err
	}
	if failed.Error != "" {
		return errors.New("Node: " + failed.Error)
	}
	return json.Unmarshal(answer, result)
}

type setupCommand struct {
	Do     string         `json:"do"`
	Schema string         `json:"schema"`
	Tag    string         `json:"tag"`
	Order  map[string]any `json:"order"`
}

type serialized struct {
	Wire string         `json:"wire"` // base64
	Back map[string]any `json:"back"`
}

// setup hands the record over, and checks what the client makes of it: with the
// rule it hides the values and opens to the order, without it hides nothing.
func (n *node) setup(c workload.Case, o product.Order) (version string, err error) {
	order := object(o)
	var answer struct {
		Node  string     `json:"node"`
		Rule  serialized `json:"rule"`
		Plain serialized `json:"plain"`
	}
	if err := n.ask(setupCommand{"setup", c.Schema, workload.Tag, order}, &answer); err != nil {
		return "", err
	}
	if err := answer.Rule.check(order, c.Tagged); err != nil {
		return "", fmt.Errorf("the rival: %w", err)
	}
	if answer.Plain.check(order, c.Tagged) == nil {
		return "", errors.New("the serializer without a rule hides the values, so it is no yardstick")
	}
	return answer.Node, nil
}

func (s serialized) check(order map[string]any, values [][]byte) error {
	wire, err := base64.StdEncoding.DecodeString(s.Wire)
	if err != nil {
		return err
	}
	if err := product.Hidden(wire, values); err != nil {
		return err
	}
	// Both have been through JSON, or will be.
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	var want map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		return err
	}
	if !reflect.DeepEqual(s.Back, want) {
		return errors.New("the order comes back as another")
	}
	return nil
}

// warm has the client work for that long before anything is timed: V8 compiles
// what runs often.
func (n *node) warm(most time.Duration) error {
	for start := time.Now(); time.Since(start) < most; {
		for _, lane := range []string{"rule", "plain"} {
			if err := n.serialize(lane, 20); err != nil {
				return err
			}
		}
	}
	return nil
}

// serialize has the client serialize the order that many times.
func (n *node) serialize(lane string, times int) error {
	return n.ask(map[string]any{"do": "serialize", "lane": lane, "n": times}, &struct{}{})
}

func (n *node) do(lane string) func(times int) {
	return func(times int) {
		if err := n.serialize(lane, times); err != nil {
			panic(err)
		}
	}
}

// object is the order as the script takes it.
func object(o product.Order) map[string]any {
	return map[string]any{
		"order_id": o.OrderID, "created_at": o.CreatedAt.UnixMilli(), "full_name": o.FullName, "email": o.Email,
		"phone": o.Phone, "national_id": o.NationalID, "street": o.Street, "city": o.City, "postal_code": o.PostalCode,
		"country": o.Country, "status": o.Status, "total_cents": o.TotalCents, "item_count": o.ItemCount,
		"discount": o.Discount, "gift": o.Gift, "coupon": o.Coupon,
		"fingerprint": base64.StdEncoding.EncodeToString(o.Fingerprint[:]),
		"skus":        o.SKUs, "user_agent": o.UserAgent, "campaign": o.Campaign,
	}
}
