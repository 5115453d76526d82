package inventory_test

import (
	"encoding/json"
	"reflect"
	"sort"
	"testing"

	"handrail/mdm/inventory"
)

func TestDiffAndBack(t *testing.T) {
	for _, tt := range []struct {
		name, section, before, after string
		changes                      int
	}{
		{"a field", "hardware", `{"cpu":{"cores":4,"model":"x"},"memory_bytes":8589934592}`, `{"cpu":{"cores":8,"model":"x"},"memory_bytes":17179869184}`, 2},
		{"nothing", "hardware", `{"a":1}`, `{"a":1}`, 0},
		{"first report", "hardware", ``, `{"a":1}`, 1},
		{"gone", "hardware", `{"a":1}`, ``, 1},
		{"order of entries", "network", `[{"name":"a","mtu":1},{"name":"b"}]`, `[{"name":"b"},{"name":"a","mtu":1}]`, 0},
		{"entry added and removed", "network", `[{"name":"a"},{"name":"b"}]`, `[{"name":"b"},{"name":"c"}]`, 2},
		{"field of an entry", "network", `[{"name":"a","up":true,"addresses":["1","2"]}]`, `[{"name":"a","up":false,"addresses":["1"]}]`, 2},
		{"from empty", "network", `[]`, `[{"name":"a"}]`, 1},
		{"to empty", "network", `[{"name":"a"}]`, `[]`, 1},
		{"the same name twice", "usb", `[{"port":"1","x":1},{"port":"1","x":2}]`, `[{"port":"1","x":1},{"port":"1","x":3},{"port":"1","x":4}]`, 2},
		{"version of a package", "software_00", `[{"name":"openssl","source":"deb","version":"3.0.14"}]`, `[{"name":"openssl","source":"deb","version":"3.0.15"}]`, 1},
		{"all of one name gone", "usb", `[{"port":"1","x":1},{"port":"1","x":2},{"port":"1","x":3}]`, `[{"port":"1","x":1}]`, 2},
		{"key with an odd name", "sysctl", `{"net.ipv4.ip_forward":"0","":"x"}`, `{"net.ipv4.ip_forward":"1"}`, 2},
		{"restless", "filesystems", `[{"mount":"/","free_bytes":1}]`, `[{"mount":"/","free_bytes":2}]`, 0},
		{"another type", "unread", `{"a":[1]}`, `{"a":{"b":1}}`, 1},
		{"field added and removed", "host", `{"a":1,"b":null}`, `{"b":null,"c":[1,2]}`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes, err := inventory.Diff(tt.section, []byte(tt.before), []byte(tt.after))
			if err != nil || len(changes) != tt.changes {
				t.Fatalf("%d changes %+v, %v; want %d", len(changes), changes, err, tt.changes)
			}
			if tt.changes == 0 {
				return
			}
			back, err := inventory.Undo(tt.section, []byte(tt.after), changes)
			if err != nil || !same(t, back, []byte(tt.before)) {
				t.Errorf("undone: %s, %v; want %s", back, err, tt.before)
			}
		})
	}
}

// same compares JSON, lists in any order.
func same(t *testing.T, a, b []byte) bool {
	t.Helper()
	decode := func(b []byte) (v any) {
		if len(b) > 0 {
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatal(err)
			}
		}
		if l, ok := v.([]any); ok {
			sort.Slice(l, func(i, j int) bool {
				x, _ := json.Marshal(l[i]) //nolint:errchkjson // of JSON
				y, _ := json.Marshal(l[j]) //nolint:errchkjson // of JSON
				return string(x) < string(y)
			})
		}
		return v
	}
	return reflect.DeepEqual(decode(a), decode(b))
}

func FuzzDiff(f *testing.F) {
	f.Add("network", []byte(`[{"name":"a","mtu":1},{"name":"b"}]`), []byte(`[{"name":"b","mtu":2},{"name":"a #2"},{"name":"a"}]`))
	f.Add("host", []byte(`{"a":{"b":1}}`), []byte(`{"a":[{"name":"x"}]}`))
	f.Add("usb", []byte(`[{"port":"1"},{"port":"1"}]`), []byte(`[1,{"port":"1"},null]`))
	f.Fuzz(func(t *testing.T, section string, before, after []byte) {
		changes, err := inventory.Diff(section, before, after)
		if err != nil {
			return
		}
		if _, err := inventory.Undo(section, after, changes); err != nil {
			t.Logf("not undone: %v", err) // only states that no section decodes to
		}
	})
}
