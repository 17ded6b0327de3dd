// Package bloom holds the template of the stack, for programs that run it.
package bloom

import _ "embed"

// Template is template.yaml.
//
//go:embed template.yaml
var Template []byte
