package inventory

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"handrail/mdm"
)

// maxBucket is how many entries one bucket of software keeps: some 32,000 on a device.
const maxBucket = 1024

// Source says who installed software.
type Source string

// The sources.
const (
	SourceDeb      Source = "deb"
	SourceRPM      Source = "rpm"
	SourceFlatpak  Source = "flatpak"
	SourceSnap     Source = "snap"
	SourceAppImage Source = "appimage"
	SourceBrowser  Source = "browser" // an extension of a browser
	SourcePip      Source = "pip"
	SourceNpm      Source = "npm"
	SourceApp      Source = "app" // other systems: what their own list of programs says
)

// Software is an entry of the sections SoftwareSection names: something installed.
// Within a bucket entries are sorted by name, source, version, architecture and scope, so
// that devices installed alike send the same bytes.
type Software struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Source    Source `json:"source"`
	Arch      string `json:"arch,omitempty"`      // "" for what runs anywhere
	Package   string `json:"package,omitempty"`   // the source package it was built from, where that has another name
	Publisher string `json:"publisher,omitempty"` // remote, store or author, where the source says
	Scope     string `json:"scope,omitempty"`     // account it is installed for, browser and profile, …; "" everybody
}

// CompareSoftware orders as buckets are ordered.
func CompareSoftware(a, b Software) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Publisher, b.Publisher))
}

// SplitSoftware sorts list, drops what is named twice and returns its buckets: always
// SoftwareBuckets of them, none nil. list is reordered.
func SplitSoftware(list []Software) [][]Software {
	slices.SortFunc(list, CompareSoftware)
	list = slices.Compact(list)
	out := make([][]Software, SoftwareBuckets)
	for i := range out {
		out[i] = []Software{}
	}
	for _, s := range list {
		n := SoftwareBucket(s.Name)
		out[n] = append(out[n], s)
	}
	return out
}

// decodeSoftware is Decode for bucket n.
func decodeSoftware(n int, data []byte) ([]byte, error) {
	list, err := readSoftware(n, data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(list)
}

// readSoftware reads bucket n. Entries that belong elsewhere, have no name or more than fits
// are left out.
func readSoftware(n int, data []byte) ([]Software, error) {
	var raw []Software
	if err := parse(data, &raw); err != nil {
		return nil, err
	}
	if len(raw) > maxBucket {
		return nil, fmt.Errorf("%d entries in one bucket of software, at most %d: %w", len(raw), maxBucket, mdm.ErrInvalid)
	}
	list := make([]Software, 0, len(raw))
	for _, s := range raw {
		cutText(defaultMax, &s.Name, &s.Version, &s.Package, &s.Publisher, &s.Scope)
		cutText(32, &s.Arch, (*string)(&s.Source))
		if s.Name != "" && SoftwareBucket(s.Name) == n {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, CompareSoftware)
	return slices.Compact(list), nil
}

// cutText cleans the given texts.
func cutText(limit int, fields ...*string) {
	for _, f := range fields {
		*f = mdm.Clean(*f, limit)
	}
}

// Service is an entry of the section "services": a unit that is loaded or installed.
type Service struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Enabled     string `json:"enabled" max:"32"` // "enabled", "disabled", "static", "masked", "generated", …; "" unknown
	Active      string `json:"active" max:"32"`  // "active", "inactive", "failed", …; "" not loaded
}

// Updates is the section "updates".
type Updates struct {
	Manager        string          `json:"manager" max:"32"`            // "apt", "dnf"; "" none known
	PackageListsUS int64           `json:"package_lists_at_us"`         // when the lists were fetched last; 0 never, or unknown
	Pending        []PendingUpdate `json:"pending" list:"2000"`         // among the lists the device has
	RebootRequired bool            `json:"reboot_required"`             // an update waits for it
	RebootFor      []string        `json:"reboot_for" list:"64"`        // packages it waits for
	Unattended     Unattended      `json:"unattended"`                  // what updates itself
	Unsigned       []string        `json:"unsigned_sources" max:"1024"` // sources whose signature is not checked, or that are fetched in the clear without one
}

// PendingUpdate is part of Updates.
type PendingUpdate struct {
	Name      string `json:"name"`
	Installed string `json:"installed"`
	Candidate string `json:"candidate"`
	Security  bool   `json:"security"`
}

// Unattended is part of Updates.
type Unattended struct {
	Installed bool   `json:"installed"`
	Enabled   bool   `json:"enabled"`
	Security  bool   `json:"security"` // takes security updates at least
	All       bool   `json:"all"`      // takes every update
	Reboot    bool   `json:"reboot"`   // restarts by itself where an update needs it
	EveryDays uint32 `json:"every_days"`
}

// Certificate is an entry of the section "certificates": those the organisation or a program put
// there, not the hundred authorities that come with the system.
type Certificate struct {
	Path        string `json:"path" max:"1024"`
	Subject     string `json:"subject" max:"512"`
	Issuer      string `json:"issuer" max:"512"`
	SHA256      string `json:"sha256" max:"64"`
	NotBeforeUS int64  `json:"not_before_us"`
	NotAfterUS  int64  `json:"not_after_us"`
	Authority   bool   `json:"authority"`    // may issue others
	Trusted     bool   `json:"trusted"`      // the whole system trusts it
	Key         string `json:"key" max:"64"` // "RSA 2048", "ECDSA P-256", "Ed25519"
}
