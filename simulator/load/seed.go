package load

import (
	"hash/fnv"
	"math/rand/v2"
)

// Derive returns the seed of a path below a seed. Paths are independent of
// each other: a device or a fault more does not change the draws of others.
func Derive(seed uint64, path ...string) uint64 {
	h := fnv.New64a()
	var b [8]byte
	for i := range b {
		b[i] = byte(seed >> (8 * i))
	}
	h.Write(b[:])
	for _, part := range path {
		h.Write([]byte{0})
		h.Write([]byte(part))
	}
	return mix(h.Sum64())
}

// mix spreads neighbouring values apart (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Rand returns the random source of a path below a seed. It is for one
// goroutine.
func Rand(seed uint64, path ...string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, Derive(seed, path...)))
}
