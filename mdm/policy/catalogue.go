package policy

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Merge is what becomes of a setting that several policies give one device.
type Merge string

// The merge rules. The order in which policies are listed never matters.
const (
	MostRestrictive Merge = "most_restrictive" // field by field the strictest; fields that have no order go by priority
	ByRank          Merge = "priority"         // the whole value of the policy with the highest priority
	Union           Merge = "union"            // field by field: lists are joined, the rest goes by priority
	OrError         Merge = "error"            // they must agree; else none is applied and the setting is in conflict
)

// Platform is an operating system a setting exists on.
type Platform string

// The platforms.
const (
	Linux   Platform = "linux"
	Windows Platform = "windows"
	MacOS   Platform = "macos"
)

// Risk is what a setting can do to a device that it should not.
type Risk struct {
	CutsNetwork bool   `json:"cuts_network"` // undone by the device itself when it cannot reach its gateway afterwards
	CutsSignIn  bool   `json:"cuts_sign_in"`
	Words       string `json:"words,omitempty"` // what to mind
}

// Entry is one key of the catalogue: what may be set, described for people and typed for
// machines.
type Entry struct {
	Key         string     `json:"key"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Category    string     `json:"category"`
	Platforms   []Platform `json:"platforms"`
	Mechanism   string     `json:"mechanism"` // what it becomes on a device
	Merge       Merge      `json:"merge"`
	Several     bool       `json:"several"`             // there may be many, each with a name after a slash
	Instances   []string   `json:"instances,omitempty"` // the only names there may be; empty is any
	Exclusive   []string   `json:"exclusive,omitempty"` // no two on a device may have the same of these fields
	Risk        Risk       `json:"risk"`
	Fields      []Field    `json:"fields"`

	// check finds what one field cannot know; value is decoded and each field is well by itself.
	check func(value map[string]any, say func(path, message string))
}

// Catalogue is every setting there is. It is immutable and safe for concurrent use.
type Catalogue struct {
	entries []*Entry // by category as the console shows them, then as declared
	byKey   map[string]*Entry
	schemas map[string]json.RawMessage
	scratch sync.Pool // of *scratch
	seed    maphash.Seed
}

// newCatalogue arranges entries and makes their schemas.
func newCatalogue(entries []*Entry) *Catalogue {
	c := &Catalogue{seed: maphash.MakeSeed(), entries: entries, byKey: make(map[string]*Entry, len(entries)), schemas: make(map[string]json.RawMessage, len(entries))}
	for _, e := range entries {
		c.byKey[e.Key] = e
		c.schemas[e.Key] = e.schema()
	}
	return c
}

// Entries returns every entry, those of a category together. The entries are not to be changed.
func (c *Catalogue) Entries() []*Entry { return slices.Clone(c.entries) }

// Entry returns the entry of a key.
func (c *Catalogue) Entry(key string) (*Entry, bool) {
	e, ok := c.byKey[key]
	return e, ok
}

// Schema returns the JSON Schema (draft 2020-12) of a key's value; nil for an unknown key.
func (c *Catalogue) Schema(key string) json.RawMessage { return c.schemas[key] }

// entryOf returns the entry of an id, or says what is wrong with the id.
func (c *Catalogue) entryOf(id manifest.ID) (*Entry, string) {
	if err := id.Check(); err != nil {
		return nil, strings.TrimSuffix(err.Error(), ": "+mdm.ErrInvalid.Error())
	}
	e, ok := c.byKey[id.Key()]
	if !ok {
		return nil, "there is no such setting" + c.meant(id.Key())
	}
	switch instance := id.Instance(); {
	case e.Several && instance == "":
		return nil, "there may be several of this setting: give it a name after a slash, as in " + e.Key + "/" + e.exampleInstance()
	case !e.Several && instance != "":
		return nil, "there is only one of this setting: leave out what follows " + e.Key
	case len(e.Instances) > 0 && !slices.Contains(e.Instances, instance):
		return nil, "the name after the slash must be one of " + strings.Join(e.Instances, ", ")
	}
	return e, ""
}

func (e *Entry) exampleInstance() string {
	if len(e.Instances) > 0 {
		return e.Instances[0]
	}
	return "office"
}

func (c *Catalogue) meant(key string) string {
	names := make([]string, 0, len(c.entries))
	for _, e := range c.entries {
		names = append(names, e.Key)
	}
	return nearest(key, names)
}

// nearest is a hint for a mistyped name: `; did you mean "x"?`, or nothing.
func nearest(typed string, names []string) string {
	best := mdm.Nearest(typed, names)
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}
