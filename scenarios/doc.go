// Package scenarios holds the matrices as Go tables: which groups meet which,
// over which links, at which level of thoroughness. The Ginkgo suite in this
// folder runs them one It per cell; the CLI runs the same plan without
// Ginkgo. Both give the same verdicts for the same plan and seed.
//
// One more case is one row here.
package scenarios
