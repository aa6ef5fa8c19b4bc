package http

import (
	"net/http"

	"github.com/linnet-p2p/linnet"
)

// named is what a request names; what cannot be is the caller's mistake.
func named[T any](v T, err error) (T, error) {
	if err != nil {
		err = &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	}
	return v, err
}

func userIn(r *http.Request) (linnet.UserName, error) {
	return named(linnet.ParseUserName(r.PathValue("user")))
}

func callIn(r *http.Request) (linnet.CallID, error) {
	return named(linnet.ParseCallID(r.PathValue("call")))
}

func messageIn(r *http.Request) (linnet.MessageID, error) {
	return named(linnet.ParseMessageID(r.PathValue("message")))
}

func fileIn(r *http.Request) (linnet.FileID, error) {
	return named(linnet.ParseFileID(r.PathValue("file")))
}

func voicemailIn(r *http.Request) (linnet.VoicemailID, error) {
	return named(linnet.ParseVoicemailID(r.PathValue("id")))
}

// about runs a request about what its path names, with its body.
func about[ID, T any](r *http.Request, in func(*http.Request) (ID, error), do func(ID, T) error) (any, error) {
	id, err := in(r)
	if err != nil {
		return nil, err
	}
	arg, err := read[T](r)
	return nil, first(err, func() error { return do(id, arg) })
}

func onUser[T any](r *http.Request, do func(linnet.UserName, T) error) (any, error) {
	return about(r, userIn, do)
}

func onCall[T any](r *http.Request, do func(linnet.CallID, T) error) (any, error) {
	return about(r, callIn, do)
}

func onMessage[T any](r *http.Request, do func(linnet.MessageID, T) error) (any, error) {
	return about(r, messageIn, do)
}

func onFile[T any](r *http.Request, do func(linnet.FileID, T) error) (any, error) {
	return about(r, fileIn, do)
}
