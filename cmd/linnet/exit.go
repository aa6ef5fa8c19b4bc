package main

import "github.com/linnet-p2p/linnet"

// exitInterrupted is what a shell gives for a program that Ctrl-C ended.
const exitInterrupted = 130

// exitCodes are documented in docs/operating.md and never change their meaning.
var exitCodes = map[linnet.Code]int{
	linnet.CodeFailed:      1,
	linnet.CodeUsage:       2,
	linnet.CodeNotRunning:  3,
	linnet.CodeNoNetwork:   4,
	linnet.CodeNotSignedIn: 5,
	linnet.CodePassword:    6,
	linnet.CodeTooSoon:     7,
	linnet.CodeTaken:       8,
	linnet.CodeInvite:      9,
	linnet.CodeNotFound:    10,
	linnet.CodeOffline:     11,
	linnet.CodeBusy:        12,
	linnet.CodeRejected:    13,
	linnet.CodeNoAnswer:    14,
	linnet.CodeLost:        15,
	linnet.CodeBadFile:     16,
	linnet.CodeDisk:        17,
	linnet.CodeInUse:       18,
	linnet.CodeClosed:      19,
	linnet.CodeClock:       20,
}

func exitCode(c linnet.Code) int {
	if n, ok := exitCodes[c]; ok {
		return n
	}
	return exitCodes[linnet.CodeFailed]
}
