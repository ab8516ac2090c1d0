package reports

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"hybridlab/lab"
)

func compile(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// object is v as a schema validator sees it.
func object(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

// everything is a verdict with every field set.
func everything() lab.Verdict {
	yes := true
	c := lab.NewCell("openssl@trixie", "go@1.26", lab.MustOffer("*x25519+~x25519mlkem768"), lab.MustOffer("x25519mlkem768>x25519"), "mtu1280", "a", "b")
	return lab.Verdict{
		Cell: c.ID, Client: c.Client, Server: c.Server, Offer: c.Offer, Accept: c.Accept, Link: c.Link, Boxes: c.Boxes,
		Predicted: []string{"hybrid X25519MLKEM768"}, Outcome: lab.Failure, Cause: lab.CauseOfAlert("handshake_failure"), Blame: "box a",
		Group: "X25519MLKEM768", ClientClaim: "X25519MLKEM768", ServerClaim: "x25519", Version: "TLS 1.3", HRR: &yes, HelloBytes: 1449, PredictedBytes: 1449, HelloSegments: 2, HelloRecords: 1, HandshakeMS: 1.5,
		Hellos:  []lab.HelloSeen{{Message: "ClientHello", Bytes: 1449, Predicted: 1449}},
		Trigger: "size", Threshold: 1449, Why: "because", Traced: "it was so", Like: "y", TriageRuns: 2,
		Triage: []lab.Trial{{Changed: "a clean link", Cell: "x", Seed: 3, Outcome: lab.Failure, Cause: lab.CausePacketLoss}}, Remedy: "do this", Capture: "captures/a-1.pcapng",
		Known: "a", Inputs: strings.Repeat("0123456789abcdef", 4), Reused: "20261123-044400-7f3a", Shard: 2,
		Control:  []lab.ControlTaken{{Kind: lab.ControlClean, Cell: "x", Outcome: lab.Hybrid}},
		Attempts: []lab.Attempt{{Outcome: lab.Failure, Cause: lab.CausePacketLoss}},
	}
}

func TestVerdictsConform(t *testing.T) {
	s := compile(t, VerdictSchema)
	if err := s.Validate(object(t, everything())); err != nil {
		t.Errorf("a verdict with every field: %v", err)
	}
	for v := range large.verdicts {
		if err := s.Validate(object(t, v)); err != nil {
			t.Fatalf("%s: %v", v.Cell, err)
		}
	}
}

// The control: what is not a verdict does not pass for one.
func TestVerdictSchemaRefuses(t *testing.T) {
	s := compile(t, VerdictSchema)
	for field := range object(t, everything()) {
		v := object(t, everything())
		delete(v, field)
		err := s.Validate(v)
		if required := slices.Contains(requiredFields(reflect.TypeFor[lab.Verdict]()), field); (err != nil) != required {
			t.Errorf("without %q, which is required: %t: %v", field, required, err)
		}
	}
	for field, value := range map[string]any{
		"colour": "red", "outcome": "great", "cause": "Bad Luck", "blame": "nobody", "boxes": nil, "predicted": "hybrid", "hello_bytes": json.Number("0"),
		"handshake_ms": json.Number("-1"), "capture": "captures/../x.pcapng", "offer": "", "attempts": []any{}, "hrr": "yes", "cell": "",
		"inputs": "abc", "reused": "", "trigger": "bad luck", "traced": "", "triage_runs": json.Number("0"), "triage": []any{map[string]any{"changed": "c", "cell": "x"}},
		"control": []any{map[string]any{"kind": "k", "cell": "c", "outcome": "hybrid", "more": true}},
	} {
		v := object(t, everything())
		v[field] = value
		if s.Validate(v) == nil {
			t.Errorf("passes with %q = %v", field, value)
		}
	}
}

func TestReportsConform(t *testing.T) {
	s := compile(t, ReportSchema)
	known, _ := knownRun()
	for _, rep := range []lab.Report{small.report(), large.report(), known} {
		rep.Counts[lab.Hybrid], rep.Interrupted, rep.Reused, rep.Level, rep.Missing = 12, true, 3, "quick", []string{"2/3"}
		if err := s.Validate(object(t, rep)); err != nil {
			t.Error(err)
		}
	}
	for field, value := range map[string]any{
		"colour": "red", "schema": json.Number("2"), "fabric": "paper", "started": "yesterday", "peers": nil, "excluded": nil,
		"counts": map[string]any{"great": json.Number("1")}, "cells": json.Number("-1"),
	} {
		rep := object(t, small.report())
		rep[field] = value
		if s.Validate(rep) == nil {
			t.Errorf("passes with %q = %v", field, value)
		}
	}
}

// tags are the JSON names of a struct's fields; requiredFields those that are
// always written.
func tags(typ reflect.Type) (all []string) {
	for f := range typ.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, tag)
	}
	return all
}

func requiredFields(typ reflect.Type) (names []string) {
	for f := range typ.Fields() {
		if tag, options, _ := strings.Cut(f.Tag.Get("json"), ","); options == "" {
			names = append(names, tag)
		}
	}
	return names
}

// The schemas list the fields, outcomes and causes that the code has: a new
// one is published by adding it there.
func TestSchemasAreComplete(t *testing.T) {
	for _, c := range []struct {
		schema []byte
		typ    reflect.Type
	}{{VerdictSchema, reflect.TypeFor[lab.Verdict]()}, {ReportSchema, reflect.TypeFor[lab.Report]()}} {
		var s struct {
			Required   []string
			Properties map[string]any
		}
		if err := json.Unmarshal(c.schema, &s); err != nil {
			t.Fatal(err)
		}
		for _, f := range tags(c.typ) {
			if s.Properties[f] == nil {
				t.Errorf("%v: field %q is not in the schema", c.typ, f)
			}
			delete(s.Properties, f)
		}
		for f := range s.Properties {
			t.Errorf("%v: the schema has %q, the type has not", c.typ, f)
		}
		if want := requiredFields(c.typ); !slices.Equal(slices.Sorted(slices.Values(s.Required)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%v: required %q, want %q", c.typ, s.Required, want)
		}
	}
	s := compile(t, VerdictSchema)
	try := func(field string, value string) {
		v := object(t, everything())
		v[field] = value
		if err := s.Validate(v); err != nil {
			t.Errorf("%s %q is not in the schema", field, value)
		}
	}
	for _, o := range lab.Outcomes {
		try("outcome", string(o))
	}
	for _, c := range declaredCauses(t) {
		try("cause", string(c))
	}
	for _, c := range lab.Triggers {
		try("trigger", string(c))
	}
}
