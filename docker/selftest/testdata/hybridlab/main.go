// Command hybridlab is as much of the lab's binary as runs in containers,
// and a controlling process to be killed by the self-test.
package main

import (
	"context"
	"fmt"
	"os"

	"hybridlab/docker"
	"hybridlab/netem/tun"
	"hybridlab/peers/agent"
)

func main() {
	switch os.Args[1] {
	case "agent":
		os.Exit(agent.Main(os.Args[2:]))
	case "path":
		os.Exit(tun.Main(os.Args[2:]))
	case "die":
		fmt.Fprintln(os.Stderr, "dying as told")
		os.Exit(7)
	case "control":
		if err := hold(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// hold starts a network and an agent for a run, says so, and waits for
// whatever comes.
func hold(run, image string) error {
	ctx := context.Background()
	d, err := docker.Connect(ctx)
	if err != nil {
		return err
	}
	n, err := d.CreateNetwork(ctx, run)
	if err != nil {
		return err
	}
	c, err := d.Start(ctx, docker.Spec{Name: "peer", Image: image, Network: n, Binary: os.Args[0], Args: []string{"agent"}})
	if err != nil {
		return err
	}
	a, err := agent.Dial(ctx, c.Control, c.Token)
	if err != nil {
		return err
	}
	if _, err := a.Start(ctx, agent.Command{Argv: []string{"sleep", "1000"}}); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}
