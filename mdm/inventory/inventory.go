// Package inventory keeps what devices report about themselves, in sections that are sent
// when they change. Everything in a report is hostile until it has been decoded into the
// types here, cut to their limits and cleaned; only the result is kept.
package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"handrail/mdm"
)

// MaxSections is how many sections a device may have, known to this version or not.
const MaxSections = 112

// Section is one section as a device sends it. Hash is the lower-case hex SHA-256 of Data. Without
// Data it is an offer: it is taken where the gateway knows what has that hash, which for software
// is what any device has sent, and otherwise left for the device to send.
type Section struct {
	Hash string
	Data []byte // JSON
}

// Row is one section as it is kept: Hash is the sender's, Data the cleaned JSON.
type Row struct {
	Section   string
	Hash      string
	Data      []byte     // nil to save, of software that Store.KnownSoftware knows, or that is in Software
	Software  []Software // to save, of a bucket: what its cleaned JSON would say
	ChangedAt time.Time
}

// Store keeps sections.
type Store interface {
	// SaveSections replaces the given sections of a device. With full set, every section not
	// among rows or keep is removed. What changed goes to the history at the time at.
	// mdm.ErrNotFound when there is no such device; mdm.ErrConflict when software that was said to be
	// known is no longer.
	SaveSections(ctx context.Context, device mdm.DeviceID, rows []Row, full bool, keep []string, at time.Time) error
	// Sections returns what is kept of a device, by name; empty for none or no such device.
	Sections(ctx context.Context, device mdm.DeviceID) ([]Row, error)
	// SectionHashes is Sections without the data: section name to hash.
	SectionHashes(ctx context.Context, device mdm.DeviceID) (map[string]string, error)
	// KnownSoftware returns which of the sections of software, given with their hashes, are stored
	// already, for whatever device: such a row is saved by its hash, without data.
	KnownSoftware(ctx context.Context, hashes map[string]string) (map[string]bool, error)
	// History returns what changed of a device, newest first: after and before are bounds that
	// are not part of it (zero: none), section "" is all, software as one.
	History(ctx context.Context, device mdm.DeviceID, section string, after, before time.Time, limit int) ([]Chapter, error)
}

// Registry applies the rules of inventory over a Store. It is safe for concurrent use.
type Registry struct {
	store    Store
	decoded  decoded
	decoding chan struct{} // held by who decodes: one processor is left to everything else while a whole fleet sends
}

// New returns a registry over store.
func New(store Store) *Registry {
	return &Registry{store: store, decoding: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))}
}

// Outcome is what an upload came to.
type Outcome struct {
	Have    map[string]string // what the gateway holds now: section to hash
	Refused map[string]string // section to why it was not taken
	Changed []string          // sections that differ from before, sorted; software once, as Noun has it
	Facts   Facts             // of the sections in this upload; see Learned
	Learned bool              // Facts holds something
}

// Apply takes an upload: the sections that changed or, with full set, all there are. Sections
// that do not decode are refused one by one, the others kept; sections this version does
// not know are remembered by hash only, so that the device does not send them for ever.
func (r *Registry) Apply(ctx context.Context, device mdm.DeviceID, full bool, sections map[string]Section, now time.Time) (Outcome, error) {
	out, err := r.apply(ctx, device, full, sections, now, r.store.KnownSoftware)
	if errors.Is(err, mdm.ErrConflict) { // what was known was deleted before it was saved: go by what was sent
		out, err = r.apply(ctx, device, full, sections, now, func(context.Context, map[string]string) (map[string]bool, error) { return nil, nil })
	}
	return out, err
}

func (r *Registry) apply(
	ctx context.Context, device mdm.DeviceID, full bool, sections map[string]Section, now time.Time,
	ask func(context.Context, map[string]string) (map[string]bool, error),
) (Outcome, error) {
	out := Outcome{Refused: map[string]string{}}
	if len(sections) > MaxSections {
		return out, fmt.Errorf("%d sections, at most %d: %w", len(sections), MaxSections, mdm.ErrInvalid)
	}
	have, err := r.store.SectionHashes(ctx, device)
	if err != nil {
		return out, fmt.Errorf("inventory of %s: %w", device, err)
	}
	known, err := knownSoftware(ctx, ask, have, sections)
	if err != nil {
		return out, fmt.Errorf("inventory of %s: %w", device, err)
	}
	rows, keep := r.acceptAll(&out, have, known, sections, now)
	if !full && len(have)+len(rows) > MaxSections {
		return out, fmt.Errorf("more than %d sections: %w", MaxSections, mdm.ErrInvalid)
	}
	if full {
		for name := range have {
			if _, sent := sections[name]; !sent {
				delete(have, name)
				out.Changed = append(out.Changed, Noun(name))
			}
		}
	}
	slices.Sort(out.Changed)
	out.Changed = slices.Compact(out.Changed)
	if len(out.Changed) > 0 {
		if err := r.store.SaveSections(ctx, device, rows, full, keep, now); err != nil {
			return out, fmt.Errorf("inventory of %s: %w", device, err)
		}
	}
	for _, row := range rows {
		have[row.Section] = row.Hash
	}
	out.Have = have
	return out, nil
}

// acceptAll decodes what is new among sections: rows are to be saved, keep names those that stay as
// they are. What is refused or learned goes to out.
func (r *Registry) acceptAll(out *Outcome, have map[string]string, known map[string]bool, sections map[string]Section, now time.Time) (rows []Row, keep []string) {
	r.decoding <- struct{}{}
	defer func() { <-r.decoding }()
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if !isName(name) {
			out.Refused[mdm.Clean(name, 64)] = "not a section name"
			continue
		}
		if have[name] == sections[name].Hash && have[name] != "" {
			keep = append(keep, name)
			continue
		}
		if len(sections[name].Data) == 0 && !known[name] {
			keep = append(keep, name)
			continue
		}
		row, err := r.accept(name, sections[name], known[name], now)
		if err != nil {
			out.Refused[name] = err.Error()
			keep = append(keep, name) // what was known before is better than nothing
			continue
		}
		rows = append(rows, row)
		out.Changed = append(out.Changed, Noun(name))
		out.Learned = out.Facts.take(row) || out.Learned
	}
	return rows, keep
}

// knownSoftware returns which sections need no decoding, because some device sent the same.
func knownSoftware(
	ctx context.Context, ask func(context.Context, map[string]string) (map[string]bool, error), have map[string]string, sections map[string]Section,
) (map[string]bool, error) {
	hashes := map[string]string{}
	for name, s := range sections {
		if IsSoftware(name) && have[name] != s.Hash {
			hashes[name] = s.Hash
		}
	}
	if len(hashes) == 0 {
		return nil, nil
	}
	return ask(ctx, hashes)
}

// accept checks the hash and, unless the very same data is known, decodes.
func (r *Registry) accept(name string, s Section, known bool, now time.Time) (Row, error) {
	if known && len(s.Data) == 0 {
		return Row{Section: name, Hash: s.Hash, ChangedAt: now}, nil
	}
	sum := sha256.Sum256(s.Data)
	if hex.EncodeToString(sum[:]) != s.Hash {
		return Row{}, fmt.Errorf("hash does not match the data: %w", mdm.ErrInvalid)
	}
	if known {
		return Row{Section: name, Hash: s.Hash, ChangedAt: now}, nil
	}
	if n := BucketOf(name); n >= 0 && len(s.Data) <= MaxSection {
		list, err := readSoftware(n, s.Data)
		return Row{Section: name, Hash: s.Hash, Software: list, ChangedAt: now}, err
	}
	key := decodedKey{name, s.Hash}
	data, ok := r.decoded.get(key)
	if !ok {
		var err error
		if data, err = Decode(name, s.Data); err != nil {
			return Row{}, err
		}
		r.decoded.put(key, data)
	}
	return Row{Section: name, Hash: s.Hash, Data: data, ChangedAt: now}, nil
}

// Sections are the sections of one device by name. A nil one was never reported.
type Sections struct {
	Host         *Host               `json:"host,omitempty"`
	Hardware     *Hardware           `json:"hardware,omitempty"`
	Disks        []Disk              `json:"disks,omitempty"`
	Filesystems  []Filesystem        `json:"filesystems,omitempty"`
	Encryption   *Encryption         `json:"encryption,omitempty"`
	Mounts       []Mount             `json:"mounts,omitempty"`
	Battery      []Battery           `json:"battery,omitempty"`
	GPUs         []GPU               `json:"gpus,omitempty"`
	Displays     []Display           `json:"displays,omitempty"`
	USB          []USBDevice         `json:"usb,omitempty"`
	PCI          []PCIDevice         `json:"pci,omitempty"`
	Network      []Interface         `json:"network,omitempty"`
	WiFi         []WiFi              `json:"wifi,omitempty"`
	Routes       []Route             `json:"routes,omitempty"`
	DNS          *DNS                `json:"dns,omitempty"`
	Listening    []Listener          `json:"listening,omitempty"`
	Monitors     []Monitor           `json:"monitors,omitempty"`
	Users        []User              `json:"users,omitempty"`
	SignIns      *SignIns            `json:"sign_ins,omitempty"`
	Accounts     *Accounts           `json:"accounts,omitempty"`
	Services     []Service           `json:"services,omitempty"`
	Software     []Software          `json:"software,omitempty"`
	Updates      *Updates            `json:"updates,omitempty"`
	Certificates []Certificate       `json:"certificates,omitempty"`
	Kernel       *Kernel             `json:"kernel,omitempty"`
	Security     *Security           `json:"security,omitempty"`
	SSHD         *SSHD               `json:"sshd,omitempty"`
	Sudo         *Sudo               `json:"sudo,omitempty"`
	PAM          *PAM                `json:"pam,omitempty"`
	Files        map[string]FileFact `json:"files,omitempty"`
	Firewall     *Firewall           `json:"firewall,omitempty"`
	Sysctl       map[string]string   `json:"sysctl,omitempty"`
	Time         *Clock              `json:"time,omitempty"`
	Journal      *Journal            `json:"journal,omitempty"`
	Desktop      *Desktop            `json:"desktop,omitempty"`
	Boot         *Boot               `json:"boot,omitempty"`
	Agent        *Agent              `json:"agent,omitempty"`
	Unread       map[string]string   `json:"unread,omitempty"`
}

// Report is everything known of one device.
type Report struct {
	Sections
	ChangedAt map[string]time.Time // section name, software once, to when it last changed, by the gateway's clock
}

// Report returns what is known of a device; all empty for a device that never reported.
func (r *Registry) Report(ctx context.Context, device mdm.DeviceID) (Report, error) {
	rows, err := r.store.Sections(ctx, device)
	if err != nil {
		return Report{}, fmt.Errorf("inventory of %s: %w", device, err)
	}
	rep := Report{ChangedAt: map[string]time.Time{}}
	for _, row := range rows {
		if err := rep.take(row); err != nil {
			return Report{}, fmt.Errorf("inventory of %s: section %s: %w", device, row.Section, err)
		}
		if noun := Noun(row.Section); row.ChangedAt.After(rep.ChangedAt[noun]) {
			rep.ChangedAt[noun] = row.ChangedAt
		}
	}
	slices.SortFunc(rep.Software, CompareSoftware)
	return rep, nil
}

func (rep *Report) take(row Row) error {
	into := rep.Sections.field(row.Section)
	if into == nil {
		return nil
	}
	if IsSoftware(row.Section) {
		var part []Software
		if err := json.Unmarshal(row.Data, &part); err != nil {
			return err
		}
		rep.Software = append(rep.Software, part...)
		return nil
	}
	return json.Unmarshal(row.Data, into)
}

// isName: 1 to 32 of a-z, 0-9 and underscore.
func isName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
