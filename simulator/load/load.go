// Package load says when virtual things act and keeps how long what they did
// took: a tree of random sources below one seed, ramps, and latency
// histograms. It owns no device and no connection. Read on in seed.go (one
// seed, many sources), ramp.go (when) and recorder.go (how long).
package load
