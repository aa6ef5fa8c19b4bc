package message

// Letter is one that comes straight, in a session: as a Forward of InnerLetter, which
// may be too small for it. What follows is a Forward of InnerTaken.
type Letter struct {
	Box []byte `obj:"4/0"`
}

// ChatTyping says that the sender's user writes a message to the receiver's just now,
// or has stopped: good for ten seconds.
type ChatTyping struct {
	On uint32 `obj:"0/0"`
}
