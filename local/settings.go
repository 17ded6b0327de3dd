package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/template"
)

// settings are what a start is told: flags, then environment, then defaults.
type settings struct {
	// HTTPS is the address (host:port) of the API. Port 0 takes a free one.
	HTTPS string
	// HTTP is the address that redirects to it; "" = none.
	HTTP string
	// TLSCert and TLSKey are files of the user's own certificate (with its chain) and key, PEM; "" = one of the CA in Data.
	TLSCert, TLSKey string
	// Data is the folder of everything that must survive.
	Data string
	// Template is the path of the template; "" = the one this program was built with.
	Template string
	// Parameters override the template's parameters.
	Parameters map[string]string
	// DynamoDB and S3 are the URLs of servers in place of the embedded ones; "" = embedded.
	DynamoDB, S3 string
	// PublicS3 is the URL under which clients reach the bucket; "" = this server for the embedded S3, else S3 itself.
	PublicS3 string
	// Membridge is the address of the built-in Membridge, plain HTTP; "" = none.
	Membridge string
	// MembridgeAsked says that somebody chose the address: then it is an error that it is taken.
	MembridgeAsked bool
	// MembridgeKey is the built-in Membridge's admin key; "" = the one in the data folder, made at the first start.
	MembridgeKey string
	// APIKey is the first admin key; "" = auth off.
	APIKey string
	// AccessKey, SecretKey and SessionToken go to DynamoDB and S3 when they are not embedded.
	AccessKey, SecretKey, SessionToken string
	// Region is theirs too.
	Region string
	// Faults are what the embedded DynamoDB does that AWS does now and then; none but for tests.
	Faults dynamodb.Faults
	// Profiles is the loopback address that answers Go's profiles; "" = none.
	Profiles string
}

func readSettings(ctx context.Context, args []string, lookup func(string) (string, bool), stderr io.Writer) (settings, error) {
	getenv := func(name string) string { v, _ := lookup(name); return v }
	env := func(name, otherwise string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	s := settings{
		PublicS3:     getenv("BLOOM_PUBLIC_S3_ENDPOINT"),
		APIKey:       getenv("RUNTIME_API_KEY"),
		MembridgeKey: getenv("MEMBRIDGE_ADMIN_KEY"),
		AccessKey:    env("AWS_ACCESS_KEY_ID", "local"),
		SecretKey:    env("AWS_SECRET_ACCESS_KEY", "local"),
		SessionToken: getenv("AWS_SESSION_TOKEN"),
		Region:       env("AWS_REGION", env("AWS_DEFAULT_REGION", "us-east-1")),
		Profiles:     getenv("BLOOM_PPROF"),
	}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.HTTPS, "https", env("BLOOM_HTTPS", "127.0.0.1:8443"), "`address` of the API, TLS only; port 0 takes a free one (BLOOM_HTTPS)")
	plain, ok := lookup("BLOOM_HTTP")
	if !ok {
		plain = "127.0.0.1:8080"
	}
	flags.StringVar(&s.HTTP, "http", plain, "`address` that redirects to https; empty = none (BLOOM_HTTP)")
	flags.StringVar(&s.TLSCert, "tls-cert", getenv("BLOOM_TLS_CERT"), "`file` of a certificate and its chain, PEM, in place of one of the CA in -data (BLOOM_TLS_CERT)")
	flags.StringVar(&s.TLSKey, "tls-key", getenv("BLOOM_TLS_KEY"), "`file` of its key, PEM (BLOOM_TLS_KEY)")
	registry, asked := lookup("BLOOM_MEMBRIDGE")
	if s.MembridgeAsked = asked; !asked {
		registry = "127.0.0.1:8000"
	}
	flags.StringVar(&s.Membridge, "membridge", registry, "`address` of the built-in Membridge, plain HTTP; empty = none (BLOOM_MEMBRIDGE)")
	flags.StringVar(&s.Data, "data", env("BLOOM_DATA", ".bloom"), "`folder` of everything that must survive (BLOOM_DATA)")
	flags.StringVar(&s.Template, "template", "", "`file` of the template in place of the one built in")
	flags.StringVar(&s.DynamoDB, "dynamodb", getenv("AWS_ENDPOINT_URL_DYNAMODB"), "`URL` of a DynamoDB in place of the embedded one (AWS_ENDPOINT_URL_DYNAMODB)")
	flags.StringVar(&s.S3, "s3", getenv("AWS_ENDPOINT_URL_S3"), "`URL` of an S3 in place of the embedded one (AWS_ENDPOINT_URL_S3)")
	faults := flags.String("faults", getenv("BLOOM_FAULTS"), "`faults` of AWS that the embedded DynamoDB shall show, for tests: seed=1,all, or some of them by name (BLOOM_FAULTS)")
	overrides, err := parseArguments(flags, args)
	if err != nil {
		return s, err
	}
	flags.Visit(func(f *flag.Flag) { s.MembridgeAsked = s.MembridgeAsked || f.Name == "membridge" })
	if s.Faults, err = dynamodb.ParseFaults(*faults); err != nil {
		return s, fmt.Errorf("-faults: %w", err)
	}
	if s.Parameters, err = template.ParseOverrides(overrides...); err != nil {
		return s, fmt.Errorf("-parameter-overrides: %w", err)
	}
	return s, s.check(ctx)
}

// parseArguments parses the command line, and returns the values for the template's parameters. As the SAM CLI takes them, more
// pairs may follow the flag's own, and more flags after them.
func parseArguments(flags *flag.FlagSet, args []string) (overrides []string, err error) {
	flags.Func("parameter-overrides", "values for the template's parameters, `Name=Value …`", func(v string) error {
		overrides = append(overrides, v)
		return nil
	})
	for rest := args; ; overrides, rest = append(overrides, flags.Arg(0)), flags.Args()[1:] {
		if err := flags.Parse(rest); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return overrides, nil
		}
		if len(overrides) == 0 || !strings.Contains(flags.Arg(0), "=") {
			return nil, fmt.Errorf("the argument %q is not understood; -h lists the flags", flags.Arg(0))
		}
	}
}

func (s settings) check(ctx context.Context) error {
	for _, u := range []struct{ name, value string }{{"-dynamodb", s.DynamoDB}, {"-s3", s.S3}, {"BLOOM_PUBLIC_S3_ENDPOINT", s.PublicS3}} {
		if p, err := url.Parse(u.value); u.value != "" && (err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Host == "") {
			return fmt.Errorf("%s must be an http or https URL, not %q", u.name, u.value)
		}
	}
	for _, a := range []struct{ name, value string }{{"-https", s.HTTPS}, {"-http", s.HTTP}, {"-membridge", s.Membridge}} {
		if _, _, err := net.SplitHostPort(a.value); err != nil && (a.value != "" || a.name == "-https") {
			return fmt.Errorf("%s must be host:port, not %q", a.name, a.value)
		}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("-tls-cert and -tls-key go together: the certificate's file, and its key's")
	}
	if s.DynamoDB != "" && s.Faults.String() != "" {
		return errors.New("-faults are those of the embedded DynamoDB, and -dynamodb names another one: leave one of the two out")
	}
	if s.Data == "" {
		return errors.New("-data must name a folder")
	}
	if i := strings.IndexFunc(s.APIKey, func(c rune) bool { return c <= ' ' || c > '~' }); i >= 0 {
		return errors.New("RUNTIME_API_KEY must be made of printable ASCII characters without spaces: no header could carry it otherwise")
	}
	if i := strings.IndexFunc(s.MembridgeKey, func(c rune) bool { return c <= ' ' || c > '~' }); i >= 0 || len(s.MembridgeKey) > maxMembridgeKey {
		return fmt.Errorf("MEMBRIDGE_ADMIN_KEY must be made of at most %d printable ASCII characters without spaces: no header could carry it otherwise", maxMembridgeKey)
	}
	if s.APIKey == "" && !loopback(ctx, s.HTTPS) {
		return fmt.Errorf("auth is off because RUNTIME_API_KEY is not set, and -https %s can be reached from other machines: set RUNTIME_API_KEY or use 127.0.0.1", s.HTTPS)
	}
	return nil
}

// lookupTimeout bounds how long the name of an address may take to resolve.
const lookupTimeout = 5 * time.Second

// loopback says that only this machine reaches the address. A name counts when all it resolves to does.
func loopback(ctx context.Context, address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			return false
		}
	}
	return err == nil && len(ips) > 0
}
