package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

const wireGuardKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// good is a proper value of many keys, each in its canonical form.
var good = []struct {
	id    manifest.ID
	value string
}{
	{"screen.lock", `{"idle_seconds":300,"lock_on_suspend":true}`},
	{"wifi.network/office", `{"psk":"correct horse","security":"wpa-psk","ssid":"Büro <2>"}`},
	{"wifi.network/kept", `{"psk":{"ref":"0a1b","secret":true},"security":"wpa3-sae","ssid":"x"}`},
	{"vpn.wireguard/hq", `{"addresses":["10.1.0.2/32","fd00::2/128"],"peers":[{"allowed_ips":["10.0.0.0/8","::/0"],"endpoint":"[2001:db8::1]:51820","public_key":"` + wireGuardKey + `"}]}`},
	{"vpn.openvpn/hq", `{"profile":"client\nremote vpn.example.org 1194\n<ca>\nup\n</ca>\n# up\n"}`},
	{"passcode.quality", `{"min_length":12,"reject_username":true}`},
	{"passcode.ageing", `{"max_days":90,"min_days":1}`},
	{"firewall.policy", `{"rules":[{"action":"allow","name":"ssh","ports":["22","8000-8010"],"protocol":"tcp","sources":["10.0.0.0/8"]}]}`},
	{"ssh.server", `{"allow_groups":["admins"],"permit_root_login":"no"}`},
	{"sudo.rules/apt", `{"commands":["/usr/bin/apt-get update"],"users":["ada"]}`},
	{"usb.storage", `{"mode":"read_only"}`},
	{"os.update", `{"reboot":"at","reboot_time":"03:30"}`},
	{"os.update", `{}`},
	{"browser.policy/firefox", `{"managed":{"Deep":{"x":[1,2.50,null]}},"url_block":["*"]}`},
	{"mail.account/work", `{"address":"ada@example.org","incoming":{"host":"imap.example.org"},"name":"Ada","outgoing":{"host":"smtp.example.org","port":587}}`},
	{"service.state/cups", `{"masked":true,"name":"cups.service"}`},
	{"file.content/motd", `{"content":"Hello\n\tyou","mode":"0640","path":"/etc/motd"}`},
	{"file.content/dir", `{"directory":true,"mode":"755","path":"/srv/data"}`},
	{"script.check/swap", `{"check":"test -e /x"}`},
	{"kernel.sysctl/rp", `{"key":"net.ipv4.conf.all.rp_filter","value":"1"}`},
	{"motd.banner", `{"text":"ours"}`},
	{"camera.disabled", `{"disabled":true}`},
}

func TestValidateTakesWhatIsWell(t *testing.T) {
	c := policy.Standard()
	for _, tt := range good {
		v, problems := c.Validate(tt.id, []byte(tt.value))
		if len(problems) > 0 {
			t.Errorf("%s: %v", tt.id, problems)
			continue
		}
		again, problems := c.Validate(tt.id, v)
		inside, err := json.Marshal(map[string]json.RawMessage{"v": v})
		if len(problems) > 0 || string(again) != string(v) || err != nil || string(inside) != `{"v":`+string(v)+`}` {
			t.Errorf("%s is not canonical: %s, then %s, within %s (%v)", tt.id, v, again, inside, problems)
		}
	}
	a, _ := c.Validate("screen.lock", []byte(" {\"lock_on_suspend\" : true,\n\"idle_seconds\":300}"))
	if string(a) != good[0].value {
		t.Errorf("canonical = %s", a)
	}
}

func TestValidateRefuses(t *testing.T) {
	c := policy.Standard()
	for _, tt := range []struct{ id, value, path, words string }{
		{"screen.lok", `{}`, "", `did you mean "screen.lock"?`},
		{"screen.lock/x", `{}`, "", "only one of this setting"},
		{"wifi.network", `{}`, "", "wifi.network/office"},
		{"wifi.network/../x", `{}`, "", "no proper instance"},
		{"browser.policy/lynx", `{}`, "", "one of firefox, chrome, chromium, edge"},
		{"screen.lock", ``, "", "no proper JSON"},
		{"screen.lock", `{"idle_seconds":60`, "", "no proper JSON"},
		{"screen.lock", `{} {}`, "", "something after"},
		{"screen.lock", `[]`, "", "must be an object with fields, not a list"},
		{"screen.lock", `{"idle_seconds":60,"idle_seconds":61}`, "", "twice"},
		{"screen.lock", `{"idle_second":60}`, "idle_second", `did you mean "idle_seconds"?`},
		{"screen.lock", `{"idle_seconds":"60"}`, "idle_seconds", "must be a whole number, not text"},
		{"screen.lock", `{"idle_seconds":60.5}`, "idle_seconds", "whole number"},
		{"screen.lock", `{"idle_seconds":1e3}`, "idle_seconds", "whole number"},
		{"screen.lock", `{"idle_seconds":99999999999999999999}`, "idle_seconds", "must be 30 to 7200 seconds"},
		{"screen.lock", `{"idle_seconds":29}`, "idle_seconds", "is 29, must be 30 to 7200 seconds"},
		{"screen.lock", `{"enabled":1}`, "enabled", "must be true or false, not a number"},
		{"screen.lock", `{"enabled":null}`, "enabled", "not null"},
		{"passcode.quality", `{}`, "", "says nothing"},
		{"wifi.network/a", `{"ssid":"a","security":"wpa-psk"}`, "psk", "needed when security is wpa-psk or wpa3-sae"},
		{"wifi.network/a", `{"ssid":"a","security":"wpa-psk","psk":"short"}`, "psk", "is 5 bytes long, must be 8 to 63"},
		{"wifi.network/a", `{"ssid":"a","security":"open","psk":"long enough"}`, "psk", "only for security wpa-psk or wpa3-sae"},
		{"wifi.network/a", `{"ssid":"a","security":"wep"}`, "security", "must be one of"},
		{"wifi.network/a", `{"ssid":"a\nb","security":"open"}`, "ssid", "U+000A"},
		{"wifi.network/a", `{"ssid":"","security":"open"}`, "ssid", "must not be empty"},
		{"wifi.network/a", `{"ssid":"a","security":"wpa-psk","psk":{"secret":false}}`, "psk", "must be text"},
		{"wifi.network/a", `{"ssid":"a","security":"wpa-psk","psk":{"sealed":"v1.x"}}`, "psk", "must be text"},
		{"wifi.network/a", `{"ssid":"a","security":"802.1x","eap":"peap","identity":"x","password":"y","ca_certificate":"-----BEGIN CERTIFICATE-----"}`, "ca_certificate", "in PEM"},
		{"vpn.wireguard/a", `{"addresses":["10.0.0.2"],"peers":[]}`, "addresses[0]", "with the length of its network"},
		{"vpn.wireguard/a", `{"addresses":["10.0.0.2/24"],"peers":[]}`, "peers", "has 0 entries, must have 1 to 64"},
		{"vpn.wireguard/a", `{"addresses":["10.0.0.2/24"],"peers":[{"public_key":"` + wireGuardKey + `","allowed_ips":["x"]}]}`, "peers[0].allowed_ips[0]", "must be a network"},
		{"vpn.wireguard/a", `{"addresses":["10.0.0.2/24"],"peers":[{"public_key":"` + wireGuardKey + `","allowed_ips":["::/0"],"endpoint":"a:99999"}]}`, "peers[0].endpoint", "a host and a port"},
		{"vpn.openvpn/a", `{"profile":"client\n"}`, "profile", "begins with remote"},
		{"vpn.openvpn/a", `{"profile":"remote x\nup /bin/sh\n"}`, "profile", "directive up"},
		{"vpn.openvpn/a", `{"profile":"remote x\n<key>\n</key>\n"}`, "profile", "inline_secrets"},
		{"passcode.ageing", `{"min_days":9,"max_days":9}`, "min_days", "under max_days"},
		{"firewall.policy", `{"rules":[{"name":"a","action":"allow","ports":["22"]}]}`, "rules[0].ports", "tcp or udp"},
		{"firewall.policy", `{"rules":[{"name":"a","action":"allow","protocol":"tcp","ports":["9-8"]}]}`, "rules[0].ports[0]", "range of ports"},
		{"ssh.server", `{"permit_root_login":"No"}`, "permit_root_login", `did you mean "no"?`},
		{"ssh.server", `{"allow_users":["a b"]}`, "allow_users[0]", "name of an account"},
		{"ssh.server", `{"allow_users":[]}`, "allow_users", "has 0 entries"},
		{"sudo.rules/a", `{"commands":["ALL"]}`, "users", "a user or a group"},
		{"sudo.rules/a", `{"commands":["apt"],"users":["a"]}`, "commands[0]", "absolute path"},
		{"os.update", `{"reboot":"at"}`, "reboot_time", "needed when reboot is at"},
		{"os.update", `{"reboot":"at","reboot_time":"24:00"}`, "reboot_time", "time of day"},
		{"mail.account/a", `{"name":"a","address":"a","incoming":{"host":"h"},"outgoing":[]}`, "outgoing", "must be an object"},
		{"service.state/a", `{"name":"a.service"}`, "enabled", "enabled, running or masked"},
		{"service.state/a", `{"name":"a.service","masked":true,"running":true}`, "masked", "neither runs"},
		{"file.content/a", `{"path":"/etc/../x","content":""}`, "path", "absolute path"},
		{"file.content/a", `{"path":"/etc/ssh/sshd_config.d/x","content":""}`, "path", "use ssh.server"},
		{"file.content/a", `{"path":"/x"}`, "content", "needed when directory is false"},
		{"file.content/a", `{"path":"/x","content":"\u0000"}`, "content", "U+0000"},
		{"ca.trust/a", `{"pem":"nothing"}`, "pem", "certificates in PEM"},
		{"browser.policy/edge", `{"managed":[]}`, "managed", "must be a JSON object"},
		{"browser.policy/edge", `{"managed":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20) + `}`, "", "nested more than"},
		{"browser.policy/edge", `{"managed":{"a":"` + strings.Repeat("x", 70<<10) + `"}}`, "managed", "at most 65536"},
		{"motd.banner", `{"text":"` + strings.Repeat("x", 2<<20) + `"}`, "", "at most 1048576"},
	} {
		v, problems := c.Validate(manifest.ID(tt.id), []byte(tt.value))
		found := false
		for _, p := range problems {
			found = found || p.Path == tt.path && strings.Contains(p.Message, tt.words) && string(p.Setting) == tt.id
		}
		if !found || v != nil {
			t.Errorf("Validate(%s, %.80s) = %v, want %q: %q", tt.id, tt.value, problems, tt.path, tt.words)
		}
	}
}

func TestValidateNeverEchoesSecrets(t *testing.T) {
	_, problems := policy.Standard().Validate("vpn.wireguard/a", []byte(`{"addresses":["10.0.0.2/24"],"private_key":"hunter2hunter2","peers":[{"public_key":"x","allowed_ips":["::/0"],"preshared_key":"hunter2"}]}`))
	if len(problems) < 2 || strings.Contains(fmt.Sprint([]policy.Problem(problems)), "hunter2") {
		t.Errorf("problems = %v", problems)
	}
}

func TestValidateAll(t *testing.T) {
	c := policy.Standard()
	var settings []policy.Setting
	for i, g := range good {
		if i != 12 && i != 2 { // os.update is there twice, a marker has nothing to mean
			settings = append(settings, policy.Setting{ID: g.id, Value: []byte(g.value)})
		}
	}
	out, problems := c.ValidateAll(settings)
	if len(problems) > 0 || len(out) != len(settings) || out[0].ID != "browser.policy/firefox" {
		t.Fatalf("ValidateAll = %d settings, %v", len(out), problems)
	}
	big := strings.Repeat("x", 200<<10)
	many := func(n int, value string) []policy.Setting {
		var out []policy.Setting
		for i := range n {
			out = append(out, policy.Setting{ID: manifest.ID(fmt.Sprintf("file.content/f%d", i)), Value: []byte(fmt.Sprintf(value, i))})
		}
		return out
	}
	for _, tt := range []struct {
		name     string
		settings []policy.Setting
		words    string
	}{
		{"10 MB", many(50, `{"path":"/x%d","content":"`+big+`"}`), "at most 4194304: split"},
		{"too many", many(1001, `{"path":"/x%d","content":""}`), "1001 settings, at most 1000"},
		{"twice", append(many(1, `{"path":"/x%d","content":""}`), many(1, `{"path":"/y%d","content":""}`)...), "it is there twice"},
		{"the same file", []policy.Setting{{ID: "file.content/a", Value: []byte(`{"path":"/x","content":""}`)}, {ID: "file.content/b", Value: []byte(`{"path":"/x","content":""}`)}}, "file.content/a says the same path"},
		{"many problems", many(900, `{"path":%d}`), "and 1750 more problems"},
	} {
		_, problems := c.ValidateAll(tt.settings)
		var text string
		for _, p := range problems {
			text += p.String() + "\n"
		}
		if !strings.Contains(text, tt.words) || len(problems) > policy.MaxProblems+1 || !errors.Is(problems, mdm.ErrInvalid) || len(problems.Error()) > 2000 {
			t.Errorf("%s: %d problems: %.300s", tt.name, len(problems), text)
		}
	}
}

func FuzzValidate(f *testing.F) {
	for _, g := range good {
		f.Add(string(g.id), []byte(g.value))
	}
	c := policy.Standard()
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		v, problems := c.Validate(manifest.ID(id), value)
		if (v == nil) == (len(problems) == 0) {
			t.Fatalf("Validate(%q, %q) = %s, %v", id, value, v, problems)
		}
		for _, p := range problems {
			if p.Message == "" || len(p.Message) > 400 || len(p.Path) > 200 || p.Message != mdm.Clean(p.Message, 400) {
				t.Fatalf("problem %+v", p)
			}
		}
		if v == nil {
			return
		}
		again, problems := c.Validate(manifest.ID(id), v)
		if len(problems) > 0 || string(again) != string(v) {
			t.Fatalf("%s is not canonical: %s, %v", v, again, problems)
		}
		masked := c.Mask(manifest.ID(id), v)
		if _, problems := c.Validate(manifest.ID(id), masked); len(problems) > 0 {
			t.Fatalf("masked %s: %v", masked, problems)
		}
		compiled, unknown := c.Compile("pol_1", "one", 1, []policy.Setting{{ID: manifest.ID(id), Value: v}})
		if len(unknown) > 0 {
			t.Fatalf("unknown: %v", unknown)
		}
		if out := c.Resolve([]policy.Input{{Compiled: compiled}}); len(out) != 1 || out[0].Conflict != "" {
			t.Fatalf("resolved: %+v", out)
		} else if full, problems := c.Validate(manifest.ID(id), out[0].Value); len(problems) > 0 || string(full) != string(out[0].Value) {
			t.Fatalf("with defaults: %s, %v", out[0].Value, problems)
		}
	})
}
