//go:build !unix

package sign

// lock does nothing on systems without flock: there one command at a time is
// the operator's care.
func (w *Workspace) lock() (unlock func(), err error) { return func() {}, nil }
