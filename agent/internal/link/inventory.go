package link

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	b, err := json.Marshal(u)
	if err != nil {
		return answer, err
	}
	header := http.Header{"Authorization": {"Bearer " + s.Welcome.AccessToken}}
	if len(b) >= packFrom {
		if b, err = pack(b); err != nil {
			return answer, err
		}
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

func pack(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil { // writes the rest
		return nil, err
	}
	return out.Bytes(), nil
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
