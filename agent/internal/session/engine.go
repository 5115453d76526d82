package session

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/webrtc/v4"

	"handrail/signaling"
)

// Times of a connection. A network that was away for 10 s is to be back within 2 s of its
// return, so checks go out twice a second, the ICE agent does not give up before a viewer
// that is away gives up itself, and no retransmission timer backs off beyond a second.
const (
	iceKeepAlive      = 500 * time.Millisecond
	iceDisconnected   = 2500 * time.Millisecond // silence after which a viewer counts as lost
	iceFailed         = time.Minute             // then only an ICE restart helps
	dtlsRetransmit    = 100 * time.Millisecond  // first flight may race the viewer's own checks
	sctpRTOMax        = time.Second
	stunGatherTimeout = 3 * time.Second
)

// Bounds of the bandwidth estimate, in bits per second. Without feedback yet, the start is
// what an ordinary uplink carries; the first seconds correct it.
const (
	bitrateStart = 6_000_000
	bitrateLeast = 150_000
	bitrateMost  = 60_000_000
)

// engine makes peer connections: one WebRTC API and one certificate for the process.
type engine struct {
	api *webrtc.API

	mu        sync.Mutex
	cert      *webrtc.Certificate
	estimator cc.BandwidthEstimator // of the connection being made under mu
}

// estimate is what a connection's congestion control says.
type estimate interface {
	GetTargetBitrate() int
	OnTargetBitrateChange(f func(bitrate int))
}

func newEngine(loopback bool, virtual transport.Net, log *slog.Logger) (*engine, error) {
	e := &engine{}
	media := &webrtc.MediaEngine{}
	if err := registerVideo(media); err != nil {
		return nil, err
	}
	chain := &interceptor.Registry{}
	if err := e.registerInterceptors(media, chain); err != nil {
		return nil, err
	}
	set := webrtc.SettingEngine{LoggerFactory: pionLog{log}}
	set.SetICETimeouts(iceDisconnected, iceFailed, iceKeepAlive)
	set.SetSTUNGatherTimeout(stunGatherTimeout)
	set.SetPrflxAcceptanceMinWait(0)
	set.SetDTLSRetransmissionInterval(dtlsRetransmit)
	set.SetSCTPRTOMax(sctpRTOMax)
	set.SetSCTPMaxMessageSize(64 << 10)
	set.DisableActiveTCP(true)
	set.SetIncludeLoopbackCandidate(loopback)
	// Browsers hide their addresses behind mDNS names; we look those up and show our own.
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeQueryOnly)
	if virtual != nil {
		set.SetNet(virtual)
		set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	} else {
		system, err := stdnet.NewNet()
		if err != nil {
			return nil, fmt.Errorf("network interfaces: %w", err)
		}
		set.SetNet(hasty{system})
	}
	e.api = webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(chain), webrtc.WithSettingEngine(set))
	if _, err := e.certificate(); err != nil {
		return nil, err
	}
	return e, nil
}

func registerVideo(media *webrtc.MediaEngine) error {
	feedback := []webrtc.RTCPFeedback{
		{Type: "nack"},
		{Type: "nack", Parameter: "pli"},
		{Type: "ccm", Parameter: "fir"},
		{Type: webrtc.TypeRTCPFBTransportCC},
	}
	codecs := []webrtc.RTPCodecParameters{
		{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: clockRate, RTCPFeedback: feedback},
			PayloadType:        96,
		},
		{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: clockRate, SDPFmtpLine: "apt=96"},
			PayloadType:        97,
		},
	}
	for _, c := range codecs {
		if err := media.RegisterCodec(c, webrtc.RTPCodecTypeVideo); err != nil {
			return fmt.Errorf("register %s: %w", c.MimeType, err)
		}
	}
	if err := media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: playoutDelayURI}, webrtc.RTPCodecTypeVideo); err != nil {
		return fmt.Errorf("register playout delay: %w", err)
	}
	return nil
}

// registerInterceptors lays out what an outgoing packet passes, the last added first:
// playout delay, sender reports, NACK history, transport sequence number, congestion
// control. A retransmission enters at the history, so it gets a sequence number of its own.
func (e *engine) registerInterceptors(media *webrtc.MediaEngine, chain *interceptor.Registry) error {
	control, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) {
		return gcc.NewSendSideBWE(
			gcc.SendSideBWEInitialBitrate(bitrateStart),
			gcc.SendSideBWEMinBitrate(bitrateLeast),
			gcc.SendSideBWEMaxBitrate(bitrateMost),
			gcc.SendSideBWEPacer(&straightPacer{}),
		)
	})
	if err != nil {
		return fmt.Errorf("congestion control: %w", err)
	}
	control.OnNewPeerConnection(func(_ string, est cc.BandwidthEstimator) { e.estimator = est })
	chain.Add(control)
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(media, chain); err != nil {
		return fmt.Errorf("transport sequence numbers: %w", err)
	}
	if err := webrtc.ConfigureNack(media, chain); err != nil {
		return fmt.Errorf("retransmission: %w", err)
	}
	if err := webrtc.ConfigureRTCPReports(chain); err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	chain.Add(playoutDelayFactory{})
	return nil
}

// certificate returns the process's DTLS certificate: making an ECDSA key while a viewer
// waits would cost it, and one is made anew only shortly before it expires.
func (e *engine) certificate() (webrtc.Certificate, error) {
	if e.cert != nil && time.Until(e.cert.Expires()) > 48*time.Hour {
		return *e.cert, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return webrtc.Certificate{}, fmt.Errorf("make dtls key: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return webrtc.Certificate{}, fmt.Errorf("make dtls certificate: %w", err)
	}
	e.cert = cert
	return *cert, nil
}

// connect makes a peer connection that has gathered nothing yet.
func (e *engine) connect(servers []signaling.ICEServer) (*webrtc.PeerConnection, estimate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	cert, err := e.certificate()
	if err != nil {
		return nil, nil, err
	}
	cfg := webrtc.Configuration{
		Certificates: []webrtc.Certificate{cert},
		BundlePolicy: webrtc.BundlePolicyMaxBundle,
		ICEServers:   iceServers(servers),
	}
	e.estimator = nil
	pc, err := e.api.NewPeerConnection(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("make peer connection: %w", err)
	}
	return pc, e.estimator, nil
}

func iceServers(list []signaling.ICEServer) []webrtc.ICEServer {
	out := make([]webrtc.ICEServer, 0, len(list))
	for _, s := range list {
		out = append(out, webrtc.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Credential})
	}
	return out
}
