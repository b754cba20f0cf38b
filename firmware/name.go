package firmware

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	productForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	versionForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)
	hardwareForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._,:+-]{0,127}$`)
	segmentForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
)

// CheckProduct refuses a product name that is not 1 to 64 of [a-z0-9_-],
// starting with a letter or digit.
func CheckProduct(name string) error {
	if !productForm.MatchString(name) {
		return fmt.Errorf("product %.80q is not 1 to 64 of a-z, 0-9, _ and -", name)
	}
	return nil
}

// CheckVersion refuses a version that is not 1 to 64 of [A-Za-z0-9._+-],
// starting with a letter or digit.
func CheckVersion(version string) error {
	if !versionForm.MatchString(version) {
		return fmt.Errorf("version %.80q is not 1 to 64 of A-Z, a-z, 0-9, and . _ + -", version)
	}
	return nil
}

// CheckHardwareID refuses a hardware id that is not 1 to 128 of
// [A-Za-z0-9._,:+-], the characters of device-tree compatible strings.
func CheckHardwareID(id string) error {
	if !hardwareForm.MatchString(id) {
		return fmt.Errorf("hardware id %.80q is not 1 to 128 of A-Z, a-z, 0-9, and . _ , : + -", id)
	}
	return nil
}

// CheckPath refuses a target path that is not "<product>/<file>", at most
// three parts of plain characters. What passes cannot leave a folder or name
// a hidden file on any system.
func CheckPath(p string) error {
	parts := strings.Split(p, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return fmt.Errorf("target path %.120q is not product/file", p)
	}
	if err := CheckProduct(parts[0]); err != nil {
		return fmt.Errorf("target path %.120q: %w", p, err)
	}
	for _, part := range parts[1:] {
		if !segmentForm.MatchString(part) {
			return fmt.Errorf("target path %.120q has a part that is not 1 to 128 of A-Z, a-z, 0-9, and . _ + -", p)
		}
	}
	return nil
}
