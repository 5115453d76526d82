package link

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"handrail/signaling"
	"handrail/signaling/client"
)

// packFrom is from how many bytes on an upload is compressed: a packet's worth is not worth it.
const packFrom = 1400

// PutInventory uploads sections and returns what the gateway holds then. It fails with
// ErrOffline while there is no link, and with *Problem where the gateway refuses; see
// Problem.RetryAfter.
func (l *Link) PutInventory(ctx context.Context, u signaling.InventoryUpload) (signaling.InventoryAnswer, error) {
	var answer signaling.InventoryAnswer
	s := l.client.State()
	if s.Phase != client.Online {
		return answer, ErrOffline
	}
	header := http.Header{"Authorization": {"Bearer " + s.Welcome.AccessToken}}
	b, packed, err := encodeUpload(u)
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
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusUnauthorized {
		l.client.Reconnect() // for a fresh access token
	}
	return answer, err
}

// encodeUpload writes an upload as JSON, and packs it where that pays. Sections are JSON
// already and copied as they are.
func encodeUpload(u signaling.InventoryUpload) (b []byte, packed bool, err error) {
	size := 0
	for _, s := range u.Sections {
		size += len(s.Data) + len(s.Hash)
	}
	var out bytes.Buffer
	if size < packFrom {
		err := writeUpload(&out, u)
		return out.Bytes(), false, err
	}
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, false, err
	}
	if err = errors.Join(writeUpload(z, u), z.Close()); err != nil {
		return nil, false, err
	}
	return out.Bytes(), true, nil
}

func writeUpload(w io.Writer, u signaling.InventoryUpload) error {
	head := fmt.Sprintf(`{"full":%t,"sections":{`, u.Full)
	for _, name := range slices.Sorted(maps.Keys(u.Sections)) {
		s := u.Sections[name]
		if _, err := fmt.Fprintf(w, `%s%q:{"hash":%q`, head, name, s.Hash); err != nil {
			return err
		}
		if len(s.Data) > 0 {
			if _, err := w.Write([]byte(`,"data":`)); err != nil {
				return err
			}
			if _, err := w.Write(s.Data); err != nil {
				return err
			}
		}
		head = "},"
	}
	end := "}}}"
	if len(u.Sections) == 0 {
		end = head + "}}"
	}
	_, err := io.WriteString(w, end)
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
