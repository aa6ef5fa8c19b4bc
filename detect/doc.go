// Package detect tells the traffic of the classic network, and of networks
// made like it, from other traffic in captures.
//
// It has the two methods of Bonfiglio, Mellia, Meo, Rossi and Tofanelli,
// "Revealing Skype traffic: when randomness plays with you" (SIGCOMM 2007), as
// they were published and as corrected (docs/detection.md says where and why),
// and a third one for signalling, which theirs cannot see:
//
//	chi2.go      which nibbles of a flow's messages are random, fixed or between: end to end, to a gateway, TCP
//	bayes.go     do sizes and gaps look like a voice codec's: naive Bayes
//	voice.go     both together: a flow is a call
//	endpoint.go  many short flows of one address and port together: signalling
//	flow.go      the flows, in bounded memory
//
// Nothing here reads files (package detect/capture), decrypts, or looks at
// more than the first 8 bytes, the length and the time of a message.
package detect
