package main

import (
	"cmp"
	"fmt"
	"html"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/web"
)

// pageFlags are for commands that serve the page of a node.
type pageFlags struct {
	Web       netip.AddrPort `help:"Where the page is; default: 127.0.0.1:33080, or a free port. An address that other machines reach wants a password (linnet page --set-password), and has TLS." placeholder:"ADDR:PORT"`
	WebName   []string       `help:"A name by which browsers on other machines call the page, besides its addresses." placeholder:"NAME"`
	WebCert   string         `help:"Certificate chain to show them; default: one that the node makes and prints the fingerprint of." placeholder:"FILE" type:"path"`
	WebKey    string         `help:"Its key." placeholder:"FILE" type:"path"`
	NoBrowser bool           `help:"Do not open the page in a browser; only print its address."`
}

func (f pageFlags) site(c linnet.Client, home string) (*http.Site, error) {
	pair, err := certificate(f.WebCert, f.WebKey, "--web-cert and --web-key")
	if err != nil {
		return nil, err
	}
	return http.NewSite(c, http.SiteOptions{Home: home, Files: web.Files(), Listen: f.Web, Certificate: pair, Names: f.WebName})
}

// open says whether the page is to be opened: not by default where nobody would see it.
func (f pageFlags) open() bool { return !f.NoBrowser && hasDisplay() }

func hasDisplay() bool {
	return runtime.GOOS != "linux" || cmp.Or(os.Getenv("WAYLAND_DISPLAY"), os.Getenv("DISPLAY")) != ""
}

// showPage tells where the page is, and opens it.
func (p *program) showPage(site *http.Site, whose, home string, open bool) {
	p.tell("%s: %s", whose, site.Link())
	if f := site.Fingerprint(); f != "" {
		p.tell("Other machines get in with its password. SHA-256 fingerprint of its certificate, to compare before that:\n%s", f)
	}
	if !open {
		return
	}
	if err := openBrowser(home, site.Link()); err != nil {
		p.log.Debug("open the page", "err", err)
	}
}

// openBrowser opens a link by way of a file that only its owner reads: the
// arguments of a program are there for everybody on the machine to see.
func openBrowser(home, link string) error {
	path := filepath.Join(home, "page.html")
	link = html.EscapeString(link)
	page := fmt.Sprintf("<!doctype html><title>Linnet</title><meta http-equiv=refresh content=\"0; url=%s\"><a href=\"%s\">Linnet</a>\n", link, link)
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		return err
	}
	name, args := "xdg-open", []string{path}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", path}
	}
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // how it fares is the browser's business
	return nil
}

type pageCmd struct {
	NoBrowser   bool `help:"Only print the link."`
	SetPassword bool `help:"Set the password of a page that other machines reach: asked for, or a line of standard input."`
}

func (c *pageCmd) Run(p *program) error {
	if c.SetPassword {
		return p.setPagePassword()
	}
	node := p.node()
	link, err := node.Link(p.ctx)
	if err != nil {
		return err
	}
	if !c.NoBrowser && hasDisplay() {
		if err := openBrowser(p.home(), link); err != nil {
			p.log.Debug("open the page", "err", err)
		}
		if link, err = node.Link(p.ctx); err != nil { // the first one is used now
			return err
		}
	}
	if p.flags.JSON {
		return p.printJSON(map[string]string{"link": link})
	}
	_, err = fmt.Fprintln(p.stdout, link)
	return err
}

// setPagePassword works whether the node runs or not.
func (p *program) setPagePassword() error {
	password, err := p.password("", true)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.home(), 0o700); err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: "the directory of the node cannot be made", Err: err}
	}
	if err := http.SetPassword(p.home(), password); err != nil {
		return err
	}
	p.tell("The page has a new password. Browsers that are in stay in; `linnet up --web ADDR:PORT` serves it to other machines.")
	return nil
}
