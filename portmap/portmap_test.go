package portmap

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

const port = 33033

var outside = netip.MustParseAddr("203.0.113.7")

// A router remembers what it mapped, "udp 33033" to the outer port.
type router struct {
	mu     sync.Mutex
	mapped map[string]uint16
}

func (r *router) set(transport string, inner, outer uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mapped == nil {
		r.mapped = make(map[string]uint16)
	}
	key := fmt.Sprint(transport, " ", inner)
	if r.mapped[key] = outer; outer == 0 {
		delete(r.mapped, key)
	}
}

func (r *router) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.mapped)
}

// listen answers datagrams, at a port of a loopback address that a test has for itself.
func listen(t *testing.T, at string, answer func(b []byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Skipf("%s: %v", at, err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if a := answer(b[:n]); a != nil {
				conn.WriteTo(a, from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// pcpServer grants the port after the one that is wished, and answers the first
// request too late to be heard.
func pcpServer(r *router) func(b []byte) []byte {
	var asked int
	return func(b []byte) []byte {
		m, err := parsePCP(b)
		if asked++; err != nil || asked == 1 {
			return nil
		}
		transport := map[uint8]string{6: "tcp", 17: "udp"}[m.protocol]
		m.response, m.addr = true, outside
		if m.life == 0 {
			r.set(transport, m.inner, 0)
		} else {
			m.outer = m.inner + 1
			r.set(transport, m.inner, m.outer)
		}
		return m.append(nil)
	}
}

// natPMPServer knows version 0 alone, as old routers do.
func natPMPServer(r *router) func(b []byte) []byte {
	return func(b []byte) []byte {
		switch {
		case b[0] != 0:
			return []byte{0, b[1] | 0x80, 0, 1, 0, 0, 0, 0}
		case b[1] == 0:
			ip := outside.As4()
			return append([]byte{0, 0x80, 0, 0, 0, 0, 0, 1}, ip[:]...)
		}
		transport := map[byte]string{1: "udp", 2: "tcp"}[b[1]]
		inner, outer, life := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), binary.BigEndian.Uint32(b[8:])
		if life == 0 {
			outer = 0
		}
		r.set(transport, inner, outer)
		a := append([]byte{0, b[1] | 0x80, 0, 0, 0, 0, 0, 1}, b[4:8]...)
		return binary.BigEndian.AppendUint32(a, life)
	}
}

const upnpDevice = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>r</friendlyName><UDN>uuid:1</UDN><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<controlURL>/control</controlURL><eventSubURL>/event</eventSubURL><SCPDURL>/scpd.xml</SCPDURL></service></serviceList></device></root>`

// upnpServer keeps mappings for ever or not at all, and has given the first port to
// somebody else.
func upnpServer(r *router) http.Handler {
	field := func(body, name string) string {
		_, rest, _ := strings.Cut(body, "<"+name+">")
		value, _, _ := strings.Cut(rest, "</"+name+">")
		return value
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/control" {
			io.WriteString(w, upnpDevice)
			return
		}
		b, _ := io.ReadAll(io.LimitReader(q.Body, 1<<16))
		body := string(b)
		action := strings.Trim(q.Header.Get("SOAPAction"), `"`)
		action = action[strings.IndexByte(action, '#')+1:]
		reply := ""
		var inner, outer uint16
		fmt.Sscan(field(body, "NewInternalPort"), &inner)
		fmt.Sscan(field(body, "NewExternalPort"), &outer)
		transport := strings.ToLower(field(body, "NewProtocol"))
		switch action {
		case "GetExternalIPAddress":
			reply = "<NewExternalIPAddress>" + outside.String() + "</NewExternalIPAddress>"
		case "AddPortMapping":
			if outer == port || field(body, "NewLeaseDuration") != "0" {
				w.WriteHeader(http.StatusInternalServerError)
				io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring></s:Fault></s:Body></s:Envelope>`)
				return
			}
			r.set(transport, inner, outer)
		case "DeletePortMapping":
			r.set(transport, port, 0)
		}
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%[1]sResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">%[2]s</u:%[1]sResponse></s:Body></s:Envelope>`, action, reply)
	})
}

// Each protocol gives the port away and takes it back; the one that the router knows is
// found.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(t *testing.T, r *router) Options
		want  string // protocols
		outer uint16 // 0: any
	}{
		{"PCP", func(t *testing.T, r *router) Options {
			at := listen(t, "127.0.0.1:0", pcpServer(r))
			return Options{gateway: at.Addr, pcpPort: at.Port()}
		}, "[pcp]", port + 1},
		{"NAT-PMP", func(t *testing.T, r *router) Options {
			at := listen(t, "127.0.53.51:5351", natPMPServer(r)) // its library knows this port alone
			return Options{gateway: at.Addr}
		}, "[nat-pmp]", port},
		{"UPnP", func(t *testing.T, r *router) Options {
			s := httptest.NewServer(upnpServer(r))
			t.Cleanup(s.Close)
			return Options{gateway: func() (none netip.Addr) { return none }, rootUPnP: s.URL + "/root.xml"}
		}, "[upnp]", 0},
		{"nobody", func(t *testing.T, r *router) Options {
			s := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			silent := netip.MustParseAddr("127.0.53.52")
			return Options{gateway: func() netip.Addr { return silent }, rootUPnP: s.URL}
		}, "[]", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := new(router)
			o := tt.serve(t, r)
			o.Port = port
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			told := make(chan Found, 10)
			done := make(chan struct{})
			go func() {
				defer close(done)
				Run(ctx, o, func(f Found) { told <- f })
			}()
			found := <-told
			if fmt.Sprint(found.Protocols) != tt.want {
				t.Errorf("protocols %v, want %s", found.Protocols, tt.want)
			}
			if tt.want != "[]" && (found.Addr.Addr() != outside || tt.outer != 0 && found.Addr.Port() != tt.outer) || tt.want == "[]" && found.Addr.IsValid() {
				t.Errorf("at %v", found.Addr)
			}
			if want := fmt.Sprintf("udp %d:%d", port, found.Addr.Port()); tt.want != "[]" && !strings.Contains(r.String(), want) {
				t.Errorf("the router has %v, want %s", r, want)
			}
			cancel()
			<-done
			if r.String() != "map[]" {
				t.Errorf("left at the router: %v", r)
			}
		})
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPCPWire(t *testing.T) {
	nonce := [12]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for _, tt := range []struct {
		wire string
		m    pcpMapping
	}{
		{"02 01 0000 00000e10 00000000000000000000ffffc0a80105 0102030405060708090a0b0c 11 000000 8109 8109 00000000000000000000ffff00000000",
			pcpMapping{life: 3600, client: netip.MustParseAddr("192.168.1.5"), nonce: nonce, protocol: 17, inner: 33033, outer: 33033, addr: netip.IPv4Unspecified()}},
		{"02 81 0008 00000000 00000000000000000000000000000000 0102030405060708090a0b0c 06 000000 8109 0000 00000000000000000000ffffcb007107",
			pcpMapping{response: true, result: 8, nonce: nonce, protocol: 6, inner: 33033, addr: outside}},
	} {
		wire := unhex(t, tt.wire)
		if got := tt.m.append(nil); !bytes.Equal(got, wire) {
			t.Errorf("%+v is %x, want %x", tt.m, got, wire)
		}
		if got, err := parsePCP(wire); err != nil || got != tt.m {
			t.Errorf("%x gives %+v, %v", wire, got, err)
		}
	}
	for _, bad := range []string{"", "02", "00 81 0001 00000000", "02 82 0000", "02 81 0000 00000e10"} {
		if m, err := parsePCP(unhex(t, bad)); err == nil {
			t.Errorf("%s gives %+v", bad, m)
		}
	}
}

func FuzzPCP(f *testing.F) {
	f.Add(pcpMapping{life: 1, client: outside, addr: outside}.append(nil))
	f.Add([]byte{0, 0x81, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parsePCP(b)
		if err != nil {
			return
		}
		if again, err := parsePCP(m.append(nil)); err != nil || again != m {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}

// A mapping is asked for again when the host is on another network.
func TestChanged(t *testing.T) {
	r := new(router)
	at := listen(t, "127.0.0.1:0", pcpServer(r))
	changed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan Found, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Options{Port: port, Changed: changed, gateway: at.Addr, pcpPort: at.Port(), rootUPnP: "http://127.0.0.1:1"}, func(f Found) { told <- f })
	}()
	<-told
	r.set("udp", port, 0)
	changed <- struct{}{}
	for end := time.Now().Add(30 * time.Second); !strings.Contains(r.String(), "udp"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not asked for again")
		}
	}
	cancel()
	<-done
}

// Whoever answers as a router gets nobody else asked, and is not listened to for ever.
func TestHostileUPnP(t *testing.T) {
	victim := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody else is asked: %s %s", r.Method, r.URL)
	}))
	l, err := net.Listen("tcp", "127.0.53.53:0")
	if err != nil {
		t.Skip(err)
	}
	victim.Listener.Close()
	victim.Listener = l
	victim.Start()
	t.Cleanup(victim.Close)
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, victim.URL+"/root.xml", http.StatusFound)
		},
		"control elsewhere": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Replace(upnpDevice, "<controlURL>", "<controlURL>"+victim.URL, 1))
		},
		"no end": func(w http.ResponseWriter, _ *http.Request) {
			sent := 0
			for block := []byte("<root>" + strings.Repeat("x", 1<<16)); sent < 64<<20; {
				n, err := w.Write(block)
				if sent += n; err != nil {
					return
				}
			}
			t.Error("all of an endless answer is read")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(answer)
			t.Cleanup(s.Close)
			u := &upnp{root: s.URL + "/root.xml"}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if at, _, err := u.mapPort(ctx, "udp", port, port, time.Hour); err == nil {
				t.Errorf("mapped at %v", at)
			}
		})
	}
}

func TestRouterAlone(t *testing.T) {
	u := &upnp{gateway: netip.MustParseAddr("192.168.7.1")}
	for _, tt := range []struct {
		at   string
		want bool
	}{{"192.168.7.1", true}, {"192.168.7.2", !gatewayKnown}, {"127.0.0.1", false}, {"203.0.113.9", false}, {"::1", false}} {
		if got := u.may(netip.MustParseAddr(tt.at)); got != tt.want {
			t.Errorf("%s: %v", tt.at, got)
		}
	}
}
