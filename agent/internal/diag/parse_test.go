package diag

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"handrail/mdm/inventory"
)

func fixture(t *testing.T, name string) []byte { t.Helper(); return fixtureOf(t, name) }

func fixtureOf(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseOSRelease(t *testing.T) {
	if got := parseOSRelease(fixture(t, "os-release"))["PRETTY_NAME"]; got != "Debian GNU/Linux 12 (bookworm)" {
		t.Errorf("parseOSRelease = %q", got)
	}
	if got := parseOSRelease(nil); len(got) != 0 {
		t.Errorf("parseOSRelease(nil) = %q", got)
	}
}

func TestParseCPU(t *testing.T) {
	for _, tc := range []struct {
		file    string
		want    inventory.CPU
		virtual bool
	}{
		{"cpuinfo-amd64", inventory.CPU{Model: "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", Cores: 2, Threads: 4, MHz: 2800}, true},
		{"cpuinfo-arm64", inventory.CPU{Model: "Raspberry Pi 4 Model B Rev 1.4", Cores: 2, Threads: 2}, false},
	} {
		got, virtual := parseCPU(fixture(t, tc.file))
		if got != tc.want || virtual != tc.virtual {
			t.Errorf("parseCPU(%s) = %+v, %v, want %+v, %v", tc.file, got, virtual, tc.want, tc.virtual)
		}
	}
}

func TestParseNumbers(t *testing.T) {
	if got := parseBootTime([]byte("cpu  1 2 3\nintr 5\nbtime 1763896000\nprocesses 9\n")); got != 1763896000_000000 {
		t.Errorf("parseBootTime = %d", got)
	}
	if got := parseMemTotal([]byte("MemTotal:       24689476 kB\nMemFree:  1 kB\n")); got != 24689476<<10 {
		t.Errorf("parseMemTotal = %d", got)
	}
	for _, bad := range []string{"", "btime", "btime x\n", "MemTotal: -1 kB\n", "MemTotal:\n"} {
		if parseBootTime([]byte(bad)) != 0 || parseMemTotal([]byte(bad)) != 0 {
			t.Errorf("%q gave a number", bad)
		}
	}
}

func TestParseMounts(t *testing.T) {
	want := []mount{
		{"/dev/nvme0n1p2", "/", "ext4"},
		{"/dev/nvme0n1p1", "/boot/efi", "vfat"},
		{"/dev/mapper/data", "/srv/our data", "xfs"},
	}
	if diff := cmp.Diff(want, parseMounts(fixture(t, "mounts")), cmp.AllowUnexported(mount{})); diff != "" {
		t.Error(diff)
	}
}

func record(kind uint16, line, user, host string, sec int64, wide bool) []byte {
	size := utmpSize32
	if wide {
		size = utmpSize64
	}
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b, kind)
	copy(b[utmpLine:], line)
	copy(b[utmpUser:], user)
	copy(b[utmpHost:], host)
	if wide {
		binary.NativeEndian.PutUint64(b[utmpTime64:], uint64(sec))
	} else {
		binary.NativeEndian.PutUint32(b[utmpTime32:], uint32(sec))
	}
	return b
}

func TestParseUtmp(t *testing.T) {
	for _, wide := range []bool{false, true} {
		var b []byte
		b = append(b, record(2, "~", "reboot", "6.1", 1, wide)...)
		b = append(b, record(utmpUserProcess, "tty7", "ana", ":0", 1763896000, wide)...)
		b = append(b, record(utmpUserProcess, "pts/0", "bela", "10.0.0.7", 1763896001, wide)...)
		b = append(b, record(8, "pts/1", "gone", "", 1, wide)...)
		b = append(b, "torn"...)
		want := []inventory.User{
			{Name: "ana", Terminal: "tty7", SinceUS: 1763896000_000000, Graphical: true},
			{Name: "bela", Terminal: "pts/0", Host: "10.0.0.7", SinceUS: 1763896001_000000},
		}
		if diff := cmp.Diff(want, parseUtmp(b, wide)); diff != "" {
			t.Errorf("wide %v: %s", wide, diff)
		}
	}
}

func TestParseLogindSession(t *testing.T) {
	u, ok := parseLogindSession(fixture(t, "logind-session"))
	want := inventory.User{Name: "ana", Terminal: "tty2", SinceUS: 1763896000123456, Graphical: true}
	if !ok || u != want {
		t.Errorf("parseLogindSession = %+v, %v, want %+v", u, ok, want)
	}
	if _, ok := parseLogindSession([]byte("USER=gdm\nCLASS=greeter\n")); ok {
		t.Error("the greeter was taken for a person")
	}
}

func TestMeaningful(t *testing.T) {
	for in, want := range map[string]string{
		" PF2X9Q1K\n": "PF2X9Q1K", "To Be Filled By O.E.M.": "", "Default string": "", "\x00\x00": "", "00000000-0000-0000-0000-000000000000": "",
	} {
		if got := meaningful(in); got != want {
			t.Errorf("meaningful(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestVirtualization(t *testing.T) {
	for _, tc := range []struct {
		vendor, model string
		hypervisor    bool
		want          string
	}{
		{"QEMU", "Standard PC (Q35 + ICH9, 2009)", true, "kvm"},
		{"VMware, Inc.", "VMware20,1", true, "vmware"},
		{"Microsoft Corporation", "Virtual Machine", true, "hyper-v"},
		{"LENOVO", "20XW00FBGE", false, ""},
		{"", "", true, "vm"},
	} {
		if got := virtualization(tc.vendor, tc.model, tc.hypervisor); got != tc.want {
			t.Errorf("virtualization(%q, %q, %v) = %q, want %q", tc.vendor, tc.model, tc.hypervisor, got, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"os-release", "cpuinfo-amd64", "cpuinfo-arm64", "mounts", "logind-session"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(record(utmpUserProcess, "tty7", "ana", ":0", 1763896000, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseOSRelease(b)
		parseBootTime(b)
		parseMemTotal(b)
		parseCPU(b)
		parseMounts(b)
		parseUtmp(b, false)
		parseUtmp(b, true)
		parseLogindSession(b)
	})
}
