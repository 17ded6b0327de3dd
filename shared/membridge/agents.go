package membridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// maxAgents is how many agents of a list are taken.
const maxAgents = 10_000

// Limits of what one agent may say; longer is not believable.
const (
	maxName      = 128 // characters
	maxEntries   = 64
	maxEntry     = 128 // characters
	maxPlausible = 1e11
)

// BadAgent is an entry of the list of agents that can't be taken, and why.
type BadAgent struct {
	// Name is the agent's, or "entry 3" of one that has none. It is printable and short.
	Name string
	// Reason reads as the rest of a sentence that begins with the name.
	Reason string
}

// Agents asks the server for its agents. One that can't be taken does not spoil the others: it comes back in bad. The list
// names each worker once; of two entries with one name the first counts.
func (c *Client) Agents(ctx context.Context, s Server) (good []worker.Listing, bad []BadAgent, err error) {
	answer, err := c.Get(ctx, s, "/agents")
	if err != nil {
		return nil, nil, err
	}
	var entries []json.RawMessage
	if json.Unmarshal(answer, &entries) != nil || entries == nil {
		return nil, nil, errors.New("Membridge answered with something that is not a list of agents") //nolint:staticcheck // a name
	}
	seen := map[string]bool{}
	for n, e := range entries {
		l, reason := readAgent(e)
		switch {
		case n >= maxAgents:
			return good, append(bad, BadAgent{fmt.Sprintf("entry %d", n), fmt.Sprintf("and all after it are left out: more than %d agents", maxAgents)}), nil
		case reason != "":
			bad = append(bad, BadAgent{nameOf(l.Name, n), reason})
		case seen[l.Name]:
			bad = append(bad, BadAgent{nameOf(l.Name, n), "is listed twice"})
		default:
			seen[l.Name] = true
			good = append(good, l)
		}
	}
	return good, bad, nil
}

func nameOf(name string, n int) string {
	if p := printable(name, maxName); p != "" {
		return p
	}
	return fmt.Sprintf("entry %d", n)
}

// agent is an entry as Membridge may send it. The original sends name, url, status, registered_at and last_seen.
type agent struct {
	Name         *string
	URL          *string
	Status       *string
	LastSeen     *float64 `json:"last_seen"` // seconds
	IPAddrs      []string `json:"ip_addrs"`
	Capabilities *struct {
		ClaudeCLI      *bool    `json:"claude_cli"`
		MaxConcurrency *float64 `json:"max_concurrency"`
		Labels         []string
	}
}

// readAgent reads one entry; reason is "" when it can be taken. The name is there as far as it could be read.
func readAgent(entry json.RawMessage) (l worker.Listing, reason string) {
	var a agent
	err := json.Unmarshal(entry, &a)
	if a.Name != nil {
		l.Name = *a.Name
	}
	switch {
	case err != nil:
		return l, "is not described as an agent: " + fieldOf(err)
	case a.Name == nil:
		return l, "has no name"
	}
	if reason = badName(l.Name); reason != "" {
		return l, reason
	}
	if a.URL != nil && *a.URL != "" {
		if err := ValidateURL(*a.URL); err != nil {
			return l, "has a url that " + err.Error()
		}
		l.URL = *a.URL
	}
	l.Status = status(a.Status)
	if a.LastSeen != nil {
		if *a.LastSeen < 0 || *a.LastSeen > maxPlausible {
			return l, "has a last_seen that is no time in seconds"
		}
		l.LastSeen = clock.Millis(math.Round(*a.LastSeen * 1000))
	}
	if l.IPAddrs = a.IPAddrs; !plausible(a.IPAddrs) {
		return l, "has ip_addrs that are too many, too long or not printable"
	}
	return l, a.capabilities(&l)
}

// capabilities reads what the agent can do, if it says so.
func (a agent) capabilities(l *worker.Listing) (reason string) {
	if a.Capabilities == nil {
		return ""
	}
	c := worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}
	if v := a.Capabilities.ClaudeCLI; v != nil {
		c.ClaudeCLI = *v
	}
	if v := a.Capabilities.MaxConcurrency; v != nil {
		if c.MaxConcurrency = int(*v); *v < 1 || *v > 32 || *v != math.Trunc(*v) {
			return "has a max_concurrency that is not a whole number between 1 and 32"
		}
	}
	if v := a.Capabilities.Labels; v != nil {
		c.Labels = v
	}
	if !plausible(c.Labels) {
		return "has labels that are too many, too long or not printable"
	}
	l.Capabilities = &c
	return ""
}

// badName says why a name can't be a worker's.
func badName(name string) string {
	switch {
	case name == "":
		return "has an empty name"
	case utf8.RuneCountInString(name) > maxName:
		return "has a name of more than 128 characters"
	case strings.Contains(name, "/"), strings.ContainsFunc(name, unicode.IsControl), name == ".", name == "..":
		return "has a name that a worker can't have: it must not contain / or control characters, nor be . or .."
	}
	return ""
}

// status is what Membridge says, unknown when that is none of the words.
func status(said *string) worker.Status {
	if said != nil {
		for _, s := range worker.Statuses {
			if *said == string(s) {
				return s
			}
		}
	}
	return worker.Unknown
}

func plausible(texts []string) bool {
	for _, t := range texts {
		if utf8.RuneCountInString(t) > maxEntry || strings.ContainsFunc(t, unicode.IsControl) {
			return false
		}
	}
	return len(texts) <= maxEntries
}

// fieldOf names the field that could not be decoded, in words of ours.
func fieldOf(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return t.Field + " is of the wrong type"
	}
	return "it is no object of the right shape"
}
