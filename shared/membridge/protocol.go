package membridge

// What Membridge answers, as on the wire. Times are seconds since the Unix epoch. Fields with omitempty are not the original's.

// Project is a memory-sync project.
type Project struct {
	Name        string   `json:"name"`
	CanonicalID string   `json:"canonical_id"`
	CreatedAt   *float64 `json:"created_at"` // null for a project that a node brought
	LastSeen    *float64 `json:"last_seen"`
	NodesCount  int      `json:"nodes_count"`
	Source      string   `json:"source"` // manual or heartbeat
}

// Node is a machine that takes part in a project.
type Node struct {
	NodeID       string   `json:"node_id"`
	CanonicalID  string   `json:"canonical_id"`
	Role         string   `json:"role"`
	ObsCount     *int64   `json:"obs_count"`
	DBSha        *string  `json:"db_sha"`
	LastSeen     float64  `json:"last_seen"`
	IPAddrs      []string `json:"ip_addrs"`
	RegisteredAt float64  `json:"registered_at"`
	ProjectID    *string  `json:"project_id"`
}

// Leadership says which node of a project is primary.
type Leadership struct {
	CanonicalID      string  `json:"canonical_id"`
	PreferredPrimary *string `json:"preferred_primary"`
	NodeCount        int     `json:"node_count"`
	Nodes            []Node  `json:"nodes"`
	// The rest is there once a primary was chosen.
	PrimaryNodeID    string `json:"primary_node_id,omitempty"`
	Epoch            int64  `json:"epoch,omitempty"`
	IssuedAt         int64  `json:"issued_at,omitempty"`
	ExpiresAt        int64  `json:"expires_at,omitempty"`
	LeaseSeconds     int64  `json:"lease_seconds,omitempty"`
	NeedsUISelection *bool  `json:"needs_ui_selection,omitempty"`
}

// Promotion is the answer to a promotion.
type Promotion struct {
	OK            bool   `json:"ok"`
	CanonicalID   string `json:"canonical_id"`
	PrimaryNodeID string `json:"primary_node_id"`
	LeaseSeconds  int64  `json:"lease_seconds"`
	Detail        string `json:"detail"`
	Epoch         int64  `json:"epoch,omitempty"`
	IssuedAt      int64  `json:"issued_at,omitempty"`
	ExpiresAt     int64  `json:"expires_at,omitempty"`
}
