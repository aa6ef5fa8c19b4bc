package main

import (
	"bufio"
	"bytes"
	"context"
	"io/fs"
	"os/exec"
	"strings"

	"github.com/linnet-p2p/linnet"
)

// rulesOfThisMachine are the kernel's packet filter as nft prints it; "" where there
// is none or only root may see it.
func rulesOfThisMachine(ctx context.Context) string {
	rules, err := exec.CommandContext(ctx, "nft", "list", "ruleset").Output()
	if err != nil {
		return ""
	}
	return string(rules)
}

// firewall says whether one of this machine may be why something else is wrong.
func firewall(root fs.FS, rules string, others []linnet.Finding) linnet.Finding {
	f := linnet.Finding{About: "firewall", State: linnet.VerdictGood}
	name, do := firewallOf(root, rules)
	if name == "" {
		f.Text = "none is on, as far as this user may see"
		return f
	}
	f.Text = name + " is on, and lets this node's packets pass"
	for _, o := range others {
		if (o.About == "supernodes" || o.About == "reachable") && o.State != linnet.VerdictGood {
			f.State, f.Text, f.Do = linnet.VerdictWarning, name+" is on, and may be why something above is wrong", do
		}
	}
	return f
}

// firewallOf names the firewall that is on, and how it is told to let Linnet pass.
func firewallOf(root fs.FS, rules string) (name, do string) {
	if conf, err := fs.ReadFile(root, "etc/ufw/ufw.conf"); err == nil {
		for line := range bytes.Lines(conf) {
			if strings.EqualFold(strings.TrimSpace(string(line)), "ENABLED=yes") {
				return "ufw", "`sudo ufw allow PORT` with the port of --listen, and `sudo ufw default allow outgoing`"
			}
		}
	}
	if _, err := fs.Stat(root, "run/firewalld"); err == nil {
		return "firewalld", "`sudo firewall-cmd --add-port=PORT/udp --add-port=PORT/tcp` with the port of --listen"
	}
	lines := bufio.NewScanner(strings.NewReader(rules))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		for i, w := range words {
			w = strings.TrimSuffix(w, ";")
			if w == "drop" || w == "reject" && (i == 0 || words[i-1] != "jump") {
				return "a packet filter (nft)", "look at `sudo nft list ruleset` for rules that drop UDP, or TCP to ports 80, 443 and the supernodes'"
			}
		}
	}
	return "", ""
}
