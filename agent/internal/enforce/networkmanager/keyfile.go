package networkmanager

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// keyfile is a connection profile in NetworkManager's form. Order is kept.
type keyfile struct{ groups []group }

type group struct {
	name string
	keys []pair
}

type pair struct{ key, value string } // the value unescaped

// set adds a key to a group, making it where it is not there.
func (k *keyfile) set(name, key, value string) {
	i := slices.IndexFunc(k.groups, func(g group) bool { return g.name == name })
	if i < 0 {
		i = len(k.groups)
		k.groups = append(k.groups, group{name: name})
	}
	k.groups[i].keys = append(k.groups[i].keys, pair{key, value})
}

// get returns a key's value; ok says whether it is there.
func (k *keyfile) get(name, key string) (value string, ok bool) {
	for _, g := range k.groups {
		if g.name != name {
			continue
		}
		for _, p := range g.keys {
			if p.key == key {
				return p.value, true
			}
		}
	}
	return "", false
}

// encode writes the profile. Values are escaped, so that none can end its line or begin a
// group; what the form cannot carry is an error.
func (k *keyfile) encode(comment string) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", comment)
	for _, g := range k.groups {
		if strings.ContainsAny(g.name, "[]\n\r") {
			return nil, fmt.Errorf("%q cannot be the name of a group", g.name)
		}
		fmt.Fprintf(&b, "\n[%s]\n", g.name)
		for _, p := range g.keys {
			if strings.ContainsRune(p.value, 0) || strings.ToValidUTF8(p.value, "") != p.value {
				return nil, fmt.Errorf("%s.%s holds bytes that are no text", g.name, p.key)
			}
			fmt.Fprintf(&b, "%s=%s\n", p.key, escape(p.value))
		}
	}
	return []byte(b.String()), nil
}

// escape is the escaping of strings in key files: backslash and line ends, and blanks that
// would be taken for the space before a value.
func escape(s string) string {
	var b strings.Builder
	leading := true
	for _, r := range s {
		if r != ' ' && r != '\t' {
			leading = false
		}
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' && leading:
			b.WriteString(`\s`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	if !strings.ContainsRune(s, '\\') {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", errors.New("a value ends in a backslash")
		}
		switch s[i] {
		case 's':
			b.WriteByte(' ')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '\\':
			b.WriteByte('\\')
		default: // of lists: "\;" stays for who reads the list
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// parse reads what encode, NetworkManager or a person wrote.
func parse(text string) (*keyfile, error) {
	k := &keyfile{}
	name := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case strings.HasPrefix(trimmed, "["):
			if !strings.HasSuffix(trimmed, "]") {
				return nil, fmt.Errorf("line %d: a group without its end", i+1)
			}
			name = trimmed[1 : len(trimmed)-1]
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || name == "" {
				return nil, fmt.Errorf("line %d is neither a group nor a key", i+1)
			}
			v, err := unescape(strings.TrimLeft(value, " \t"))
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			k.set(name, strings.TrimSpace(key), v)
		}
	}
	return k, nil
}

// missing names the keys of k that other does not have, or has with another value:
// NetworkManager drops silently what it cannot read.
func (k *keyfile) missing(other *keyfile) []string {
	var lost []string
	for _, g := range k.groups {
		for _, p := range g.keys {
			value, ok := other.get(g.name, p.key)
			if p.key == "ssid" {
				ok = ok && string(decodeSSID(value)) == string(decodeSSID(p.value))
			} else {
				ok = ok && normalList(value) == normalList(p.value)
			}
			if !ok {
				lost = append(lost, g.name+"."+p.key)
			}
		}
	}
	return lost
}

// normalList lets "a;b" and "a;b;" be the same.
func normalList(v string) string { return strings.TrimSuffix(v, ";") }

// encodeSSID writes a network's name as a list of its bytes: a name may hold any.
func encodeSSID(ssid []byte) string {
	var b strings.Builder
	for _, c := range ssid {
		b.WriteString(strconv.Itoa(int(c)))
		b.WriteByte(';')
	}
	return b.String()
}

// decodeSSID reads both forms of a name: a list of bytes, or text with "\;" for semicolons.
func decodeSSID(v string) []byte {
	if strings.HasSuffix(v, ";") && !strings.HasSuffix(v, `\;`) {
		var out []byte
		for _, n := range strings.Split(strings.TrimSuffix(v, ";"), ";") {
			c, err := strconv.ParseUint(n, 10, 8)
			if err != nil {
				return []byte(strings.ReplaceAll(v, `\;`, ";"))
			}
			out = append(out, byte(c))
		}
		return out
	}
	return []byte(strings.ReplaceAll(v, `\;`, ";"))
}
