package naivetest

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Fuzz runs a property with draws that are steered by coverage. The draws take
// their bits from the input, and an input that is used up is no test, so the
// fuzzer is given some that are long enough for a life of many steps.
func Fuzz(f *testing.F, property func(*rapid.T)) {
	const inputs, length = 4, 64 << 10
	for seed := range uint64(inputs) {
		rng, input := rand.New(rand.NewPCG(seed, 1)), make([]byte, length)
		for i := range input {
			input[i] = byte(rng.Uint32())
		}
		f.Add(input)
	}
	f.Fuzz(rapid.MakeFuzz(property))
}
