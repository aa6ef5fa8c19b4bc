package linnet

import (
	"crypto/rand"
	"io"
	"time"
)

// A FileID is one file on its way from one user to another.
type FileID [16]byte

// NewFileID draws a FileID.
func NewFileID() (id FileID) {
	rand.Read(id[:])
	return id
}

// String is the form in which people and programs pass a file around.
func (id FileID) String() string { return idText.EncodeToString(id[:]) }

// ParseFileID is the inverse of FileID.String.
func ParseFileID(s string) (id FileID, err error) {
	b, err := parseID(s, "file", "linnet files")
	return FileID(b), err
}

// MarshalText is the text of String.
func (id FileID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *FileID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseFileID(string(b))
	return err
}

// MaxFile is the size of the largest file that can be sent.
const MaxFile = 64 << 30

// FileState is how a file stands on this device.
//
//	Offered ──accept──▶ Active ◀──pause, resume──▶ Paused
//	   │                   ├──────▶ Done: all of it is there and was verified
//	   └──decline──▶ ...   └──────▶ Cancelled, Failed
type FileState uint8

// The states. The names are kept on disk.
const (
	FileOffered   FileState = iota // the receiver has not answered; while one of them is away, the offer waits at the sender
	FileActive                     // accepted: it flows whenever both devices are online
	FilePaused                     // by either side
	FileDone                       //
	FileDeclined                   // the receiver said no
	FileCancelled                  // by either side, after or before the answer
	FileFailed                     // Why tells
)

var fileStateNames = [...]string{"offered", "active", "paused", "done", "declined", "cancelled", "failed"}

// String is the name in JSON and in the database.
func (s FileState) String() string { return nameOf(fileStateNames[:], s, "file state") }

// MarshalText is the text of String.
func (s FileState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *FileState) UnmarshalText(b []byte) error {
	return parseName(s, fileStateNames[:], b, "file state")
}

// Final says that nothing more will happen to the file.
func (s FileState) Final() bool { return s >= FileDone }

// A File is one that was offered to somebody, or by somebody.
type File struct {
	ID       FileID    `json:"file"`
	Peer     UserName  `json:"peer"`
	Incoming bool      `json:"incoming"`
	Name     string    `json:"name"` // good for every file system: no path, no control characters
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256,omitempty"` // of all of it, in hexadecimal
	State    FileState `json:"state"`
	Told     bool      `json:"told"` // outgoing: a device of the other side has the offer

	// Done is how many bytes the receiver has and has verified; at the sender, how
	// many are sent. Flows says that they move now, by Path, so many a second.
	Done  int64    `json:"done"`
	Flows bool     `json:"flows"`
	Path  PathKind `json:"path"`
	BPS   int64    `json:"bytes_per_second"`

	PausedHere  bool   `json:"paused_here"`
	PausedThere bool   `json:"paused_there"`
	Why         string `json:"why,omitempty"`  // it is paused or failed, for people
	Code        Code   `json:"code,omitempty"` // of Why

	Place   string    `json:"place,omitempty"` // on this machine: what is sent, or where it was put once Done
	Offered time.Time `json:"offered"`
	Ended   time.Time `json:"ended,omitzero"`
}

// An OpenFile is what Client.OpenFile gives: Content has to be closed. It is an
// io.Seeker, too, unless it comes over a socket.
type OpenFile struct {
	Name    string
	Size    int64
	Content io.ReadCloser
}
