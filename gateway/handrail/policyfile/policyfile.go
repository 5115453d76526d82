// Package policyfile reads and writes policies as YAML files, so that a fleet's policies can
// live in git. It knows the form only: what settings there are and what they may be is the
// gateway's to say; Locate finds the line the gateway spoke of. Command handrail calls it.
//
//	name: Workstations
//	description: What every workstation must be.
//	assignments:
//	  - include: {groups: [All devices/Berlin], labels: [Laptops]}
//	    exclude: {labels: [Kiosks]}
//	    priority: 10
//	settings:
//	  screen.lock: {idle_seconds: 300}
//	  wifi.network/office:
//	    ssid: Office
//	    security: wpa-psk
//	    psk: !env WIFI_PSK
//	  file.content/motd: {path: /etc/motd, content: !file motd.txt}
//
// The policy's name is what ties a file to a policy of the gateway. Three tags keep out of
// git what does not belong there: !env NAME is a variable of the environment, !file PATH the
// content of a file beside this one, !keep the secret that the gateway has.
package policyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"handrail/mdm"
)

// Limits of policy files.
const (
	maxFile  = 8 << 20 // bytes
	maxNodes = 200_000 // values in one file, aliases counted each time
)

// Policy is one policy of a file.
type Policy struct {
	File        string // where it is from
	Line        int    // where it begins
	Name        string
	Description string
	Assignments []Assignment
	Settings    []Setting
	nodes       map[string]*yaml.Node // by setting, to find lines
	nodesLeft   int
	env         Lookup
}

// Setting is as the API has it.
type Setting struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

// Scope names groups and labels: by name in files, by id in the API.
type Scope struct {
	Groups []string `json:"groups,omitempty" yaml:"groups,omitempty"`
	Labels []string `json:"labels,omitempty" yaml:"labels,omitempty"`
}

type Assignment struct {
	Include  Scope `json:"include" yaml:"include"`
	Exclude  Scope `json:"exclude" yaml:"exclude,omitempty"`
	Priority int   `json:"priority" yaml:"priority"`
	Version  int64 `json:"version,omitempty" yaml:"version,omitempty"`
}

// Read reads files, and the .yaml and .yml files of directories. Two policies of the
// same name are an error.
func Read(paths []string, env Lookup, open func(name string) ([]byte, error)) ([]*Policy, error) {
	var names []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if p == "-" || err == nil && !info.IsDir() {
			names = append(names, p)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, pattern := range []string{"*.yaml", "*.yml"} {
			found, err := filepath.Glob(filepath.Join(p, pattern))
			if err != nil {
				return nil, err
			}
			names = append(names, found...)
		}
	}
	slices.Sort(names)
	var out []*Policy
	for _, name := range slices.Compact(names) {
		b, err := open(name)
		if err != nil {
			return nil, err
		}
		list, err := Parse(name, b, env)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no policy in %s: files end in .yaml or .yml", strings.Join(paths, ", "))
	}
	for i, p := range out {
		for _, q := range out[:i] {
			if strings.EqualFold(p.Name, q.Name) {
				return nil, fmt.Errorf("%s:%d: the policy %q is in %s:%d too", p.File, p.Line, p.Name, q.File, q.Line)
			}
		}
	}
	return out, nil
}

// Parse reads the documents of one file.
func Parse(file string, b []byte, env Lookup) ([]*Policy, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is %d bytes, at most %d", file, len(b), maxFile)
	}
	var out []*Policy
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		p := &Policy{File: file, env: env, nodes: map[string]*yaml.Node{}, nodesLeft: maxNodes}
		if err := p.parse(doc.Content[0]); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
}

// wrong is an error at a node.
func (p *Policy) wrong(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.File, n.Line, mdm.Clean(fmt.Sprintf(format, args...), 500))
}

func (p *Policy) parse(n *yaml.Node) error {
	p.Line = n.Line
	if n.Kind != yaml.MappingNode {
		return p.wrong(n, "a policy file is name, description, assignments and settings")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		var err error
		switch key.Value {
		case "name":
			err = value.Decode(&p.Name)
		case "description":
			err = value.Decode(&p.Description)
		case "assignments":
			err = p.parseAssignments(value)
		case "settings":
			err = p.parseSettings(value)
		default:
			return p.wrong(key, "%q is not known here: a policy file has name, description, assignments and settings", key.Value)
		}
		if err != nil {
			if strings.HasPrefix(err.Error(), p.File+":") {
				return err
			}
			return p.wrong(value, "%s: %v", key.Value, err)
		}
	}
	if strings.TrimSpace(p.Name) == "" {
		return p.wrong(n, "the policy has no name")
	}
	return nil
}

// parseAssignments reads them with unknown keys refused.
func (p *Policy) parseAssignments(n *yaml.Node) error {
	b, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&p.Assignments); err != nil && !errors.Is(err, io.EOF) {
		return p.wrong(n, "assignments: %v", err)
	}
	return nil
}

func (p *Policy) parseSettings(n *yaml.Node) error {
	if n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return p.wrong(n, "settings are a mapping: the setting's key, then its value")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if p.nodes[key.Value] != nil {
			return p.wrong(key, "%s is there twice", key.Value)
		}
		v, err := p.value(value, 0)
		if err != nil {
			return err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return p.wrong(value, "%s: %v", key.Value, err)
		}
		p.nodes[key.Value] = value
		p.Settings = append(p.Settings, Setting{ID: key.Value, Value: b})
	}
	slices.SortFunc(p.Settings, func(a, b Setting) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// value turns YAML into what JSON can say.
func (p *Policy) value(n *yaml.Node, depth int) (any, error) {
	if p.nodesLeft--; p.nodesLeft < 0 || depth > 32 {
		return nil, p.wrong(n, "too much, or nested too deep")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return p.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			v, err := p.value(e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return nil, p.wrong(key, "keys are plain words")
			}
			if _, twice := out[key.Value]; twice {
				return nil, p.wrong(key, "%s is there twice", key.Value)
			}
			v, err := p.value(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			out[key.Value] = v
		}
		return out, nil
	case yaml.ScalarNode:
		return p.scalar(n)
	}
	return nil, p.wrong(n, "this is no value")
}

func (p *Policy) scalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!env":
		v, ok := p.env(n.Value)
		if !ok || v == "" {
			return nil, p.wrong(n, "the environment has no variable %s", n.Value)
		}
		return v, nil
	case "!file":
		path := n.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(p.File), path)
		}
		b, err := readPlain(path)
		if err != nil {
			return nil, p.wrong(n, "%v", err)
		}
		return string(b), nil
	case "!keep":
		return map[string]any{"secret": true}, nil
	case "!!timestamp", "!!str":
		return n.Value, nil
	case "!!binary":
		return nil, p.wrong(n, "binary values are not known here")
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return nil, p.wrong(n, "the tag %s is not known here; there are !env, !file and !keep", n.Tag)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, p.wrong(n, "%v", err)
	}
	return v, nil
}

// readPlain reads a plain file of a bounded size: a policy file may be somebody else's, and
// name a device that never ends.
func readPlain(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a plain file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is %d bytes, at most %d", path, info.Size(), maxFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// Locate is where in the file the API's location is, for people: the file and the line, the
// setting and the field in it.
func (p *Policy) Locate(location string) string {
	id, path := splitLocation(location)
	n := p.nodes[id]
	if n == nil {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, mdm.Clean(location, 200))
	}
	where := fmt.Sprintf("%s:%d: %s", p.File, find(n, path).Line, mdm.Clean(id, 130))
	if path != "" {
		where += ": " + mdm.Clean(path, 200)
	}
	return where
}

// Errors are problems with files, a line each.
type Errors []string

// Error is all of them.
func (e Errors) Error() string { return strings.Join(e, "\n") }

// Lookup finds a variable of the environment.
type Lookup func(name string) (string, bool)

// splitLocation takes settings[wifi.network/office].psk apart; "" when it is something else.
func splitLocation(location string) (id, path string) {
	location = strings.TrimPrefix(location, "body.")
	rest, ok := strings.CutPrefix(location, "settings[")
	if !ok {
		return "", ""
	}
	id, path, _ = strings.Cut(rest, "]")
	return id, strings.TrimPrefix(path, ".")
}

// find goes from a setting's node to the field the API spoke of, or as near as there is one.
func find(n *yaml.Node, path string) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if path == "" {
		return n
	}
	if rest, ok := strings.CutPrefix(path, "["); ok {
		index, rest, _ := strings.Cut(rest, "]")
		var i int
		if _, err := fmt.Sscan(index, &i); err != nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
			return n
		}
		return find(n.Content[i], strings.TrimPrefix(rest, "."))
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	name, rest := path[:end], strings.TrimPrefix(path[end:], ".")
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return find(n.Content[i+1], rest)
			}
		}
	}
	return n
}

// Write returns the policy as a file that reads back the same.
func (p *Policy) Write() ([]byte, error) {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value *yaml.Node) {
		doc.Content = append(doc.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	}
	text := func(s string) *yaml.Node { return textNode(s) }
	add("name", text(p.Name))
	if p.Description != "" {
		add("description", text(p.Description))
	}
	if len(p.Assignments) > 0 {
		var n yaml.Node
		if err := n.Encode(p.Assignments); err != nil {
			return nil, err
		}
		add("assignments", &n)
	}
	settings := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range p.Settings {
		d := json.NewDecoder(bytes.NewReader(s.Value))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("%s: %w", s.ID, err)
		}
		settings.Content = append(settings.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: s.ID}, toYAML(v))
	}
	add("settings", settings)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(doc), e.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s) // quotes what would be read as another type, folds lines as a block
	return n
}

// toYAML is a JSON value as a node, markers of secrets as !keep, keys in order.
func toYAML(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		if is, _ := v["secret"].(bool); is && (len(v) == 1 || len(v) == 2 && v["ref"] != nil) {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!keep"}
		}
		n := &yaml.Node{Kind: yaml.MappingNode}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			n.Content = append(n.Content, textNode(k), toYAML(v[k]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range v {
			n.Content = append(n.Content, toYAML(e))
		}
		return n
	case string:
		return textNode(v)
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}
