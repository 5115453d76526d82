package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/inventory"
)

// ChapterBody is how a section of a device's inventory changed at one time.
type ChapterBody struct {
	At      time.Time    `json:"at" doc:"By the gateway's clock"`
	Section string       `json:"section"`
	First   bool         `json:"first" doc:"Reported for the first time, or again after it was gone"`
	Changes []ChangeBody `json:"changes"`
	More    int          `json:"more,omitempty" doc:"Changes beyond those listed"`
}

// ChangeBody is one difference.
type ChangeBody struct {
	Path []string `json:"path" doc:"Fields, and what names the entries of lists; empty: the section as a whole"`
	From any      `json:"from,omitempty" doc:"Left out: there was nothing"`
	To   any      `json:"to,omitempty" doc:"Left out: there is nothing any more"`
}

// InventoryDiffBody is how a device's inventory differs between two times.
type InventoryDiffBody struct {
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Sections []ChapterBody `json:"sections" doc:"Those that differ"`
}

// InventoryAtBody is a device's inventory as it was.
type InventoryAtBody struct {
	At       time.Time      `json:"at"`
	Sections map[string]any `json:"sections" doc:"By name, as they are in get-device-inventory; software as one list"`
}

type chapterQuery struct {
	IDPath
	Paging
	Section string `query:"section" maxLength:"32" doc:"Left out: all"`
}

type stateDiffQuery struct {
	IDPath
	From time.Time `query:"from" required:"true"`
	To   time.Time `query:"to" doc:"Left out: now"`
}

type atQuery struct {
	IDPath
	At time.Time `query:"at" required:"true"`
}

// listedChanges bounds the changes of one section in an answer.
const listedChanges = 500

func (a *API) registerHistory() {
	tags := []string{"devices"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-device-history", Method: http.MethodGet, Path: "/api/devices/{id}/history", Tags: tags,
		Summary: "What changed of a device's inventory, newest first",
	}, a.listHistory)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "diff-device", Method: http.MethodGet, Path: "/api/devices/{id}/diff", Tags: tags,
		Summary: "How a device's inventory differs between two times",
	}, a.diffDevice)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-device-inventory-at", Method: http.MethodGet, Path: "/api/devices/{id}/inventory/at", Tags: tags,
		Summary: "A device's inventory as it was",
	}, a.inventoryAt)
}

func chapterBody(ch inventory.Chapter) ChapterBody {
	b := ChapterBody{At: ch.At, Section: ch.Section, First: ch.First, Changes: []ChangeBody{}}
	for i, c := range ch.Changes {
		if i == listedChanges {
			b.More = len(ch.Changes) - i
			break
		}
		b.Changes = append(b.Changes, ChangeBody{Path: c.Path, From: jsonValue(c.Old), To: jsonValue(c.New)})
	}
	return b
}

// jsonValue decodes what is kept; nil for nothing.
func jsonValue(raw []byte) any {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return v
}

func (a *API) listHistory(ctx context.Context, in *chapterQuery) (*body[List[ChapterBody]], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	var before time.Time
	if in.After != "" {
		us, err := strconv.ParseInt(in.After, 10, 64)
		if err != nil || us <= 0 {
			return nil, fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
		before = time.UnixMicro(us)
	}
	// A page ends between uploads, of which one has at most a chapter a section.
	chapters, err := a.cfg.Inventory.Timeline(ctx, d.ID, in.Section, before, in.Limit+inventory.MaxSections)
	if err != nil {
		return nil, err
	}
	list := List[ChapterBody]{Items: []ChapterBody{}}
	for i, ch := range chapters {
		if i >= in.Limit && !ch.At.Equal(chapters[i-1].At) {
			list.Next = strconv.FormatInt(chapters[i-1].At.UnixMicro(), 10)
			break
		}
		list.Items = append(list.Items, chapterBody(ch))
	}
	return &body[List[ChapterBody]]{list}, nil
}

func (a *API) diffDevice(ctx context.Context, in *stateDiffQuery) (*body[InventoryDiffBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	if in.To.IsZero() {
		in.To = a.cfg.Now()
	}
	if !in.From.Before(in.To) {
		return nil, fmt.Errorf("from must be before to: %w", mdm.ErrInvalid)
	}
	chapters, err := a.cfg.Inventory.Between(ctx, d.ID, in.From, in.To)
	if err != nil {
		return nil, err
	}
	out := InventoryDiffBody{From: in.From.UTC(), To: in.To.UTC(), Sections: []ChapterBody{}}
	for _, ch := range chapters {
		out.Sections = append(out.Sections, chapterBody(ch))
	}
	return &body[InventoryDiffBody]{out}, nil
}

func (a *API) inventoryAt(ctx context.Context, in *atQuery) (*body[InventoryAtBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	sections, err := a.cfg.Inventory.At(ctx, d.ID, in.At)
	if err != nil {
		return nil, err
	}
	out := InventoryAtBody{At: in.At.UTC(), Sections: map[string]any{}}
	for name, data := range sections {
		out.Sections[name] = jsonValue(data)
	}
	return &body[InventoryAtBody]{out}, nil
}
