//go:build linux

package diag

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"handrail/mdm/inventory"
)

func TestParseDpkg(t *testing.T) {
	got := parseDpkg(bytes.NewReader(fixture(t, "dpkg-status")))
	want := []inventory.Software{
		{Name: "adduser", Version: "3.134", Source: "deb"},
		{Name: "bash", Version: "5.2.15-2+b8", Source: "deb", Arch: "amd64"},
		{Name: "libc6", Version: "2.36-9+deb12u10", Source: "deb", Arch: "amd64", Package: "glibc"},
		{Name: "libssl3", Version: "3.0.17-1~deb12u2", Source: "deb", Arch: "amd64", Package: "openssl"},
		{Name: "openssl", Version: "3.0.17-1~deb12u2", Source: "deb", Arch: "amd64"},
	}
	for _, w := range want { // versions are this capture's; names and shapes are what is tested
		i := -1
		for j, g := range got {
			if g.Name == w.Name {
				i = j
			}
		}
		if i < 0 || got[i].Arch != w.Arch || got[i].Package != w.Package || got[i].Version == "" {
			t.Errorf("%s: got %+v, want %+v", w.Name, got, w)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d packages, want 5: one is removed", len(got))
	}
}

func TestParsePackageManagers(t *testing.T) {
	rpm := parseRPM([]byte("bash\t0:5.2.26-3.fc40\tx86_64\tbash-5.2.26-3.fc40.src.rpm\tFedora Project\nopenssl-libs\t1:3.2.1-2.fc40\tx86_64\topenssl-3.2.1-2.fc40.src.rpm\tFedora Project\n" +
		"gpg-pubkey\t0:a15b79cc-63d04c2c\t(none)\t(none)\t(none)\nfonts\t0:1-1\tnoarch\tfonts-1-1.src.rpm\t(none)\nbroken line\n"))
	if diff := cmp.Diff([]inventory.Software{
		{Name: "bash", Version: "5.2.26-3.fc40", Source: "rpm", Arch: "x86_64", Publisher: "Fedora Project"},
		{Name: "openssl-libs", Version: "1:3.2.1-2.fc40", Source: "rpm", Arch: "x86_64", Package: "openssl", Publisher: "Fedora Project"},
		{Name: "fonts", Version: "1-1", Source: "rpm"},
	}, rpm); diff != "" {
		t.Error(diff)
	}
	updates := parseAptSimulation(fixture(t, "apt-simulate"))
	if len(updates) != 7 || updates[0].Name != "base-files" || updates[0].Installed != "12.4+deb12u11" || updates[0].Candidate != "12.4+deb12u15" || updates[0].Security {
		t.Errorf("%d updates: %+v", len(updates), updates)
	}
	for _, u := range updates {
		if u.Name == "libapt-pkg6.0" && !u.Security {
			t.Errorf("%+v is not a security update", u)
		}
	}
	var un inventory.Unattended
	parseAptConfig(&un, fixture(t, "apt-config"))
	if !un.Enabled || !un.Security || !un.All || un.Reboot || un.EveryDays != 1 {
		t.Errorf("unattended = %+v", un)
	}
	dnf := parseDnfList([]byte("Available Upgrades\nopenssl.x86_64   1:3.2.1-3.fc40   updates\n"), []byte("FEDORA-2024-1 Important/Sec. openssl-3.2.1-3.fc40.x86_64\n"))
	if diff := cmp.Diff([]inventory.PendingUpdate{{Name: "openssl", Candidate: "1:3.2.1-3.fc40", Security: true}}, dnf); diff != "" {
		t.Error(diff)
	}
	if got := parseUnsignedList([]byte("deb [trusted=yes] http://x.example/ ./\ndeb http://good.example/ stable main\n# deb [trusted=yes] http://no/ x\n")); len(got) != 1 || got[0] != "http://x.example/" {
		t.Errorf("unsigned = %q", got)
	}
	if got := parseUnsignedDeb822([]byte("Types: deb\nURIs: http://a/ http://b/\nTrusted: yes\n\nTypes: deb\nURIs: http://c/\n")); len(got) != 2 {
		t.Errorf("unsigned = %q", got)
	}
}

func TestParseApps(t *testing.T) {
	for in, want := range map[string]inventory.Software{
		"Inkscape-1.3.2-x86_64":     {Name: "Inkscape", Version: "1.3.2", Arch: "x86_64"},
		"krita-5.2.2":               {Name: "krita", Version: "5.2.2"},
		"Nextcloud-3.11.0-x86_64":   {Name: "Nextcloud", Version: "3.11.0", Arch: "x86_64"},
		"balena-etcher-v1.18.4-x86": {Name: "balena-etcher", Version: "1.18.4", Arch: "x86"},
		"Tool":                      {Name: "Tool"},
	} {
		want.Source = inventory.SourceAppImage
		if diff := cmp.Diff(want, parseAppImage(in)); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
	s, ok := parseChromeExtension([]byte(`{"name":"__MSG_extName__","version":"1.55.0","default_locale":"en"}`), func(string) []byte { return []byte(`{"extname":{"message":"Blocker"}}`) })
	if !ok || s.Name != "Blocker" || s.Version != "1.55.0" {
		t.Errorf("extension = %+v, %v", s, ok)
	}
	fx := parseFirefoxExtensions([]byte(`{"addons":[{"id":"u@x","version":"2","type":"extension","location":"app-profile","defaultLocale":{"name":"U","creator":"R"}},{"id":"b","type":"extension","location":"app-builtin"},{"id":"t","type":"theme"}]}`))
	if diff := cmp.Diff([]inventory.Software{{Name: "U", Version: "2", Source: "browser", Package: "u@x", Publisher: "R"}}, fx); diff != "" {
		t.Error(diff)
	}
	if s, ok := parseDistInfo("typing_extensions-4.12.2.dist-info"); !ok || s.Name != "typing-extensions" || s.Version != "4.12.2" {
		t.Errorf("dist-info = %+v, %v", s, ok)
	}
	if v := parseAppdataVersion([]byte(`<component><releases><release date="2024-01-01" version="46.2"/><release version="45"/></releases></component>`)); v != "46.2" {
		t.Errorf("version = %q", v)
	}
}

func TestParseServices(t *testing.T) {
	got := parseServices(
		[]byte("ssh.service loaded active running OpenBSD Secure Shell server\n● cups.service loaded failed failed CUPS Scheduler\nghost.service not-found inactive dead ghost.service\nfwupd.service loaded activating start Firmware\nuser@1000.service loaded active running User Manager\n"),
		[]byte("ssh.service enabled enabled\nbluetooth.service disabled enabled\ncups.service enabled enabled\nctrl.service masked enabled\n"))
	want := []inventory.Service{
		{Name: "bluetooth.service", Enabled: "disabled"},
		{Name: "ctrl.service", Enabled: "masked"},
		{Name: "cups.service", Enabled: "enabled", Active: "failed", Description: "CUPS Scheduler"},
		{Name: "fwupd.service", Active: "inactive", Description: "Firmware"},
		{Name: "ssh.service", Enabled: "enabled", Active: "active", Description: "OpenBSD Secure Shell server"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Inner CA"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := append(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	for _, b := range [][]byte{file, der} {
		got := parseCertificates(b)
		if len(got) != 1 || got[0].Subject != "CN=Inner CA" || got[0].NotAfterUS != 2e15 || got[0].Key != "ECDSA P-256" || !got[0].Authority {
			t.Errorf("certificates = %+v", got)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	if got := parseRoutes4(fixture(t, "route4")); len(got) != 2 || got[0].Destination != "0.0.0.0/0" || got[0].Gateway != "192.0.2.1" || got[1].Gateway != "" {
		t.Errorf("routes = %+v", got)
	}
	if got := parseRoutes6(fixture(t, "route6")); len(got) != 2 || got[1].Destination != "::/0" || got[1].Gateway != "fd00::1" || got[1].Metric != 1024 {
		t.Errorf("routes = %+v", got)
	}
	got := parseSockets(fixture(t, "tcp4"), false)
	if len(got) != 1 || got[0].addr.String() != "0.0.0.0:2024" || got[0].inode != "1061" {
		t.Errorf("sockets = %+v", got)
	}
	servers, search := parseResolvConf([]byte("# x\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\noptions edns0\n"))
	if len(servers) != 2 || len(search) != 2 {
		t.Errorf("resolv.conf = %q, %q", servers, search)
	}
	cards := []inventory.WiFi{{Interface: "wlp0s20f3"}}
	parseNmcliWifi(cards, []byte(" :wlp0s20f3:Guest:AA\\:BB\\:CC\\:00\\:00\\:01:2412 MHz:\n*:wlp0s20f3:Office\\: 2nd floor:AA\\:BB\\:CC\\:DD\\:EE\\:FF:5180 MHz:WPA2 802.1X\n"))
	if diff := cmp.Diff(inventory.WiFi{Interface: "wlp0s20f3", SSID: "Office: 2nd floor", BSSID: "aa:bb:cc:dd:ee:ff", FrequencyMHz: 5180, Security: "WPA2 802.1X"}, cards[0]); diff != "" {
		t.Error(diff)
	}
	var w inventory.WiFi
	parseIwLink(&w, []byte("Connected to aa:bb:cc:dd:ee:ff (on wlan0)\n\tSSID: Office\n\tfreq: 5180.0\n\tsignal: -50 dBm\n"))
	if w.SSID != "Office" || w.FrequencyMHz != 5180 || w.BSSID != "aa:bb:cc:dd:ee:ff" {
		t.Errorf("iw = %+v", w)
	}
}

func TestParseHardware(t *testing.T) {
	dimm := make([]byte, 0x28)
	dimm[0], dimm[1] = 17, 0x28
	binary.LittleEndian.PutUint16(dimm[0x0c:], 16384)
	dimm[0x10], dimm[0x12], dimm[0x17], dimm[0x18], dimm[0x1a] = 1, 0x1a, 2, 3, 4
	binary.LittleEndian.PutUint16(dimm[0x15:], 3200)
	dimm = append(dimm, "ChannelA-DIMM0\x00Samsung\x0012345678\x00M471A2K43DB1-CWE \x00\x00"...)
	m, ok := parseMemoryModule(dimm)
	if want := (inventory.MemoryModule{Slot: "ChannelA-DIMM0", SizeBytes: 16 << 30, Type: "DDR4", SpeedMTS: 3200, Vendor: "Samsung", Serial: "12345678", Part: "M471A2K43DB1-CWE"}); !ok || m != want {
		t.Errorf("memory module = %+v, %v", m, ok)
	}
	edid := make([]byte, 128)
	copy(edid, "\x00\xff\xff\xff\xff\xff\xff\x00\x10\xac\x83\xa0LC7D")
	edid[17], edid[21], edid[22] = 30, 60, 34
	copy(edid[54:], []byte{0x56, 0x5e, 0x00, 0xa0, 0xa0, 0xa0, 0x29, 0x50, 0x30, 0x20, 0x35, 0x00, 0x55, 0x50, 0x21})
	copy(edid[72:], "\x00\x00\x00\xff\x00HX2P0383\n")
	copy(edid[90:], "\x00\x00\x00\xfc\x00DELL U2722D\n")
	var sum byte
	for _, c := range edid {
		sum += c
	}
	edid[127] = -sum
	d, ok := parseEDID(edid)
	if want := (inventory.Display{Vendor: "DEL", Model: "DELL U2722D", Serial: "HX2P0383", Width: 2560, Height: 1440, WidthMM: 597, HeightMM: 336, Year: 2020}); !ok || d != want {
		t.Errorf("display = %+v, %v, want %+v", d, ok, want)
	}
	page := make([]byte, smartLogSize)
	page[0], page[5] = 4, 97
	binary.LittleEndian.PutUint64(page[128:], 12345)
	var disk inventory.Disk
	parseNVMeLog(&disk, page)
	if disk.Health != "failing" || *disk.WearPercent != 97 || *disk.PoweredHours != 12300 {
		t.Errorf("disk = %+v", disk)
	}
	disk = inventory.Disk{}
	parseSmartctl(&disk, []byte(`{"smart_status":{"passed":true},"power_on_time":{"hours":8765},"ata_smart_attributes":{"table":[{"id":5,"name":"Reallocated_Sector_Ct","value":100,"when_failed":"","raw":{"value":8}},{"id":177,"value":93,"raw":{"value":1}}]}}`))
	if disk.Health != "ok" || *disk.BadSectors != 8 || *disk.WearPercent != 7 || *disk.PoweredHours != 8700 {
		t.Errorf("disk = %+v", disk)
	}
	disk = inventory.Disk{}
	parseMMCLife(&disk, "0x02 0x05", "0x01")
	if disk.Health != "ok" || *disk.WearPercent != 50 {
		t.Errorf("disk = %+v", disk)
	}
	pci := []inventory.PCIDevice{{VendorID: "8086", DeviceID: "9a49"}, {VendorID: "ffff", DeviceID: "0000"}}
	parsePCIIDs(bufio.NewScanner(strings.NewReader("# list\n8086  Intel Corporation\n\t9a49  TigerLake-LP GT2\n\t\t1028 0a5d  Sub\nC 03  Display controller\n\t00  VGA\n")), pci)
	if pci[0].Vendor != "Intel Corporation" || pci[0].Device != "TigerLake-LP GT2" || pci[1].Vendor != "" {
		t.Errorf("pci = %+v", pci)
	}
}

func TestParseStorage(t *testing.T) {
	if got := parseSwaps([]byte("Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/dev/dm-1                               partition\t8388604\t0\t-2\n/swap\\040file file 1 0 -3\n")); len(got) != 2 || got[1] != "/swap file" {
		t.Errorf("swaps = %q", got)
	}
	got := parseMountOptions([]byte("proc /proc proc rw,nosuid 0 0\n/dev/sda1 / ext4 rw,relatime 0 0\ntmpfs /tmp tmpfs rw,nosuid,nodev 0 0\ntmpfs /run/user/1000 tmpfs rw 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\noverlay /var/lib/docker/o overlay rw 0 0\n"))
	if len(got) != 3 || got[2].Mount != "/tmp" || strings.Join(got[2].Options, ",") != "nodev,nosuid,rw" {
		t.Errorf("mounts = %+v", got)
	}
}
