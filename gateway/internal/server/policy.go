package server

import (
	"context"
	"time"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/bus"
	"handrail/gateway/internal/desire"
	"handrail/mdm"
	"handrail/mdm/policy"
	"handrail/signaling"
)

// subjectWork says that devices may have to be resolved again.
const subjectWork = "desire.work"

// openPolicies makes the rooms of policies and of what follows from them.
func (s *Server) openPolicies() error {
	var err error
	s.Policies = policy.New(s.Store, policy.Standard(), s.key)
	s.Desire, err = desire.New(desire.Config{
		Store:    s.Store,
		Policies: s.Policies,
		Sealer:   s.key,
		Key:      s.key.Derive("desire"),
		Alone:    s.cfg.Database == "",
		Online:   func() map[mdm.DeviceID]bool { return s.Links.Online() },
		Nudge:    s.nudgeManifest,
		Tell: func() {
			if err := s.Bus.Publish(subjectWork, nil); err != nil {
				s.log.Warn("work_untold", "error", err) // the others look from time to time
			}
		},
		Changed: func(ids ...string) {
			s.changed(signaling.TopicDevices, ids...)
			s.settingsReported(ids...)
		},
		Stir:   s.stirred,
		Rolled: func(ids ...string) { s.changed(signaling.TopicPolicies, ids...) },
		Note:   s.noteRollout,
	}, s.log)
	return err
}

// manyAtOnce is how many devices that fetch and report at once are worth letting other work wait.
const manyAtOnce = 100

// stirred has work that can wait leave the machine to devices that were told of a change.
func (s *Server) stirred(devices int) {
	if devices >= manyAtOnce {
		s.Fleet.Expect(time.Now().Add(5 * time.Second))
	}
}

func (s *Server) nudgeManifest(d mdm.DeviceID, generation int64, hash string) {
	err := s.Links.Post(d, signaling.Envelope{Type: signaling.TypeNudge, Body: signaling.Nudge{
		What: signaling.NudgeManifest, Generation: generation, Hash: hash,
	}})
	if err != nil {
		s.log.Warn("device_not_nudged", "device", d, "error", err) // it owes a report, so it is nudged again
	}
}

// noteRollout records what a roll-out did by itself.
func (s *Server) noteRollout(ctx context.Context, action string, id policy.ID, detail map[string]string) {
	name := ""
	if p, err := s.Policies.Policy(ctx, id); err == nil {
		name = p.Name
	}
	s.record(ctx, audit.Entry{
		Actor: audit.Who{Kind: audit.BySystem, Name: "gateway"}, Action: action,
		Target: audit.Who{Kind: "policy", ID: string(id), Name: name}, Detail: detail,
	})
}

// runPolicies resolves devices, and hears from other nodes when there is something to do.
func (s *Server) runPolicies(ctx context.Context) error {
	sub, err := s.Bus.Subscribe(subjectWork, func(bus.Message) { s.Desire.Woken() })
	if err != nil {
		return err
	}
	defer sub.Close()
	return s.Desire.Run(ctx)
}

// greeted compares what a device that has connected holds with what it must be.
func (s *Server) greeted(ctx context.Context, d mdm.DeviceID, hash string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.Desire.Greet(ctx, d, hash); err != nil {
		s.log.Warn("device_not_greeted", "device", d, "error", err) // it owes a report, so it is nudged later
	}
}

// countAgain forgets what was counted of policies when another node says that it changed.
func (s *Server) countAgain(topic signaling.Topic, _ []string) {
	switch topic {
	case signaling.TopicDevices, signaling.TopicGroups, signaling.TopicLabels, signaling.TopicPolicies:
		s.Desire.Stale()
	default:
	}
}

// touchPolicies has devices resolved that were moved, labelled or enrolled. What is to be
// done is in the database already; this only makes it soon.
func (s *Server) touchPolicies(topic signaling.Topic) {
	switch topic {
	case signaling.TopicDevices, signaling.TopicGroups, signaling.TopicLabels:
		s.Desire.Look()
	default:
	}
}
