package diag

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

// laptop is a machine made of fixtures; the test moves what moves.
type laptop struct {
	*linux
	files fstest.MapFS
	free  uint64
}

func newLaptop(t *testing.T) *laptop {
	t.Helper()
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	m := &laptop{free: 40e9, files: fstest.MapFS{
		"etc/os-release":                       {Data: fixture(t, "os-release")},
		"proc/cpuinfo":                         {Data: fixture(t, "cpuinfo-amd64")},
		"proc/self/mounts":                     {Data: fixture(t, "mounts")},
		"proc/meminfo":                         text("MemTotal: 16000000 kB"),
		"proc/stat":                            text("btime 1763896000"),
		"proc/sys/kernel/osrelease":            text("6.1.0-41-amd64"),
		"etc/timezone":                         text("Europe/Berlin"),
		"sys/class/dmi/id/sys_vendor":          text("LENOVO"),
		"sys/class/dmi/id/product_name":        text("20XW00FBGE"),
		"sys/class/dmi/id/product_serial":      text("PF2X9Q1K"),
		"sys/class/dmi/id/product_uuid":        text("4C4C4544-0051-3910-8058-B9C04F4E3533"),
		"sys/class/dmi/id/bios_vendor":         text("LENOVO"),
		"sys/class/dmi/id/bios_version":        text("N32ET95W"),
		"sys/block/nvme0n1/size":               text("1000215216"),
		"sys/block/nvme0n1/device/model":       text("SAMSUNG MZVL2512HCJQ-00BL7   "),
		"sys/block/nvme0n1/device/serial":      text("S64KNX0R"),
		"sys/block/nvme0n1/queue/rotational":   text("0"),
		"sys/block/loop0/size":                 text("100"),
		"sys/block/sda/size":                   text("1953525168"),
		"sys/block/sda/removable":              text("1"),
		"sys/block/sda/device/vpd_pg80":        {Data: append([]byte{0, 0x80, 0, 4}, "WD42"...)},
		"sys/class/net/eth0/speed":             text("1000"),
		"sys/class/net/eth0/address":           text("a4:bb:6d:00:00:01"),
		"sys/class/net/eth0/addr_assign_type":  text("0"),
		"sys/class/net/eth0/device/vendor":     text("0x8086"),
		"sys/class/net/docker0/address":        text("02:42:00:00:00:01"),
		"run/systemd/sessions/2":               {Data: fixture(t, "logind-session")},
		"run/systemd/sessions/1.ref":           text(""),
		"sys/class/net/docker0/addr_assign_ty": text("3"),
	}}
	m.linux = &linux{
		ctx: t.Context(), root: m.files, open: m.files.Open, unsynced: func() (bool, error) { return false, nil },
		owner:    func(fs.FileInfo) (uid, gid int64) { return 0, 0 },
		nvmeLog:  func(string) ([]byte, error) { return nil, fs.ErrPermission },
		run:      func(context.Context, string, ...string) ([]byte, error) { return nil, exec.ErrNotFound },
		hostname: func() (string, error) { return "front-desk", nil },
		statfs:   func(string) (uint64, uint64, error) { return 500e9, m.free, nil },
		interfaces: func() ([]net.Interface, error) {
			return []net.Interface{
				{Name: "lo", Flags: net.FlagLoopback | net.FlagUp},
				{Name: "eth0", Flags: net.FlagUp | net.FlagRunning, HardwareAddr: net.HardwareAddr{0xa4, 0xbb, 0x6d, 0, 0, 1}},
			}, nil
		},
		addresses: func(net.Interface) ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, 7), Mask: net.CIDRMask(24, 32)}}, nil
		},
	}
	return m
}

func decode[T any](t *testing.T, s signaling.Section) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(s.Data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCollect(t *testing.T) {
	c := newCollector(newLaptop(t), "1.2.3")
	c.SetMonitors([]signaling.Monitor{{ID: 1, Name: "eDP-1", Width: 1920, Height: 1080, Primary: true}})
	got := c.Collect(t.Context(), nil)
	for name, want := range map[string]any{
		inventory.SectionHost: inventory.Host{
			Hostname: "front-desk", OS: "linux", OSVersion: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-41-amd64", Arch: "amd64",
			OSID: "debian", OSVersionID: "12", Virtualization: "vm", BootTimeUS: 1763896000_000000, Timezone: "Europe/Berlin",
		},
		inventory.SectionDisks: []inventory.Disk{
			{Name: "nvme0n1", Model: "SAMSUNG MZVL2512HCJQ-00BL7", Serial: "S64KNX0R", Bus: "nvme", SizeBytes: 1000215216 * 512},
			{Name: "sda", Serial: "WD42", SizeBytes: 1953525168 * 512, Removable: true},
		},
		inventory.SectionNetwork: []inventory.Interface{
			{Name: "eth0", MAC: "a4:bb:6d:00:00:01", Addresses: []string{"10.0.0.7/24"}, Up: true, SpeedMbps: 1000},
		},
		inventory.SectionMonitors: []inventory.Monitor{{Name: "eDP-1", Width: 1920, Height: 1080, Primary: true}},
		inventory.SectionUsers:    []inventory.User{{Name: "ana", Terminal: "tty2", SinceUS: 1763896000123456, Graphical: true}},
	} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(b), string(got[name].Data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if h := decode[inventory.Hardware](t, got[inventory.SectionHardware]); h.Model != "20XW00FBGE" || h.Serial != "PF2X9Q1K" || h.MemoryBytes != 16000000<<10 || h.CPU.Threads != 4 {
		t.Errorf("hardware = %+v", h)
	}
	for _, name := range inventory.Known() {
		_, ok := got[name]
		if name == inventory.SectionSoftware {
			_, ok = got[inventory.SoftwareSection(inventory.SoftwareBuckets-1)]
		}
		if !ok && name != inventory.SectionServices && name != inventory.SectionUpdates { // this laptop has no systemd, and no package manager
			t.Errorf("section %s is missing", name)
		}
	}
}

func TestBareMachineHasEverySection(t *testing.T) {
	m := newLaptop(t)
	m.root = fstest.MapFS{}
	for name, s := range newCollector(m, "x").Collect(t.Context(), nil) {
		if _, err := inventory.Decode(name, s.Data); err != nil {
			t.Errorf("%s of a machine that says nothing is not a section: %v", name, err)
		}
	}
}

func TestIdleDeviceDoesNotChange(t *testing.T) {
	m := newLaptop(t)
	c := newCollector(m, "x")
	before := c.Collect(t.Context(), nil)
	m.free -= 3e9 // under 2 % of 500 GB
	m.files["proc/stat"] = &fstest.MapFile{Data: []byte("btime 1763896002\n")}
	if diff := cmp.Diff(before, c.Collect(t.Context(), nil)); diff != "" {
		t.Errorf("an idle device changed: %s", diff)
	}
	m.free -= 10e9
	after := c.Collect(t.Context(), nil)
	if before[inventory.SectionFilesystems].Hash == after[inventory.SectionFilesystems].Hash {
		t.Error("13 GB less free space is no news")
	}
}

func TestFingerprint(t *testing.T) {
	m := newLaptop(t)
	all := []trait{m.firmwareTrait(), m.networkTrait(), {from: FromSystem, parts: []string{"id"}}}
	sum, from, err := fingerprint(all, "")
	if err != nil || from != FromFirmware || len(sum) != 64 {
		t.Fatalf("fingerprint = %q, %q, %v", sum, from, err)
	}
	if again, _, _ := fingerprint(all, FromFirmware); again != sum {
		t.Error("the same machine has two fingerprints")
	}
	if other, from, _ := fingerprint(all, FromNetwork); from != FromNetwork || other == sum {
		t.Error("as enrolled by its network, the fingerprint is of something else")
	}
	m.files["sys/class/dmi/id/product_serial"] = &fstest.MapFile{Data: []byte("OTHER\n")}
	if moved, _, _ := fingerprint([]trait{m.firmwareTrait()}, ""); moved == sum {
		t.Error("another machine has the same fingerprint")
	}
	if _, _, err := fingerprint([]trait{{from: FromFirmware, err: errors.New("permission denied")}, all[1]}, FromFirmware); err == nil {
		t.Error("a fingerprint that cannot be taken as enrolled was taken otherwise")
	}
	if _, _, err := fingerprint(nil, ""); !errors.Is(err, ErrNoFingerprint) {
		t.Errorf("no traits: %v, want ErrNoFingerprint", err)
	}
}

// holder is a gateway that holds an inventory.
type holder struct {
	have    map[string]string
	uploads []signaling.InventoryUpload
	fail    error
	refuse  string
}

func (h *holder) upload(_ context.Context, u signaling.InventoryUpload) (signaling.InventoryAnswer, error) {
	if h.fail != nil {
		return signaling.InventoryAnswer{}, h.fail
	}
	h.uploads = append(h.uploads, u)
	if u.Full {
		clear(h.have)
	}
	a := signaling.InventoryAnswer{Have: h.have}
	for name, s := range u.Sections {
		if name == h.refuse {
			a.Refused = map[string]string{name: "no"}
			continue
		}
		h.have[name] = s.Hash
	}
	return a, nil
}

func TestReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &holder{have: map[string]string{"a": "1", "gone": "9"}, refuse: "c"}
		var second atomic.Value
		second.Store("2")
		r, err := NewReporter(ReporterConfig{
			Upload: h.upload,
			Collect: func(context.Context, map[string]string) map[string]signaling.Section {
				return map[string]signaling.Section{"a": {Hash: "1"}, "b": {Hash: second.Load().(string)}, "c": {Hash: "3", Data: []byte("3")}}
			},
			Watch: func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil },
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		h.fail = ErrNotNow
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		settleDown := func() { time.Sleep(2 * time.Second); synctest.Wait() } //nolint:forbidigo // the bubble's fake clock

		settleDown()
		h.fail = nil
		r.Nudge() // the link is up
		settleDown()
		if len(h.uploads) != 2 || len(h.uploads[0].Sections) != 0 || !h.uploads[1].Full {
			t.Fatalf("uploads = %+v, want a question and then, since a section is gone, everything", h.uploads)
		}
		time.Sleep(10 * time.Minute) //nolint:forbidigo // the bubble's fake clock
		synctest.Wait()
		if len(h.uploads) != 2 {
			t.Fatalf("%d uploads after ten idle minutes, want 2: what was refused is not sent again", len(h.uploads))
		}
		second.Store("2b")
		r.Nudge()
		settleDown()
		if u := h.uploads[len(h.uploads)-1]; u.Full || !slices.Equal(keys(u.Sections), []string{"b"}) {
			t.Errorf("upload = %+v, want the changed section alone", u)
		}
		h.have = map[string]string{} // the gateway lost it, and says so
		r.Resync()
		settleDown()
		if u := h.uploads[len(h.uploads)-1]; len(u.Sections) != 3 {
			t.Errorf("upload = %+v, want everything", u)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func keys(m map[string]signaling.Section) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func TestFailedUploadsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries int
		r, _ := NewReporter(ReporterConfig{
			Collect: func(context.Context, map[string]string) map[string]signaling.Section { return nil },
			Upload: func(context.Context, signaling.InventoryUpload) (signaling.InventoryAnswer, error) {
				tries++
				return signaling.InventoryAnswer{}, errors.New("disk full")
			},
			Watch: func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil },
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r.Run(ctx)
		if tries < 12 || tries > 40 {
			t.Errorf("%d tries in an hour, want one in some minutes", tries)
		}
	})
}

// TestWatchSystemEnds: cancelling is the only stop, and it stops at once.
func TestWatchSystemEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- WatchSystem(ctx, func() {}) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("WatchSystem = %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("WatchSystem goes on after its end")
	}
}
