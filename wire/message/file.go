package message

import "github.com/linnet-p2p/linnet"

// FileOffer offers a file, and says again that it can be had: the receiver fetches
// it when it likes. It is idempotent by File.
type FileOffer struct {
	File linnet.FileID `obj:"4/0"`
	Time uint64        `obj:"1/1"` // milliseconds since 1970, of the first offer
	Name string        `obj:"3/2"`
	Size uint64        `obj:"1/3"`
	Sum  [32]byte      `obj:"4/4"` // SHA-256 of the content
	Tree [32]byte      `obj:"4/5"` // SHA-256 of the SHA-256s of its pieces of 256 KiB, in order
}

// FileAnswer is what the receiver says to an offer.
type FileAnswer struct {
	File    linnet.FileID `obj:"4/0"`
	Verdict uint32        `obj:"0/1"` // FileSeen, ...
}

// The verdicts.
const (
	FileSeen     = 0 // its user is asked
	FileAccepted = 1 // by this device; said again before each fetch
	FileDeclined = 2
	FileTooMany  = 3 // offers of this sender are undecided
	FileStranger = 4 // the sender is no contact
)

// FileEnd ends a file for both sides.
type FileEnd struct {
	File   linnet.FileID `obj:"4/0"`
	Reason uint32        `obj:"0/1"` // FileComplete, ...
}

// The reasons.
const (
	FileComplete  = 1 // the receiver has all of it, verified and on disk
	FileCancelled = 2
	FileBroken    = 3 // what comes is not what was offered
	FileElsewhere = 4 // another device of the receiver's user took it
)

// FilePause says that the sender of this stops the file for a while, or ends that.
type FilePause struct {
	File linnet.FileID `obj:"4/0"`
	On   bool          `obj:"0/1"`
}

// BulkConnect asks to be let in by QUIC, with a certificate that has this SHA-256.
type BulkConnect struct {
	Certificate [32]byte `obj:"4/0"`
}

// BulkConnected says that the asker is expected, and by which certificate he knows
// the sender of this.
type BulkConnected struct {
	Certificate [32]byte `obj:"4/0"`
}
