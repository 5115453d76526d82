package session

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestQuiet(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	whole := rtcp.ReceptionReport{LastSequenceNumber: 3<<16 | 17}
	tests := []struct {
		name   string
		report *rtcp.ReceptionReport
		wishes []float64 // seconds after the newest packet, number 17
		want   []bool    // provoked by the rest
	}{
		{"the browser's own timer", &whole, []float64{3}, []bool{true}},
		{"soon after a picture", &whole, []float64{0.3}, []bool{false}},
		{"asked again at once", &whole, []float64{3, 3.2, 3.4}, []bool{true, false, false}},
		{"nothing reported yet", nil, []float64{3}, []bool{false}},
		{"the last packet is missing", &rtcp.ReceptionReport{LastSequenceNumber: 3<<16 | 16}, []float64{3}, []bool{false}},
		{"a packet in between was lost", &rtcp.ReceptionReport{LastSequenceNumber: 17, TotalLost: 1}, []float64{3}, []bool{false}},
		{"lost before the last key picture", &rtcp.ReceptionReport{LastSequenceNumber: 17, TotalLost: 1}, []float64{3, 6}, []bool{false, true}},
		{"every rest anew", &whole, []float64{3, 60}, []bool{true, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var q quiet
			q.wrote(17, at(0))
			if tt.report != nil {
				q.report(*tt.report)
			}
			for i, s := range tt.wishes {
				if got := q.provoked(at(s)); got != tt.want[i] {
					t.Errorf("provoked(%v s) = %v, want %v", s, got, tt.want[i])
				}
			}
		})
	}
}
