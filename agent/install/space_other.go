//go:build !unix

package install

import "math"

func freeSpace(string) (int64, error) { return math.MaxInt64, nil }
