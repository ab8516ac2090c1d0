package yaml

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Text writes what Read reads: v is a struct, and every field with a yaml tag
// that is not zero is in it. Texts are quoted as JSON has it, which is YAML.
func Text(v any) string {
	var b strings.Builder
	writeFields(&b, reflect.ValueOf(v), "")
	return b.String()
}

func writeFields(b *strings.Builder, v reflect.Value, indent string) {
	first := true
	for i, key := range keysOf(v.Type()) {
		if key == "" || v.Field(i).IsZero() {
			continue
		}
		if !first {
			b.WriteString(indent)
		}
		first = false
		b.WriteString(key + ":")
		writeValue(b, v.Field(i), indent+"  ")
	}
}

// writeValue writes what stands behind a key, up to the end of the line.
func writeValue(b *strings.Builder, v reflect.Value, indent string) {
	if s, ok := scalar(v); ok {
		b.WriteString(" " + s + "\n")
		return
	}
	if v.Kind() == reflect.Struct {
		b.WriteString("\n" + indent)
		writeFields(b, v, indent)
		return
	}
	b.WriteString("\n")
	for i := range v.Len() {
		b.WriteString(indent + "-")
		if e := v.Index(i); e.Kind() == reflect.Struct {
			b.WriteString(" ")
			writeFields(b, e, indent+"  ")
		} else {
			writeValue(b, e, indent+"  ")
		}
	}
}

// scalar is a value of one line.
func scalar(v reflect.Value) (string, bool) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic("yaml: " + err.Error()) // units of ours: they have a form for every value
		}
		return quoted(string(text)), true
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String(), true
	}
	switch v.Kind() {
	case reflect.String:
		return quoted(v.String()), true
	case reflect.Int, reflect.Bool:
		return fmt.Sprint(v.Interface()), true
	case reflect.Struct, reflect.Slice:
		return "", false
	}
	panic("yaml: no form in a file for " + v.Type().String())
}

func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("yaml: " + err.Error()) // text always has a form
	}
	return strings.TrimSuffix(b.String(), "\n")
}
