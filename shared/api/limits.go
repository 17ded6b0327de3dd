package api

// Limits of what clients send; infra/openapi.yaml states the same numbers.
// Strings count in characters, those that fill a body or an item in bytes of UTF-8.
const (
	maxPrompt       = 1 << 20 // bytes
	maxContextID    = 256
	maxAgentSlug    = 128
	maxHints        = 100
	maxHint         = 1024
	maxHintsTotal   = 16 << 10 // bytes
	maxOutput       = 5 << 20  // bytes
	maxErrorMessage = 16 << 10 // bytes
	maxArtifactType = 64
	maxTags         = 50
	maxTag          = 128
	maxWorkerName   = 128
	maxURL          = 2048
	maxLabels       = 50
	maxLabel        = 128
	maxAddresses    = 32
	maxAddress      = 64
	maxAdminKey     = 512
	maxID           = 256
	maxTTLSeconds   = 3600
	maxClaims       = 32
	maxNodeID       = 240
	maxProjectID    = 128
	// leaderSeconds is how long a promoted node is primary when nobody says; Membridge has the same.
	leaderSeconds    = 3600
	maxLeaderSeconds = 31536000
	// maxInline is the longest prompt that is kept in the table: each change of a
	// task writes the whole item, a unit for every KiB. Longer ones go to the
	// bucket, and lists show their head.
	maxInline = 4 << 10
	// maxAnswer is what an answer's body may take of the 6 MB that a function may
	// answer; the rest is for its headers.
	maxAnswer = 6<<20 - 64<<10
)
