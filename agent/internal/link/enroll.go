package link

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"handrail/signaling"
	"handrail/signaling/client"
)

// Enrollment is what a device says of itself when it enrolls.
type Enrollment struct {
	Gateway     string // https://host[:port]
	Token       string
	CASHA256    string // of the gateway's own authority, hexadecimal; "" trusts the system's roots
	Key         ed25519.PrivateKey
	Fingerprint string
	Hostname    string
	DeviceName  string // wanted; "" means the hostname
	Version     string
}

// Enroll redeems a token. Refusals come back as *Problem with one of the codes token_*,
// rate_limited or revoked; what it returns is to be kept before anything else is done.
func Enroll(ctx context.Context, e Enrollment) (signaling.EnrollAnswer, error) {
	var answer signaling.EnrollAnswer
	if _, err := client.SocketURL(e.Gateway); err != nil {
		return answer, err
	}
	var tlsConfig *tls.Config
	if e.CASHA256 != "" {
		var err error
		if tlsConfig, err = tlsByFingerprint(e.CASHA256); err != nil {
			return answer, err
		}
	}
	req := signaling.EnrollRequest{
		Token: strings.TrimSpace(e.Token), PublicKey: signaling.Key(e.Key.Public().(ed25519.PublicKey)), Fingerprint: e.Fingerprint,
		Hostname: e.Hostname, DeviceName: e.DeviceName, OS: runtime.GOOS, Arch: runtime.GOARCH, AgentVersion: e.Version,
		Nonce: make([]byte, signaling.NonceSize),
	}
	rand.Read(req.Nonce)
	req.Signature = ed25519.Sign(e.Key, signaling.EnrollTranscript(req))
	if err := req.Validate(); err != nil {
		return answer, err
	}
	c := &http.Client{
		Timeout: 30 * time.Second, CheckRedirect: noRedirect,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, DisableKeepAlives: true},
	}
	if err := exchange(ctx, c, http.MethodPost, strings.TrimSuffix(e.Gateway, "/")+signaling.PathAgentEnroll, nil, req, &answer); err != nil {
		return answer, err
	}
	if err := signaling.CheckID("dev", string(answer.DeviceID)); err != nil {
		return answer, fmt.Errorf("the gateway gave device id %q: %w", plain(string(answer.DeviceID)), err)
	}
	if len(answer.GatewayKey) != ed25519.PublicKeySize || len(answer.NextKey) != 0 && len(answer.NextKey) != ed25519.PublicKeySize {
		return answer, errors.New("the gateway gave no usable identity key")
	}
	return answer, nil
}

// Explain says in words, for the person who can act on it, why a gateway could not be
// reached or did not take this device.
func Explain(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		dns      *net.DNSError
		problem  *Problem
		refused  *client.RefusedError
		urlError *url.Error
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &problem):
		return explainCode(problem.Code, plain(problem.Error()))
	case errors.As(err, &refused):
		return explainCode(refused.Code, plain(refused.Message))
	case errors.Is(err, client.ErrGatewayKey):
		return "whoever answers at the gateway's address is not the gateway this device enrolled with; if the gateway was set up anew, enroll again with --force"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the gateway's certificate is not valid at this device's time (%s): the clock is wrong, or the certificate has expired", time.Now().Format(time.RFC3339))
	case errors.As(err, &unknown):
		return "the gateway's certificate is from an authority this device does not trust; enroll with --ca-sha256 as the console shows it"
	case errors.As(err, &host):
		return "the gateway's certificate is for another name: " + plain(host.Error())
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %q cannot be resolved: check the address and this device's network", plain(dns.Name))
	case errors.Is(err, client.ErrSilent):
		return "the gateway went silent: the network between is cut"
	case errors.Is(err, client.ErrDrained):
		return "the gateway is shutting down; the device moves on"
	case errors.As(err, &urlError):
		return explainNet(urlError.Err)
	}
	return explainNet(err)
}

func explainNet(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Sprintf("nothing answers at %s: %s", op.Addr, plain(op.Err.Error()))
	}
	return plain(err.Error())
}

// explainCode adds what to do to what the gateway said.
func explainCode(code signaling.Code, said string) string {
	switch code {
	case signaling.CodeRevoked:
		return "this device was revoked by an admin: " + said
	case signaling.CodeUnknownDevice:
		return "the gateway does not know this device (deleted?); enroll again with --force"
	case signaling.CodeIdentityCopied:
		return "this identity belongs to another machine: the state directory was copied; enroll this one with --force"
	case signaling.CodeIdentityInUse:
		return "another machine or process is connected with this very identity: was this machine cloned?"
	case signaling.CodeTokenUnknown:
		return "the gateway does not know this enrollment token; copy it again from the console"
	case signaling.CodeTokenSpent:
		return "this enrollment token is used up; make a new one in the console"
	case signaling.CodeTokenExpired:
		return "this enrollment token has expired; make a new one in the console"
	case signaling.CodeTokenRevoked:
		return "this enrollment token was revoked; make a new one in the console"
	case signaling.CodeVersion:
		return "the gateway and this agent are of versions that do not understand each other: " + said
	}
	return said
}
