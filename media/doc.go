// Package media carries the sound of a call: it makes SRTP packets of coded
// frames, and coded frames of SRTP packets, repairs what the network loses, and
// measures what was heard.
//
// It knows nothing of signalling, opens no socket, starts no goroutine and
// reads no clock: methods take the time and return what to send. It codes and
// decodes nothing either: browsers do that, and files are coded already (see
// package ogg below it).
//
// # The parts
//
//	Source ──▶ Player ──frames──▶ Sender ──SRTP──▶ network ──SRTP──▶ Receiver ──frames──▶ ogg.Recorder, Echo, browser
//	                                ▲                                   │
//	                                └───────── SRTCP (reports) ◀────────┘
//
// Everything is keyed by Stream: one source of media with one key, named by its
// SSRC. A Line is the media between this device and one participant: it tells
// RTP from RTCP, finds the stream, and writes the reports. A second stream, or
// video, is one more Stream on the same Line.
//
// A Line and all that belongs to it are for one goroutine at a time.
//
// # Keys
//
// Each sender has its own key (sender keys), so that a conference can forward
// packets unchanged. SSRC and sequence never start again under the same key: a
// new source, or one that restarts, gets a NewStream. A participant that says
// nothing has a stream too: its key protects its reports.
//
// # Wire form
//
// SRTP with AEAD_AES_256_GCM (RFC 7714), without MKI:
//
//	rtp      [12]byte  // RFC 3550; no CSRC, no extension
//	payload  [...]byte // encrypted
//	tag      [16]byte
//
// The payload type says whether the payload is one coded frame or, for repair,
// an RFC 2198 list of frames, the oldest first and the new one last:
//
//	1<<7|type 1 | age<<10|length 3   // for each earlier frame: age in samples (14 bits), length (10 bits)
//	type 1                           // of the new frame
//	frames                           // in the same order
//
// An earlier frame i places before the new one has the sequence number i below
// that of its packet: each packet brings exactly one new frame, and none is
// left out between two that are repeated.
//
// On classic networks it is SRTP with AES-256 in counter mode (RFC 6188) and no
// tag at all: the old network encrypted its voice so, and nobody found a check of
// it that a forger could not make as well. Reports, of which it had none, keep
// the tag of 10 bytes that RFC 3711 demands.
//
// SRTCP travels beside SRTP (RFC 5761: packet types 192 to 223), as sender or
// receiver reports without SDES (RFC 5506): the call says who is who.
//
//	rtcp     [8]byte   // header and SSRC, in the clear
//	reports  [...]byte // encrypted
//	tag      [16]byte
//	index    [4]byte   // with the E bit
package media
