package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

type tuneSizingCmd struct {
	Policy           string        `required:"true" type:"path" placeholder:"FILE" help:"The policy. It says which keys there are, and how long each is used."`
	Pods             int           `required:"true" placeholder:"N" help:"Processes that protect."`
	Tenants          int           `default:"1" placeholder:"N" help:"Tenants that are in use at the same time, in each process."`
	Restarts         float64       `default:"30" placeholder:"N" help:"Starts of each process in a month: deployments, scaling, evictions. Default ${default}."`
	Consumers        int           `placeholder:"N" help:"Processes that reveal, each the records of all pods."`
	ConsumerRestarts float64       `default:"30" placeholder:"N" help:"Starts of each of them in a month. Default ${default}."`
	Seals            float64       `placeholder:"N" help:"Values per second that each process seals under each key and tenant. High rates use keys up before they are old."`
	Bytes            float64       `placeholder:"N" help:"The same in bytes."`
	KMSLatency       time.Duration `name:"kms-latency" default:"10ms" help:"How long one call takes. Default ${default}."`
	PricePer10k      *float64      `name:"price-per-10k" placeholder:"USD" help:"Price of 10,000 calls."`
	PricePerKey      *float64      `placeholder:"USD" help:"Price of a KEK in a month."`
	Quota            *float64      `placeholder:"N" help:"Calls per second that the KMS takes."`
	JSON             bool          `help:"Print the bills as JSON, one for each KMS."`
}

// Help is the second paragraph of the help text.
func (*tuneSizingCmd) Help() string {
	return "Prices and quotas are defaults of public lists for AWS KMS, Google Cloud KMS and Azure Key Vault: check your own " +
		"list, and give them by flags. It calls nothing. Records cost no call, and persons cost none of their own: only " +
		"keys that are replaced, processes that start, and consumers that meet a key."
}

// Run prints a bill for each KMS that the policy names.
func (c *tuneSizingCmd) Run(t *terminal) error {
	policy, err := fieldcrypt.LoadPolicy(c.Policy)
	if err != nil {
		return err
	}
	fleets, err := c.fleets(policy)
	if err != nil {
		return err
	}
	if len(fleets) == 0 {
		return errors.New("the policy has no keys, so there is nothing to ask a KMS for")
	}
	for i, scheme := range slices.Sorted(maps.Keys(fleets)) {
		bill, err := tune.Sizing(*fleets[scheme], c.price(scheme))
		if err != nil {
			return err
		}
		if c.JSON {
			err = bill.WriteJSON(t.out)
		} else {
			if i > 0 {
				_, _ = fmt.Fprintln(t.out)
			}
			err = bill.Write(t.out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// price returns the list price of a KMS, with what the flags say instead.
func (c *tuneSizingCmd) price(scheme string) tune.Price {
	p, ok := tune.Prices()[scheme]
	if !ok {
		p = tune.NoPrice(scheme)
	}
	given := false
	for _, f := range []struct {
		flag *float64
		to   *float64
	}{{c.PricePer10k, &p.Per10k}, {c.PricePerKey, &p.PerKEK}, {c.Quota, &p.Quota}} {
		if f.flag != nil {
			*f.to, given = *f.flag, true
		}
	}
	if given {
		p.Source = "prices or quota as given by flags. " + p.Source
	}
	return p
}

// tenantMark stands for the tenant in the URI of a KEK.
const tenantMark = "{tenant}"

// fleets returns what asks each KMS, by the scheme of its KEKs.
func (c *tuneSizingCmd) fleets(policy *fieldcrypt.Policy) (map[string]*tune.Fleet, error) {
	out := map[string]*tune.Fleet{}
	keks := map[string]bool{}
	for _, k := range policy.Keys() {
		scheme, _, _ := strings.Cut(k.KEK, ":")
		f := out[scheme]
		if f == nil {
			f = &tune.Fleet{
				Pods: c.Pods, Restarts: c.Restarts, Tenants: c.Tenants, Consumers: c.Consumers, ConsumerRestarts: c.ConsumerRestarts,
				SealsPerSecond: c.Seals, BytesPerSecond: c.Bytes, Latency: c.KMSLatency,
			}
			out[scheme] = f
		}
		key := tune.FleetKey{
			Name: k.Name, Kind: tune.DataKey, Refresh: k.Limits.Refresh, Expire: k.Limits.Expire,
			Seals: k.Limits.Seals, Bytes: k.Limits.Bytes, Persist: k.Persist,
		}
		switch {
		case k.Person:
			key.Kind = tune.PersonKey
		case k.Domain:
			key.Kind = tune.DomainKey
			tenants := map[string]bool{}
			for _, b := range k.Versions {
				info, err := datakey.DescribeBlock(b)
				if err != nil {
					return nil, err
				}
				tenants[info.Tenant] = true
			}
			key.Scopes = min(len(tenants), max(1, c.Tenants))
		}
		f.Keys = append(f.Keys, key)
		for _, kek := range append([]string{k.KEK}, k.Also...) {
			of, _, _ := strings.Cut(kek, ":")
			if keks[kek] || of != scheme {
				continue
			}
			keks[kek] = true
			f.KEKs++
			if strings.Contains(kek, tenantMark) {
				f.KEKs += max(1, c.Tenants) - 1
			}
		}
	}
	return out, nil
}
