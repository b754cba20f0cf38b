//go:build linux || darwin || freebsd

package inventory

import "golang.org/x/sys/unix"

// freeDisk returns what an unprivileged user may still write, in bytes.
func freeDisk(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
