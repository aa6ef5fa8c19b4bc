package http

import (
	"bytes"
	"net/http"
	"time"

	"github.com/linnet-p2p/linnet"
)

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
