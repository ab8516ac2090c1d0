package rig

import (
	"hybridlab/netem/tun"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// Hidden runs a hidden subcommand if args name one: the in-container agent,
// the path engine, the Go peers, what runs in middleboxes. The same binary is
// all of them, so that any image can be a peer without being rebuilt; a test
// binary that calls this first can be copied into containers as well.
func Hidden(args []string) (exit int, ok bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case "agent":
		return agent.Main(args[1:]), true
	case "path":
		return tun.Main(args[1:]), true
	case "peer":
		return peers.Main(args[1:]), true
	case "middlebox":
		return peers.MiddleboxMain(args[1:]), true
	}
	return 0, false
}
