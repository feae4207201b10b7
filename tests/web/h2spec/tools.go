//go:build tools

// Names the program that scripts/setup builds from this module.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
