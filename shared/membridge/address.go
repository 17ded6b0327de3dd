package membridge

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// maxURL is the longest address accepted, in bytes.
const maxURL = 2048

var errLinkLocal = errors.New("link-local address refused")

// awsMetadata6 is the instance metadata service over IPv6, which is not link-local.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
var awsMetadata6 = netip.MustParseAddr("fd00:ec2::254")

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
		return errors.New("must not be a link-local address")
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
	if refused(ip) {
		return errLinkLocal
	}
	return nil
}

func refused(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip == awsMetadata6
}
