package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"handrail/signaling"
	"handrail/signaling/client"
)

// packFrom is from how many bytes on an upload is compressed: a packet's worth is not worth it.
const packFrom = 1400

// PutInventory uploads sections and returns what the gateway holds then. It fails with
// ErrOffline while there is no link, and with *Problem where the gateway refuses, or where it
// has not this device's turn yet; see RetryAfter.
func (l *Link) PutInventory(ctx context.Context, u signaling.InventoryUpload) (signaling.InventoryAnswer, error) {
	var answer signaling.InventoryAnswer
	s := l.client.State()
	if s.Phase != client.Online {
		return answer, ErrOffline
	}
	if err := l.awaitTurn(ctx); err != nil {
		return answer, err
	}
	header := http.Header{"Authorization": {"Bearer " + s.Welcome.AccessToken}}
	b, packed, err := l.cfg.Packer.encode(u)
	if err != nil {
		return answer, err
	}
	if packed {
		header.Set("Content-Encoding", "gzip")
	}
	err = send(ctx, l.http, http.MethodPut, l.gateway()+signaling.PathAgentInventory, header, b, &answer)
	if err != nil {
		err = fmt.Errorf("PUT %s: %w", signaling.PathAgentInventory, err)
	}
	if later := RetryAfter(err); later > 0 {
		l.turns.give(later) // it comes as told then, and does not ask again
	}
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusUnauthorized {
		l.client.Reconnect() // for a fresh access token
	}
	return answer, err
}

// Packer compresses uploads. What one takes to make is kept for the next: for a process that sends
// many. A nil one keeps nothing. It is safe for concurrent use.
type Packer struct{ idle sync.Pool }

func (p *Packer) get(w io.Writer) (*gzip.Writer, error) {
	if p != nil {
		if z, ok := p.idle.Get().(*gzip.Writer); ok {
			z.Reset(w)
			return z, nil
		}
	}
	return gzip.NewWriterLevel(w, gzip.BestSpeed)
}

func (p *Packer) put(z *gzip.Writer) {
	if p != nil {
		p.idle.Put(z)
	}
}

// encode writes an upload as JSON, and packs it where that pays. Sections are JSON already and
// copied as they are.
func (p *Packer) encode(u signaling.InventoryUpload) (b []byte, packed bool, err error) {
	size := 0
	for _, s := range u.Sections {
		size += len(s.Data) // hashes hardly become smaller
	}
	var out bytes.Buffer
	if size < packFrom {
		err := writeUpload(&out, u)
		return out.Bytes(), false, err
	}
	z, err := p.get(&out)
	if err != nil {
		return nil, false, err
	}
	defer p.put(z)
	if err = errors.Join(writeUpload(z, u), z.Close()); err != nil {
		return nil, false, err
	}
	return out.Bytes(), true, nil
}

func writeUpload(w io.Writer, u signaling.InventoryUpload) error {
	names := slices.Sorted(maps.Keys(u.Sections))
	line := fmt.Appendf(nil, `{"full":%t,"sections":{`, u.Full)
	for i, name := range names {
		if i > 0 {
			line = append(line, ',')
		}
		s := u.Sections[name]
		line = strconv.AppendQuote(line, name)
		line = append(line, `:{"hash":`...)
		line = strconv.AppendQuote(line, s.Hash)
		if len(s.Data) > 0 {
			line = append(append(line, `,"data":`...), s.Data...)
		}
		line = append(line, '}')
		if _, err := w.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	_, err := w.Write(append(line, "}}"...))
	return err
}

// RetryAfter returns how long the gateway asks to wait before the same is sent again; 0 where
// it does not.
func RetryAfter(err error) time.Duration {
	const most = time.Hour
	var p *Problem
	if !errors.As(err, &p) || p.RetryAfterMS <= 0 {
		return 0
	}
	return min(time.Duration(min(p.RetryAfterMS, most.Milliseconds()))*time.Millisecond, most)
}
