package simdevice

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

// packageList names real packages of Debian 12, a line each: kind, name, version, and for a few
// the version that devices far behind still have. Kind "-" is on every device, a letter on
// devices of that role, "x" on some.
//
//go:embed packages.txt
var packageList string

// levels is how many waves of updates a distribution has seen; a device is at one of them.
const levels = 12

// updatedEach is the share of packages, in percent, that a wave brings anew.
const updatedEach = 8

// roles are what devices are for; each brings some hundred packages.
var roles = []string{"", "o", "d", "g", "s", "l"}

// farBehind is the newest level of devices that missed an update long ago, some in a hundred.
const farBehind = 3

// titled is one package of the set; old is empty, or the version up to level farBehind.
type titled struct{ name, version, old string }

// distribution is a system devices run, with its packages.
type distribution struct {
	id, version, versionID, codename, kernel string
	source                                   inventory.Source
	restyle                                  func(version string) string
}

var distributions = []distribution{
	{id: "debian", version: "Debian GNU/Linux 12 (bookworm)", versionID: "12", codename: "bookworm", kernel: "6.1.0-%d-amd64", source: inventory.SourceDeb, restyle: func(v string) string { return v }},
	{
		id: "ubuntu", version: "Ubuntu 24.04.3 LTS", versionID: "24.04", codename: "noble", kernel: "6.8.0-%d-generic", source: inventory.SourceDeb,
		restyle: func(v string) string {
			if at := strings.IndexAny(v, "+~"); at > 0 && strings.Contains(v[at:], "deb12u") {
				return v[:at] + "ubuntu0." + v[strings.LastIndexByte(v, 'u')+1:]
			}
			return v + "ubuntu1"
		},
	},
	{
		id: "fedora", version: "Fedora Linux 43 (Workstation Edition)", versionID: "43", kernel: "6.17.%d-300.fc43.x86_64", source: inventory.SourceRPM,
		restyle: func(v string) string {
			return strings.NewReplacer("~", "_", "+", "_", "_deb12u", ".").Replace(v) + ".fc43"
		},
	},
}

// wares is what a fleet's devices have installed: whatever many of them share is made once.
type wares struct {
	byKind map[string][]titled

	mu      sync.Mutex
	shared  map[wareKey]*bucket
	alike   map[[2]string]signaling.Section      // section and shape
	pending map[[2]int][]inventory.PendingUpdate // distribution and level
}

// wareKey names a bucket of software as devices installed alike have it.
type wareKey struct {
	distribution, role, level, bucket int
}

// bucket is a bucket of software as it is sent.
type bucket struct {
	list    []inventory.Software
	section signaling.Section
}

func newWares() *wares {
	w := &wares{byKind: map[string][]titled{}, shared: map[wareKey]*bucket{}, alike: map[[2]string]signaling.Section{}, pending: map[[2]int][]inventory.PendingUpdate{}}
	for line := range strings.Lines(packageList) {
		if f := append(strings.Fields(line), ""); len(f) >= 4 {
			kind := f[0]
			if kind == "-" {
				kind = ""
			}
			w.byKind[kind] = append(w.byKind[kind], titled{f[1], f[2], f[3]})
		}
	}
	return w
}

// at returns a package as it was at a level: the list names the newest, earlier ones end in
// smaller numbers.
func (p titled) at(d *distribution, level int) inventory.Software {
	behind := 0
	for l := level + 1; l < levels; l++ {
		h := fnv.New32a()
		h.Write([]byte{byte(l)})
		h.Write([]byte(p.name))
		if h.Sum32()%100 < updatedEach {
			behind++
		}
	}
	version := p.version
	switch {
	case level <= farBehind && p.old != "":
		version = p.old
	case behind > 0:
		at := len(version)
		for at > 0 && version[at-1] >= '0' && version[at-1] <= '9' {
			at--
		}
		if n, err := strconv.Atoi(version[at:]); err == nil && len(version)-at < 9 {
			version = version[:at] + strconv.Itoa(max(n-behind, 0))
		}
	}
	s := inventory.Software{Name: p.name, Version: d.restyle(version), Source: d.source, Arch: "amd64"}
	if d.source == inventory.SourceRPM {
		s.Arch = "x86_64"
	}
	return s
}

// bucketOf returns what every device of a distribution, role and level has in bucket n.
func (w *wares) bucketOf(distribution, role, level, n int) *bucket {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := wareKey{distribution, role, level, n}
	if b := w.shared[key]; b != nil {
		return b
	}
	d := &distributions[distribution]
	var list []inventory.Software
	for _, kind := range slices.Compact([]string{"", roles[role]}) {
		for _, p := range w.byKind[kind] {
			list = append(list, p.at(d, level))
		}
	}
	for i, part := range inventory.SplitSoftware(list) {
		w.shared[wareKey{distribution, role, level, i}] = &bucket{list: part, section: sectionOf(part)}
	}
	return w.shared[key]
}

// likeOthers returns a section that every device of a shape has alike.
func (w *wares) likeOthers(name, shape string, value func() any) signaling.Section {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := [2]string{name, shape}
	s, ok := w.alike[key]
	if !ok {
		s = sectionOf(value())
		w.alike[key] = s
	}
	return s
}

// behind returns the updates that a distribution's devices at a level miss.
func (w *wares) behind(distribution, level int) []inventory.PendingUpdate {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := [2]int{distribution, level}
	out, ok := w.pending[key]
	if ok {
		return out
	}
	out = []inventory.PendingUpdate{}
	d := &distributions[distribution]
	for _, p := range w.byKind[""] {
		was, is := p.at(d, level), p.at(d, levels-1)
		if was.Version != is.Version {
			out = append(out, inventory.PendingUpdate{Name: p.name, Installed: was.Version, Candidate: is.Version, Security: len(p.name)%3 == 0})
		}
	}
	w.pending[key] = out
	return out
}

// sectionOf is a section as an honest agent sends it.
func sectionOf(v any) signaling.Section {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs always encode
	}
	sum := sha256.Sum256(data)
	return signaling.Section{Hash: hex.EncodeToString(sum[:]), Data: data}
}

// software adds the buckets of a device's software to out: what it shares with others, and
// what is its own.
func (d *device) software(out map[string]signaling.Section, only int) {
	own := map[int][]inventory.Software{}
	for _, s := range d.facts.own {
		n := inventory.SoftwareBucket(s.Name)
		own[n] = append(own[n], s)
	}
	for n := range inventory.SoftwareBuckets {
		if only >= 0 && n != only {
			continue
		}
		b := d.f.wares.bucketOf(d.facts.distribution, d.facts.role, d.facts.level, n)
		if own[n] == nil {
			out[inventory.SoftwareSection(n)] = b.section
			continue
		}
		list := append(slices.Clone(b.list), own[n]...)
		slices.SortFunc(list, inventory.CompareSoftware)
		out[inventory.SoftwareSection(n)] = sectionOf(slices.Compact(list))
	}
}
