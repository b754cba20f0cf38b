//go:build linux || darwin || freebsd

package install

import "golang.org/x/sys/unix"

// freeSpace returns what may still be written to a folder's disk, in bytes.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil
}
