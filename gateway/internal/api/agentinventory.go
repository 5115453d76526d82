package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/klauspost/compress/gzip"

	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/signaling"
)

const (
	opInventory     = "put-inventory"
	opInventoryTurn = "inventory-turn" // a message of the link, paced as requests are
)

func (a *API) registerAgentInventory() {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[signaling.InventoryUpload](), true, "InventoryUpload")
	operation(a, byDevice, huma.Operation{
		OperationID: opInventory, Method: http.MethodPut, Path: signaling.PathAgentInventory, Tags: []string{"agent"},
		Summary:     "Take what changed of a device's inventory",
		Description: "The body may be compressed (Content-Encoding: gzip). Sections that are too large or wrong are refused one by one. When many devices come at once the answer is 503 with the time to come back.",
		Middlewares: huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
			if err := hc.SetReadDeadline(time.Now().Add(inventoryWithin)); err != nil {
				a.log.WarnContext(hc.Context(), "no_read_deadline", "error", err)
			}
			next(hc)
		}},
	}, a.putInventory)
	// Said afterwards: of a body it knows of, huma would take all in before anything else.
	a.huma.OpenAPI().Paths[signaling.PathAgentInventory].Put.RequestBody = &huma.RequestBody{
		Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}
}

// InventoryTurn takes a moment for a device to upload in, and returns how far away that is. A device that
// asks too often waits longer, and takes no more moments from others than it may.
func (a *API) InventoryTurn(id mdm.DeviceID) time.Duration {
	leave, err := a.pacer.enter(id, opInventoryTurn)
	var p *Problem
	if errors.As(err, &p) {
		return time.Duration(p.RetryAfterMS) * time.Millisecond
	}
	leave()
	now := time.Now()
	wait := a.turnstile.turn(now)
	if wait > 0 {
		a.cfg.Fleet.Expect(now.Add(wait))
	}
	return wait
}

// takeTurn lets one upload in, or says when its turn is: before anything is read or looked up for it,
// as of a whole fleet that knocks at once nearly all are told to come later. leave ends what
// there is to end, and is called where the turn is not now.
func (a *API) takeTurn(leave func()) (both func(), err error) {
	now := time.Now()
	out, wait := a.turnstile.enter(now)
	if wait > 0 {
		leave()
		a.cfg.Fleet.Expect(now.Add(wait))
		p := problem(http.StatusServiceUnavailable, signaling.CodeBusy, "many devices report at once; this one's turn comes later")
		p.RetryAfterMS = wait.Milliseconds()
		p.quiet = true // a rush is one line of the log, not one for each device
		return nil, p
	}
	return func() {
		out()
		leave()
	}, nil
}

func (a *API) putInventory(ctx context.Context, _ *empty) (*body[signaling.InventoryAnswer], error) {
	rq := requestOf(ctx)
	packed, err := receiveInventory(rq.http)
	if err != nil {
		return nil, err
	}
	defer a.turnstile.work()()
	done, err := a.turnstile.read(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	u, refused, unpacked, err := readInventory(packed, rq.http.Header.Get("Content-Encoding"))
	a.pacer.chewed(rq.device, unpacked)
	if err != nil {
		return nil, err
	}
	sections := make(map[string]inventory.Section, len(u.Sections))
	held := 0
	for name, s := range u.Sections {
		sections[name] = inventory.Section{Hash: s.Hash, Data: s.Data}
		held += len(s.Data)
	}
	if held <= inventoryUsual {
		done()
	}
	return a.applyInventory(ctx, rq.device, u.Full, sections, refused)
}

var errInventoryTooLarge = problem(http.StatusRequestEntityTooLarge, signaling.CodeTooLarge, "the inventory is larger than this gateway takes")

// receiveInventory takes a body in as it was sent, so that a slow line keeps nobody else
// from working.
func receiveInventory(r *http.Request) ([]byte, error) {
	if r.ContentLength > signaling.MaxInventory {
		return nil, errInventoryTooLarge
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, signaling.MaxInventory+1))
	switch {
	case err != nil:
		return nil, problem(http.StatusBadRequest, signaling.CodeMalformed, "the inventory did not come in whole")
	case len(b) > signaling.MaxInventory:
		return nil, errInventoryTooLarge
	}
	return b, nil
}

// readInventory unpacks a body and takes it apart without ever holding more than a little of it.
// It says how many bytes that was in any case.
func readInventory(packed []byte, encoding string) (u signaling.InventoryUpload, refused map[string]string, unpacked int64, err error) {
	in := counted{r: bytes.NewReader(packed)}
	switch encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in.r)
		if err != nil {
			return u, nil, 0, problem(http.StatusBadRequest, signaling.CodeMalformed, "the body is not gzip")
		}
		defer z.Close()
		in.r = z
	default:
		return u, nil, 0, problem(http.StatusUnsupportedMediaType, signaling.CodeMalformed, "Content-Encoding "+mdm.Clean(encoding, 32)+" is not understood")
	}
	u, refused, err = signaling.ReadInventory(&in, inventory.MaxSection)
	switch {
	case errors.Is(err, signaling.ErrInventoryTooLarge):
		return u, nil, in.n, errInventoryTooLarge
	case err != nil:
		return u, nil, in.n, problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, mdm.Clean(err.Error(), 300))
	}
	return u, refused, in.n, nil
}

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (a *API) applyInventory(
	ctx context.Context, id mdm.DeviceID, full bool, sections map[string]inventory.Section, refused map[string]string,
) (*body[signaling.InventoryAnswer], error) {
	for name := range refused {
		sections[name] = inventory.Section{} // what is known of it stays
	}
	out, err := a.cfg.Inventory.Apply(ctx, id, full, sections, a.cfg.Now())
	if err != nil {
		return nil, unknownDevice(err)
	}
	maps.Copy(out.Refused, refused)
	for name, why := range out.Refused {
		a.log.WarnContext(ctx, "inventory_section_refused", "device", string(id), "section", name, "reason", why)
	}
	if out.Learned {
		if _, err := a.cfg.Devices.Learn(ctx, id, deviceFacts(out.Facts)); err != nil {
			return nil, unknownDevice(err)
		}
	}
	if len(out.Changed) > 0 {
		a.cfg.Fleet.Wake()
		a.cfg.Changed(signaling.TopicDevices, string(id))
	}
	return &body[signaling.InventoryAnswer]{signaling.InventoryAnswer{Have: out.Have, Refused: out.Refused}}, nil
}
