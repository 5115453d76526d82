package api

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// pacerAt returns a pacer whose clock stands where now says.
func pacerAt(at time.Time) (p *devicePacer, now *time.Time) {
	p, now = newDevicePacer(), &at
	p.now = func() time.Time { return *now }
	return p, now
}

func TestWorkOfAnInventoryIsPaidFor(t *testing.T) {
	p, now := pacerAt(time.Unix(1_800_000_000, 0))
	take := func(long time.Duration, unpacked int64) error {
		leave, err := p.enter("dev_wild", opInventory)
		if err == nil {
			*now = now.Add(long)
			p.chewed("dev_wild", unpacked)
			leave()
		}
		return err
	}
	for range 20 {
		if err := take(20*time.Second, 1<<20); err != nil {
			t.Fatalf("slow answers of a gateway in a storm: %v", err)
		}
	}
	if err := take(time.Second, signaling.MaxInventoryUnpacked); err != nil {
		t.Fatal(err)
	}
	if err := take(0, 0); err == nil {
		t.Error("a device that sent 128 MiB sends the next at once")
	}
	*now = now.Add(2 * time.Minute)
	if err := take(0, 0); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestOneDeviceIsHeldBackAlone(t *testing.T) {
	p, now := pacerAt(time.Unix(1_800_000_000, 0))
	for i := range deviceBurst {
		leave, err := p.enter("dev_wild", "post-status")
		if err != nil {
			t.Fatalf("request %d of a burst is refused: %v", i, err)
		}
		leave()
	}
	_, err := p.enter("dev_wild", "get-manifest")
	var refused *Problem
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests || refused.RetryAfterMS != devicePace.Milliseconds() {
		t.Fatalf("a request too many: %+v", err)
	}
	if _, again := p.enter("dev_wild", "get-manifest"); !errors.As(again, &refused) || !refused.quiet {
		t.Error("the log is told of each refusal")
	}
	if _, err := p.enter("dev_calm", "post-status"); err != nil {
		t.Errorf("another device pays for it: %v", err)
	}
	*now = now.Add(devicePace)
	if _, err := p.enter("dev_wild", "post-status"); err != nil {
		t.Errorf("when it was told to come back: %v", err)
	}
}

func TestOneDeviceHasFewRequestsUnderWay(t *testing.T) {
	p, _ := pacerAt(time.Unix(1_800_000_000, 0))
	var leave func()
	for range deviceAtOnce {
		var err error
		if leave, err = p.enter("dev_wild", "put-inventory"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.enter("dev_wild", "put-inventory"); err == nil {
		t.Error("it holds as many places of the turnstile as it likes")
	}
	if _, err := p.enter("dev_wild", "claim-commands"); err != nil {
		t.Errorf("another operation: %v", err)
	}
	leave()
	if _, err := p.enter("dev_wild", "put-inventory"); err != nil {
		t.Errorf("after one ended: %v", err)
	}
}

func TestQuietDevicesAreForgotten(t *testing.T) {
	p, now := pacerAt(time.Unix(1_800_000_000, 0))
	for i := range 5 * deviceSweep {
		*now = now.Add(devicePace)
		leave, err := p.enter(mdm.DeviceID(fmt.Sprintf("dev_%d", i)), "get-manifest")
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			leave()
		}
	}
	if n := len(p.devices); n > deviceSweep {
		t.Errorf("%d devices are remembered that ask for nothing", n)
	}
	if p.devices["dev_0"] == nil {
		t.Error("one with a request under way was forgotten")
	}
}
