package desire

import (
	"slices"

	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// say is which policies speak of one setting of an outcome.
type say struct {
	Setting  manifest.ID `json:"setting"`
	Gave     []policy.ID `json:"gave,omitempty"`     // the value, or a field of it; where they contradict each other, all that do
	Outvoted []policy.ID `json:"outvoted,omitempty"` // reach the device in vain
	Conflict bool        `json:"conflict,omitempty"` // nothing is applied
}

// saysOf is who speaks in what was resolved.
func saysOf(resolved []policy.Resolved) []say {
	out := make([]say, len(resolved))
	for i, r := range resolved {
		s := say{Setting: r.ID, Conflict: r.Conflict != ""}
		for _, c := range r.Claims {
			if c.Won || s.Conflict {
				s.Gave = append(s.Gave, c.Policy)
			} else {
				s.Outvoted = append(s.Outvoted, c.Policy)
			}
		}
		out[i] = s
	}
	return out
}

// words are what the name of an outcome is made of besides its manifest.
func (s *say) words() []string {
	out := make([]string, 0, 3+len(s.Gave)+len(s.Outvoted))
	out = append(out, string(s.Setting))
	for _, p := range s.Gave {
		out = append(out, string(p))
	}
	out = append(out, "outvoted")
	for _, p := range s.Outvoted {
		out = append(out, string(p))
	}
	if s.Conflict {
		out = append(out, "conflict")
	}
	return out
}

// part is what of an outcome is a policy's.
type part struct {
	settings []manifest.Setting // whose value, or a field of it, it gave
	mixed    bool               // others gave fields too, so that faults name no policy
	conflict []manifest.ID      // it contradicts others
}

// partsOf takes an outcome apart by the policies that reach its devices; a policy that is
// outvoted in everything has an empty part. Outcomes that were kept before policies were noted
// know their settings' sources only.
func partsOf(settings []manifest.Setting, says []say) map[policy.ID]*part {
	out := map[policy.ID]*part{}
	of := func(id policy.ID) *part {
		if out[id] == nil {
			out[id] = &part{}
		}
		return out[id]
	}
	if len(says) == 0 {
		for _, s := range settings {
			if s.Source.Policy != "" {
				p := of(policy.ID(s.Source.Policy))
				p.settings = append(p.settings, s)
			}
		}
		return out
	}
	at := make(map[manifest.ID]int, len(settings))
	for i := range settings {
		at[settings[i].ID] = i
	}
	for _, s := range says {
		for _, id := range s.Outvoted {
			of(id)
		}
		for _, id := range s.Gave {
			p := of(id)
			if i, ok := at[s.Setting]; ok && !s.Conflict {
				p.settings = append(p.settings, settings[i])
				p.mixed = p.mixed || settings[i].Source.Policy != string(id)
			} else if s.Conflict {
				p.conflict = append(p.conflict, s.Setting)
			}
		}
	}
	return out
}

// only is a part about one setting alone; nil where there is none.
func (p *part) only(id manifest.ID) *part {
	if p == nil || id == "" {
		return p
	}
	one := &part{mixed: p.mixed}
	if i := slices.IndexFunc(p.settings, func(s manifest.Setting) bool { return s.ID == id }); i >= 0 {
		one.settings = p.settings[i : i+1]
	}
	if slices.Contains(p.conflict, id) {
		one.conflict = []manifest.ID{id}
	}
	if len(one.settings)+len(one.conflict) == 0 {
		return nil
	}
	return one
}

func (p *part) ids() []manifest.ID {
	out := make([]manifest.ID, len(p.settings))
	for i := range p.settings {
		out[i] = p.settings[i].ID
	}
	return out
}
