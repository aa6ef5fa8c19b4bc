// Package detect tells the traffic of the classic network, and of networks
// made like it, from other traffic.
package detect
