package signaling

import "fmt"

// The checks of what a gateway or an agent says. They are trusted more than a stranger, but a
// message from a gateway ends in a window on somebody's screen, and one from an agent in a
// technician's browser: the same limits hold for all.

func (o Operator) validate() error {
	return firstError(checkText("operator name", o.Name, 256), checkText("operator email", o.Email, 320), checkText("operator role", o.Role, 64))
}

func (w Welcome) validate() error {
	return firstError(atLeast("heartbeat_ms", w.HeartbeatMS, 1), atLeast("access_ttl_ms", w.AccessTTLMS, 0), checkText("access_token", w.AccessToken, 1024),
		checkText("organisation", w.Organisation, 256), checkText("device_name", w.DeviceName, 256))
}

func (r Refused) validate() error {
	return firstError(checkText("code", string(r.Code), 64), checkText("message", r.Message, MaxText), atLeast("retry_after_ms", r.RetryAfterMS, 0))
}

func (n Nudge) validate() error {
	return firstError(checkText("what", string(n.What), 64), checkText("hash", n.Hash, 64), atLeast("generation", n.Generation, 0))
}
func (r Revoked) validate() error { return checkText("message", r.Message, MaxText) }
func (d Drain) validate() error   { return atLeast("reconnect_after_ms", d.ReconnectAfterMS, 0) }
func (r Ready) validate() error   { return atLeast("heartbeat_ms", r.HeartbeatMS, 1) }

func (r SessionRequest) validate() error {
	if r.Consent != ConsentAsk && r.Consent != ConsentUnattended {
		return fmt.Errorf("consent %q", trim(string(r.Consent), 32))
	}
	return firstError(r.Session.validate(), r.Operator.validate(), checkText("organisation", r.Organisation, 256), checkText("reason", r.Reason, MaxText),
		atLeast("answer_within_ms", r.AnswerWithinMS, 0), atLeast("consent_window_ms", r.ConsentWindowMS, 0))
}

func (v SessionViewer) validate() error {
	return firstError(v.Session.validate(), v.Peer.validate(), v.Operator.validate(), checkICE(v.ICEServers))
}

func (a SessionAsk) validate() error { return firstError(a.Session.validate(), a.Operator.validate()) }

func (e SessionEnd) validate() error {
	return firstError(e.Session.validate(), checkText("reason", e.Reason, MaxText), checkText("by", e.By, 320))
}

func (c Changed) validate() error {
	if len(c.IDs) > 1024 {
		return fmt.Errorf("%d ids, at most 1024", len(c.IDs))
	}
	for _, id := range c.IDs {
		if err := checkText("id", id, 64); err != nil {
			return err
		}
	}
	return checkText("topic", string(c.Topic), 64)
}

func (j SessionJoined) validate() error {
	return firstError(j.Session.validate(), j.Peer.validate(), j.State.validate(), checkICE(j.ICEServers), checkText("device_name", j.DeviceName, 256))
}

func (s SessionState) validate() error {
	return firstError(s.Session.validate(), s.State.validate(), checkText("message", s.Message, MaxText), checkText("ended_by", s.EndedBy, 320))
}

func (s State) validate() error {
	switch s {
	case StateRequested, StateConsented, StateLive, StateEnded, StateDeclined, StateExpired, StateFailed:
		return nil
	}
	return fmt.Errorf("state %q", trim(string(s), 32))
}

func (a ControlAsked) validate() error {
	return firstError(a.Peer.validate(), checkText("name", a.Name, 256))
}

func (p Picture) validate() error {
	return firstError(checkText("state", string(p.State), 32), checkText("codec", p.Codec, 32), checkText("message", p.Message, MaxText))
}

func (s Say) validate() error {
	return firstError(checkText("code", string(s.Code), 64), checkText("message", s.Message, MaxText), checkText("what", s.What, 64))
}

func checkICE(servers []ICEServer) error {
	if len(servers) > 8 {
		return fmt.Errorf("%d ICE servers, at most 8", len(servers))
	}
	for _, s := range servers {
		if len(s.URLs) > 8 {
			return fmt.Errorf("%d addresses of an ICE server, at most 8", len(s.URLs))
		}
		for _, u := range s.URLs {
			if err := checkText("ICE server address", u, 512); err != nil {
				return err
			}
		}
		if err := firstError(checkText("ICE username", s.Username, 512), checkText("ICE credential", s.Credential, 512)); err != nil {
			return err
		}
	}
	return nil
}

func atLeast(field string, v, least int64) error {
	if v < least {
		return fmt.Errorf("%s is %d, at least %d", field, v, least)
	}
	return nil
}
