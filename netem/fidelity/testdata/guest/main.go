// Command guest is the first process of the user-mode kernel.
package main

import (
	"os"
	"strconv"

	"hybridlab/docker"
	"hybridlab/netem/fidelity"
)

func main() {
	times, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err) // which the kernel's console shows
	}
	fidelity.Guest(docker.AnswerFile, times)
}
