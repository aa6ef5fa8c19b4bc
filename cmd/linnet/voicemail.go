package main

import (
	"fmt"
	"os"
	"os/exec"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
)

type voicemailCmd struct {
	List   voicemailListCmd   `cmd:"" default:"withargs" help:"What contacts left here, and you elsewhere."`
	Leave  voicemailLeaveCmd  `cmd:"" help:"Leave a message with a contact, without a call."`
	Play   voicemailPlayCmd   `cmd:"" help:"Play a message with mpv, ffplay, opusplay or vlc; the caller is told that it was heard."`
	Save   voicemailSaveCmd   `cmd:"" help:"Write a message to an Ogg/Opus file."`
	Delete voicemailDeleteCmd `cmd:"" help:"Delete a message."`
}

type voicemailListCmd struct {
	Limit int `help:"How many at the most." default:"20"`
}

func (c *voicemailListCmd) Run(p *program) error {
	list, err := p.node().Voicemails(p.ctx, c.Limit)
	if err != nil {
		return err
	}
	return p.print(list, func(w *tabwriter.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "No voice mail.")
		}
		for _, v := range list {
			way, heard := "from", "new"
			if v.Own {
				way, heard = "to", "not heard yet"
			}
			if !v.Heard.IsZero() {
				heard = "heard " + v.Heard.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s %s\t%.0f s\t%s\n", v.ID, v.Sent.Local().Format(time.DateTime), way, v.Peer, v.Length, heard)
		}
	})
}

type voicemailLeaveCmd struct {
	User string `arg:"" help:"A contact."`
	File string `arg:"" help:"Ogg/Opus file, two minutes at the most." type:"path"`
}

func (c *voicemailLeaveCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	return p.leaveVoicemail(user, linnet.CallID{}, c.File)
}

func (p *program) leaveVoicemail(user linnet.UserName, about linnet.CallID, file string) error {
	v, err := p.node().LeaveVoicemail(p.ctx, user, about, file)
	if err != nil {
		return err
	}
	p.tell("Your message of %.0f s is left with %s.", v.Length, user)
	return nil
}

type voicemailPlayCmd struct {
	ID string `arg:"" help:"As linnet voicemail prints it."`
}

func (c *voicemailPlayCmd) Run(p *program) error {
	id, sound, err := p.voicemail(c.ID)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "voicemail-*.ogg")
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: err.Error()}
	}
	defer os.Remove(f.Name())
	_, err = f.Write(sound)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: err.Error()}
	}
	for _, player := range [][]string{{"mpv", "--no-video", "--really-quiet"}, {"ffplay", "-nodisp", "-autoexit", "-loglevel", "error"}, {"opusplay"}, {"cvlc", "--play-and-exit", "--quiet"}} {
		path, err := exec.LookPath(player[0])
		if err != nil {
			continue
		}
		if err := exec.CommandContext(p.ctx, path, append(player[1:], f.Name())...).Run(); err != nil {
			return &linnet.Error{Code: linnet.CodeFailed, Text: player[0] + " could not play it", Hint: "`linnet voicemail save` writes a file", Err: err}
		}
		return p.node().HeardVoicemail(p.ctx, id)
	}
	return &linnet.Error{Code: linnet.CodeFailed, Text: "there is no player on this machine", Hint: "install mpv, or `linnet voicemail save ID FILE`"}
}

type voicemailSaveCmd struct {
	ID   string `arg:"" help:"As linnet voicemail prints it."`
	File string `arg:"" help:"Where to." type:"path"`
}

func (c *voicemailSaveCmd) Run(p *program) error {
	id, sound, err := p.voicemail(c.ID)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.File, sound, 0o600); err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: err.Error()}
	}
	return p.node().HeardVoicemail(p.ctx, id)
}

type voicemailDeleteCmd struct {
	ID string `arg:"" help:"As linnet voicemail prints it."`
}

func (c *voicemailDeleteCmd) Run(p *program) error {
	id, err := voicemailID(c.ID)
	if err != nil {
		return err
	}
	return p.node().DeleteVoicemail(p.ctx, id)
}

func voicemailID(s string) (linnet.VoicemailID, error) { return argument(linnet.ParseVoicemailID(s)) }

func (p *program) voicemail(s string) (linnet.VoicemailID, []byte, error) {
	id, err := voicemailID(s)
	if err != nil {
		return id, nil, err
	}
	sound, err := p.node().VoicemailSound(p.ctx, id)
	return id, sound, err
}
