package http

import (
	"bytes"
	"net/http"
	"time"

	"github.com/linnet-p2p/linnet"
)

// uploadVoicemail takes what somebody said who may not name a file of this machine.
func uploadVoicemail(w http.ResponseWriter, r *http.Request, c linnet.Client) {
	v, err := uploadedVoicemail(w, r, c)
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, v)
}

func uploadedVoicemail(w http.ResponseWriter, r *http.Request, c linnet.Client) (v linnet.Voicemail, err error) {
	user, err := userIn(r)
	if err != nil {
		return v, err
	}
	var missed linnet.CallID
	if s := r.URL.Query().Get("call"); s != "" {
		if missed, err = named(linnet.ParseCallID(s)); err != nil {
			return v, err
		}
	}
	if !isRaw(r) {
		return v, &linnet.Error{Code: linnet.CodeUsage, Text: "voice mail is uploaded as it is", Hint: "send Content-Type: " + rawType}
	}
	return c.UploadVoicemail(r.Context(), user, missed, http.MaxBytesReader(w, r.Body, 2*linnet.MaxVoicemailBytes))
}

// serveVoicemail gives the sound as a file, in ranges if a player wants them.
func serveVoicemail(w http.ResponseWriter, r *http.Request, c linnet.Client) {
	id, err := voicemailIn(r)
	var sound []byte
	if err == nil {
		sound, err = c.VoicemailSound(r.Context(), id)
	}
	if err != nil {
		writeFailure(w, err)
		return
	}
	w.Header().Set("Content-Type", "audio/ogg")
	w.Header().Set("Content-Disposition", "inline")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(sound))
}
