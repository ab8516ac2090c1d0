// Package selftest proves on the machine it runs on that a container fabric
// tests what it claims to: that peers reach each other through the path engine
// and nothing else, that the engine sees packets as a wire would carry them,
// and that nothing is left behind, however the lab ends. It has tests only;
// they need a Docker daemon and the build tag "docker":
//
//	go test -count=1 -tags docker ./docker/...
//	go test -count=1 -tags docker -run xxx -bench . ./docker/selftest
package selftest
