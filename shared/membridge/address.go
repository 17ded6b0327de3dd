package membridge

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxURL is the longest address accepted, in bytes.
const maxURL = 2048

var errLinkLocal = errors.New("link-local or metadata address refused")

// metadata are services that clouds give their machines at addresses that are not link-local.
var metadata = []netip.Addr{
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
	netip.MustParseAddr("fd00:ec2::254"),
	// https://cloud.google.com/compute/docs/metadata/querying-metadata
	netip.MustParseAddr("fd20:ce::254"),
	// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
	netip.MustParseAddr("168.63.129.16"),
	// https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
	netip.MustParseAddr("100.100.100.200"),
}

// nat64 holds IPv4 addresses within IPv6 ones. https://www.rfc-editor.org/rfc/rfc6052#section-2.1
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// ValidateURL says whether s can be a Membridge address: http or https, a host, perhaps a port and a path, nothing else.
// The error reads as the rest of a sentence that begins with the field's name ("must be …").
func ValidateURL(s string) error {
	if len(s) > maxURL {
		return errors.New("must be at most 2048 characters")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Opaque != "":
		return errors.New("must be an http or https URL")
	case u.Hostname() == "":
		return errors.New("must name a host")
	case u.User != nil:
		return errors.New("must not carry a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return errors.New("must not carry a query or fragment")
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return errors.New("must have a port from 1 to 65535")
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && refused(ip) {
		return errors.New("must not be a link-local or metadata address")
	}
	return nil
}

// refuseLinkLocal is the dialer's Control: it sees the address after the name was resolved, just before the connection.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	if refused(ip) || address == runtimeAPI {
		return errLinkLocal
	}
	return nil
}

func refused(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || slices.Contains(metadata, ip)
}

// runtimeAPI is the address at which Lambda's own runtime API answers a function, "" elsewhere.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
var runtimeAPI = os.Getenv("AWS_LAMBDA_RUNTIME_API")
