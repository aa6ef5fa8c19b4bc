// Package dissect explains captured traffic of a network.
package dissect
