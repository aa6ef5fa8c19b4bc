// Package chat is conversations of two people, as they stand on each of their devices.
package chat
