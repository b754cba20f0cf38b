package firmware

import (
	"fmt"
	"strconv"
	"strings"
)

// SeqOf returns the release counter that a version stands for when the
// operator gives none: major*10000 + minor*100 + patch. So "6" is 60000,
// "5.1" is 50100 and "5.1.0" the same. It answers only for one to three
// numbers, the second and third below 100; other versions need a counter of
// their own, because their order cannot be known.
func SeqOf(version string) (int64, error) {
	nums, err := numbers(version)
	if err != nil {
		return 0, err
	}
	seq := nums[0]*10000 + nums[1]*100 + nums[2]
	if nums[1] > 99 || nums[2] > 99 || nums[0] > maxSeq/10000-1 || seq == 0 {
		return 0, fmt.Errorf("version %.80q has no default release counter", version)
	}
	return seq, nil
}

// CompareVersions orders two versions of one to three numbers ("1.2" equals
// "1.2.0"); anything else is an error.
func CompareVersions(a, b string) (int, error) {
	x, err := numbers(a)
	if err != nil {
		return 0, err
	}
	y, err := numbers(b)
	if err != nil {
		return 0, err
	}
	for i := range x {
		switch {
		case x[i] < y[i]:
			return -1, nil
		case x[i] > y[i]:
			return 1, nil
		}
	}
	return 0, nil
}

// numbers reads "6", "v6", "5.1" or "5.1.0".
func numbers(version string) ([3]int64, error) {
	var out [3]int64
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) > len(out) {
		return out, fmt.Errorf("version %.80q has more than three numbers", version)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 48)
		if err != nil {
			return out, fmt.Errorf("version %.80q is not made of one to three numbers", version)
		}
		out[i] = int64(n)
	}
	return out, nil
}
