package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"handrail/agent/internal/diag"
	"handrail/mdm/inventory"
)

type inventoryCmd struct {
	Root     string   `help:"Tell of the system whose files are in this tree, and not of this one." type:"existingdir"`
	Sections []string `arg:"" optional:"" help:"Only these sections; software is one."`
}

// Run prints what this device would tell its gateway, as JSON. It needs no enrollment.
func (c *inventoryCmd) Run(t *terminal) error {
	look := diag.NewCollector(versionText())
	if c.Root != "" {
		var err error
		if look, err = diag.NewTreeCollector(c.Root, versionText()); err != nil {
			return err
		}
	}
	all := look.Collect(t.ctx, nil)
	out := map[string]json.RawMessage{}
	var software []inventory.Software
	for _, name := range slices.Sorted(maps.Keys(all)) {
		noun := inventory.Noun(name)
		if len(c.Sections) > 0 && !slices.Contains(c.Sections, noun) {
			continue
		}
		if noun != inventory.SectionSoftware {
			out[noun] = all[name].Data
			continue
		}
		var bucket []inventory.Software
		if err := json.Unmarshal(all[name].Data, &bucket); err != nil {
			return fmt.Errorf("section %s: %w", name, err)
		}
		software = append(software, bucket...)
	}
	if software != nil {
		slices.SortFunc(software, inventory.CompareSoftware)
		data, err := json.Marshal(software)
		if err != nil {
			return err
		}
		out[inventory.SectionSoftware] = data
	}
	e := json.NewEncoder(t.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(out)
}
