package api

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"handrail/mdm"
)

func TestOneDeviceIsHeldBackAlone(t *testing.T) {
	p, now := newDevicePacer(), time.Unix(1_800_000_000, 0)
	for i := range deviceBurst {
		leave, err := p.enter("dev_wild", "post-status", now)
		if err != nil {
			t.Fatalf("request %d of a burst is refused: %v", i, err)
		}
		leave()
	}
	_, err := p.enter("dev_wild", "get-manifest", now)
	var refused *Problem
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests || refused.RetryAfterMS != devicePace.Milliseconds() {
		t.Fatalf("a request too many: %+v", err)
	}
	if _, again := p.enter("dev_wild", "get-manifest", now); !errors.As(again, &refused) || !refused.quiet {
		t.Error("the log is told of each refusal")
	}
	if _, err := p.enter("dev_calm", "post-status", now); err != nil {
		t.Errorf("another device pays for it: %v", err)
	}
	if _, err := p.enter("dev_wild", "post-status", now.Add(devicePace)); err != nil {
		t.Errorf("when it was told to come back: %v", err)
	}
}

func TestOneDeviceHasFewRequestsUnderWay(t *testing.T) {
	p, now := newDevicePacer(), time.Unix(1_800_000_000, 0)
	var leave func()
	for range deviceAtOnce {
		var err error
		if leave, err = p.enter("dev_wild", "put-inventory", now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.enter("dev_wild", "put-inventory", now); err == nil {
		t.Error("it holds as many places of the turnstile as it likes")
	}
	if _, err := p.enter("dev_wild", "claim-commands", now); err != nil {
		t.Errorf("another operation: %v", err)
	}
	leave()
	if _, err := p.enter("dev_wild", "put-inventory", now); err != nil {
		t.Errorf("after one ended: %v", err)
	}
}

func TestQuietDevicesAreForgotten(t *testing.T) {
	p, now := newDevicePacer(), time.Unix(1_800_000_000, 0)
	for i := range 5 * deviceSweep {
		now = now.Add(devicePace)
		leave, err := p.enter(mdm.DeviceID(fmt.Sprintf("dev_%d", i)), "get-manifest", now)
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
