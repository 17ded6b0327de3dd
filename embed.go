// Package bloom holds the template of the stack and the description of its API,
// for programs that run it.
package bloom

import _ "embed"

// Template is template.yaml.
//
//go:embed template.yaml
var Template []byte

// OpenAPI is infra/openapi.yaml.
//
//go:embed infra/openapi.yaml
var OpenAPI []byte
