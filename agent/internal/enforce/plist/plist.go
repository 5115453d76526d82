// Package plist enforces, on macOS, the settings that need no more than a property list:
// the policies of browsers. plutil judges and reads back.
package plist

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/browser"
	"handrail/mdm/manifest"
)

// product is a browser on macOS.
type product struct{ application, file string }

var products = map[string]product{
	"firefox":  {"/Applications/Firefox.app", "/Library/Preferences/org.mozilla.firefox.plist"},
	"chrome":   {"/Applications/Google Chrome.app", "/Library/Managed Preferences/com.google.Chrome.plist"},
	"chromium": {"/Applications/Chromium.app", "/Library/Managed Preferences/org.chromium.Chromium.plist"},
	"edge":     {"/Applications/Microsoft Edge.app", "/Library/Managed Preferences/com.microsoft.Edge.plist"},
}

// Enforcer enforces policies of browsers by property lists.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Portable says that it works on systems other than Linux.
func (*Enforcer) Portable() {}

// Keys is browser.policy.
func (*Enforcer) Keys() []string { return []string{browser.Key} }

func render(s manifest.Setting) (map[string]any, []byte, error) {
	m, err := browser.Policies(s)
	if err != nil {
		return nil, nil, err
	}
	if s.ID.Instance() == "firefox" {
		m["EnterprisePoliciesEnabled"] = true
	}
	content, err := encode(enforce.Marker(s.ID), m)
	return m, content, err
}

// Plan writes the browser's property list.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	_, content, err := render(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	p := products[s.ID.Instance()]
	if !sys.Exists(p.application) {
		return enforce.Plan{}, enforce.NotApplicable("%s is not on the device", p.application)
	}
	return enforce.Plan{
		Files: []enforce.File{{Path: p.file, Content: content}},
		Check: func(ctx context.Context, staged enforce.Staged) error {
			plutil, err := sys.Tool("plutil", "macOS")
			if err != nil {
				return err
			}
			if _, err := sys.Run(ctx, enforce.Program{Path: plutil, Args: []string{"-lint", staged.Path(p.file)}}); err != nil {
				return fmt.Errorf("plutil does not accept the property list: %w", err)
			}
			return nil
		},
	}, nil
}

// Apply has macOS forget what it has read of preferences; it starts the service again by
// itself.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, _ manifest.Setting) error {
	return forget(ctx, sys)
}

// Remove does the same.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, _ enforce.Removal) error {
	return forget(ctx, sys)
}

func forget(ctx context.Context, sys *enforce.System) error {
	if !sys.Live() {
		return nil
	}
	killall, err := sys.Tool("killall", "macOS")
	if err == nil {
		_, err = sys.Run(ctx, enforce.Program{Path: killall, Args: []string{"cfprefsd"}})
	}
	var exit *enforce.ExitError
	if errors.As(err, &exit) {
		return nil // it did not run
	}
	return err
}

// Observe reads the property list back with plutil.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	want, _, err := render(s)
	if err != nil {
		return nil, err
	}
	plutil, err := sys.Tool("plutil", "macOS")
	if err != nil {
		return nil, err
	}
	r, err := sys.Run(ctx, enforce.Program{Path: plutil, Args: []string{"-convert", "json", "-o", "-", sys.Abs(products[s.ID.Instance()].file)}})
	if err != nil {
		return nil, fmt.Errorf("the property list cannot be read: %w", err)
	}
	var seen map[string]any
	if err := json.Unmarshal([]byte(r.Out), &seen); err != nil {
		return nil, fmt.Errorf("the property list cannot be read: %w", err)
	}
	for name, v := range want {
		must, err := json.Marshal(v)
		if err != nil {
			return seen, err
		}
		if is, err := json.Marshal(seen[name]); err != nil || !bytes.Equal(is, must) {
			return seen, errors.Join(err, fmt.Errorf("%s is not as it must be", name))
		}
	}
	return seen, nil
}

const (
	header = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
	// maxDepth bounds how deep lists and objects are in one another.
	maxDepth = 32
)

// encode writes a property list in XML.
func encode(comment string, m map[string]any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(header + "<!-- " + strings.ReplaceAll(comment, "--", "- -") + " -->\n<plist version=\"1.0\">\n")
	if err := write(&b, m, 0); err != nil {
		return nil, err
	}
	b.WriteString("</plist>\n")
	return b.Bytes(), nil
}

func write(b *bytes.Buffer, v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("the policies are more than %d levels deep", maxDepth)
	}
	switch v := v.(type) {
	case bool:
		b.WriteString("<" + strconv.FormatBool(v) + "/>\n")
	case float64:
		if v == float64(int64(v)) {
			fmt.Fprintf(b, "<integer>%d</integer>\n", int64(v))
		} else {
			b.WriteString("<real>" + strconv.FormatFloat(v, 'g', -1, 64) + "</real>\n")
		}
	case string:
		return element(b, "string", v)
	case []any:
		b.WriteString("<array>\n")
		for _, e := range v {
			if err := write(b, e, depth+1); err != nil {
				return err
			}
		}
		b.WriteString("</array>\n")
	case map[string]any:
		b.WriteString("<dict>\n")
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := element(b, "key", name); err != nil {
				return err
			}
			if err := write(b, v[name], depth+1); err != nil {
				return err
			}
		}
		b.WriteString("</dict>\n")
	default:
		return errors.New("a property list has no null")
	}
	return nil
}

// element writes a text, of which XML cannot carry every character.
func element(b *bytes.Buffer, name, value string) error {
	if strings.ContainsFunc(value, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r == 0xfffd || r == 0xfffe || r == 0xffff
	}) {
		return errors.New("a property list cannot hold control characters")
	}
	b.WriteString("<" + name + ">")
	if err := xml.EscapeText(b, []byte(value)); err != nil {
		return err
	}
	b.WriteString("</" + name + ">\n")
	return nil
}
