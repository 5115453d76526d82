package inventory

// Interface is an entry of the section "network".
type Interface struct {
	Name      string   `json:"name" max:"64"`
	MAC       string   `json:"mac" max:"64"`
	Addresses []string `json:"addresses" max:"64" list:"32"` // with prefix length
	Up        bool     `json:"up"`
	SpeedMbps int64    `json:"speed_mbps"` // 0 or less: unknown
	Driver    string   `json:"driver" max:"64"`
	MTU       uint32   `json:"mtu"`
}

// WiFi is an entry of the section "wifi": a wireless card and what it is connected to. How
// strong the signal is moves all the time and is not part of it.
type WiFi struct {
	Interface    string `json:"interface" max:"64"`
	SSID         string `json:"ssid" max:"64"` // "" not connected
	BSSID        string `json:"bssid" max:"64"`
	FrequencyMHz uint32 `json:"frequency_mhz"`
	Security     string `json:"security" max:"64"` // "WPA2", "WPA3 802.1X", "" open or unknown
}

// Route is an entry of the section "routes".
type Route struct {
	Destination string `json:"destination" max:"64"` // with prefix length; 0.0.0.0/0 and ::/0 are the default
	Gateway     string `json:"gateway" max:"64"`     // "" directly connected
	Interface   string `json:"interface" max:"64"`
	Metric      uint32 `json:"metric"`
}

// DNS is the section "dns": who is really asked, also where a local resolver stands between.
type DNS struct {
	Servers []string `json:"servers" max:"128"`
	Search  []string `json:"search"`
	Manager string   `json:"manager" max:"64"` // "systemd-resolved", "NetworkManager", "resolvconf"; "" a plain file
}

// Listener is an entry of the section "listening": a port that takes connections (TCP), or
// datagrams on a port that is not a passing one (UDP).
type Listener struct {
	Proto   string `json:"proto" max:"16"`   // "tcp", "udp"
	Address string `json:"address" max:"64"` // 0.0.0.0 and :: are every address
	Port    uint32 `json:"port"`
	Process string `json:"process" max:"64"` // "" where only root may know
	User    string `json:"user" max:"64"`
}

// User is an entry of the section "users": a session at the device.
type User struct {
	Name      string `json:"name" max:"64"`
	Terminal  string `json:"terminal" max:"64"`
	Host      string `json:"host"` // where from; "" is the device itself
	SinceUS   int64  `json:"since_us"`
	Graphical bool   `json:"graphical"`
}

// SignIns is the section "sign_ins", newest first.
type SignIns struct {
	Recent []SignIn `json:"recent" list:"50"`
	Failed []SignIn `json:"failed" list:"50"` // only root may know
}

// SignIn is part of SignIns.
type SignIn struct {
	Name     string `json:"name" max:"64"`
	Terminal string `json:"terminal" max:"64"`
	Host     string `json:"host"`
	AtUS     int64  `json:"at_us"`
}
