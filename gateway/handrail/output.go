package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// column is one column of a table: its title and where in an item its value is, as
// "group_path" or "bulk.note". Items are shown as the API sends them, so that a newer
// gateway's fields are in the JSON output too.
type column struct{ title, path string }

// printJSON prints JSON indented.
func printJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("the gateway's answer is no JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(w)
	return err
}

// showList prints a paged list as the output flag says.
func (c *commands) showList(ctx context.Context, s streams, api *client, path string, query url.Values, limit int, columns ...column) error {
	items := []json.RawMessage{}
	more, err := api.each(ctx, path, query, limit, func(item json.RawMessage) error {
		items = append(items, item)
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.show(s, items, columns...); err != nil {
		return err
	}
	if len(items) == 0 && c.Output != "json" {
		fmt.Fprintln(s.err, "There are none.")
	}
	if more {
		fmt.Fprintf(s.err, "There are more than %d; ask for them with --limit, 0 is all.\n", limit)
	}
	return nil
}

// show prints items as a JSON list or a table.
func (c *commands) show(s streams, items []json.RawMessage, columns ...column) error {
	if c.Output == "json" {
		b, err := json.Marshal(items)
		if err != nil {
			return err
		}
		return printJSON(s.out, b)
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	for i, k := range columns {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, k.title)
	}
	fmt.Fprintln(w)
	for _, raw := range items {
		var item any
		if err := json.Unmarshal(raw, &item); err != nil {
			return err
		}
		for i, k := range columns {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell(at(item, k.path)))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// at finds a value by its path.
func at(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// cell is a value in one line of a table.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t.Local().Format("2006-01-02 15:04:05")
		}
		if v == "" {
			return "-"
		}
		return clean(v, 80)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, 0, len(v))
		for _, e := range v {
			if m, ok := e.(map[string]any); ok && m["name"] != nil {
				e = m["name"]
			}
			parts = append(parts, cell(e))
		}
		if len(parts) == 0 {
			return "-"
		}
		return clean(strings.Join(parts, ", "), 120)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return clean(string(b), 120)
}

// showFields prints some fields of one thing below each other, or all of it as JSON.
func (c *commands) showFields(s streams, raw json.RawMessage, columns ...column) error {
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	var item any
	if err := json.Unmarshal(raw, &item); err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	for _, k := range columns {
		fmt.Fprintf(w, "%s\t%s\n", k.title, cell(at(item, k.path)))
	}
	return w.Flush()
}

// get fetches one thing.
func (c *client) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, &raw)
	return raw, err
}

// values makes a query of pairs, leaving out what is empty.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
