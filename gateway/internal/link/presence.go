package link

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"handrail/gateway/internal/bus"
	"handrail/mdm"
	"handrail/signaling"
)

// Nodes tell each other which devices they hold, so that each can list who is online
// without asking. Every change carries a number; a node that finds one missing asks for the
// whole list. A node that says nothing for three beats holds nobody.
const (
	beatEvery   = 2 * time.Second
	listAtOnce  = 2000 // ids in one message: 62 kB
	subjectNews = "presence.news"
	subjectAsk  = "presence.ask"
)

// tidings is what a node says of its devices.
type tidings struct {
	Node  string         `json:"node"`
	Rev   int64          `json:"rev"`             // after this message
	Up    []mdm.DeviceID `json:"up,omitempty"`    //
	Down  []mdm.DeviceID `json:"down,omitempty"`  //
	Whole bool           `json:"whole,omitempty"` // Up begins the whole list: forget what was known
	Part  bool           `json:"part,omitempty"`  // more of the whole list, same Rev
	Bye   bool           `json:"bye,omitempty"`   // the node stops
}

type node struct {
	rev     int64
	devices map[mdm.DeviceID]struct{}
	heard   time.Time
}

type presence struct {
	bus     *bus.Bus
	log     *slog.Logger
	changed func(ids ...string)
	self    string

	mu    sync.Mutex
	mine  map[mdm.DeviceID]struct{}
	rev   int64
	nodes map[string]*node // the others
}

func newPresence(b *bus.Bus, log *slog.Logger, changed func(ids ...string)) *presence {
	return &presence{bus: b, log: log, changed: changed, self: signaling.NewID("node"), mine: map[mdm.DeviceID]struct{}{}, nodes: map[string]*node{}}
}

// set notes that this node holds a device, or no longer does.
func (p *presence) set(id mdm.DeviceID, up bool) {
	p.mu.Lock()
	t := tidings{Node: p.self}
	if up {
		p.mine[id] = struct{}{}
		t.Up = []mdm.DeviceID{id}
	} else {
		delete(p.mine, id)
		t.Down = []mdm.DeviceID{id}
	}
	p.rev++
	t.Rev = p.rev
	p.say(t) // in order of rev: publishing does not block
	p.mu.Unlock()
	p.changed(string(id))
}

func (p *presence) say(t tidings) {
	b, err := json.Marshal(t)
	if err == nil {
		err = p.bus.Publish(subjectNews, b)
	}
	if err != nil {
		p.log.Warn("presence_unsaid", "error", err)
	}
}

// tell says the whole list; p.mu is held.
func (p *presence) tell() {
	t := tidings{Node: p.self, Rev: p.rev, Whole: true}
	for id := range p.mine {
		if t.Up = append(t.Up, id); len(t.Up) == listAtOnce {
			p.say(t)
			t.Up, t.Whole, t.Part = nil, false, true
		}
	}
	p.say(t)
}

func (p *presence) run(ctx context.Context) {
	news, err := p.bus.Subscribe(subjectNews, p.hear)
	if err != nil {
		p.log.Error("presence_not_on_bus", "error", err)
		return
	}
	defer news.Close()
	ask, err := p.bus.Subscribe(subjectAsk, func(m bus.Message) {
		if whom := string(m.Data); whom == "" || whom == p.self {
			p.mu.Lock()
			p.tell()
			p.mu.Unlock()
		}
	})
	if err != nil {
		p.log.Error("presence_not_on_bus", "error", err)
		return
	}
	defer ask.Close()
	_ = p.bus.Publish(subjectAsk, nil)
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			p.say(tidings{Node: p.self, Bye: true})
			return
		case <-t.C:
			p.mu.Lock()
			p.say(tidings{Node: p.self, Rev: p.rev})
			p.mu.Unlock()
			p.forget(time.Now().Add(-3 * beatEvery))
		}
	}
}

// hear takes what another node says.
func (p *presence) hear(m bus.Message) {
	var t tidings
	if err := json.Unmarshal(m.Data, &t); err != nil || t.Node == p.self {
		return
	}
	p.mu.Lock()
	n := p.nodes[t.Node]
	if n == nil || t.Whole {
		n = &node{rev: -1, devices: map[mdm.DeviceID]struct{}{}}
		p.nodes[t.Node] = n
	}
	n.heard = time.Now()
	var ids []string
	for _, id := range t.Up {
		n.devices[id] = struct{}{}
		ids = append(ids, string(id))
	}
	for _, id := range t.Down {
		delete(n.devices, id)
		ids = append(ids, string(id))
	}
	change := len(t.Up)+len(t.Down) > 0
	missed := !t.Whole && !t.Part && !t.Bye && (change && t.Rev != n.rev+1 || !change && t.Rev != n.rev)
	n.rev = t.Rev
	if t.Bye {
		ids = nil
		change = len(n.devices) > 0
		delete(p.nodes, t.Node)
	}
	p.mu.Unlock()
	if missed {
		_ = p.bus.Publish(subjectAsk, []byte(t.Node))
	}
	if change && (t.Whole || t.Bye) { // single changes are told by the node that saw them
		p.changed(ids[:min(len(ids), 100)]...)
	}
}

// forget drops nodes that have been silent since before.
func (p *presence) forget(before time.Time) {
	p.mu.Lock()
	dropped := 0
	for name, n := range p.nodes {
		if n.heard.Before(before) {
			delete(p.nodes, name)
			dropped += len(n.devices)
			p.log.Warn("node_silent", "node", name, "devices", len(n.devices))
		}
	}
	p.mu.Unlock()
	if dropped > 0 {
		p.changed()
	}
}

func (p *presence) online() map[mdm.DeviceID]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[mdm.DeviceID]bool, len(p.mine))
	for id := range p.mine {
		out[id] = true
	}
	for _, n := range p.nodes {
		for id := range n.devices {
			out[id] = true
		}
	}
	return out
}

func (p *presence) isOnline(id mdm.DeviceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.mine[id]; ok {
		return true
	}
	for _, n := range p.nodes {
		if _, ok := n.devices[id]; ok {
			return true
		}
	}
	return false
}
