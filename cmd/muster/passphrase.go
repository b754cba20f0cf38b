package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/muster-iot/muster/firmware/sign"
)

// passphraseVar is the environment variable that holds the passphrase. There
// is no flag for it: other users can see a command line.
const passphraseVar = "MUSTER_PASSPHRASE"

// maxPassphrase bounds what is read of a passphrase file.
const maxPassphrase = 4 << 10

// passphrase comes from the named file, the environment or the terminal, in
// this order. A new one is asked for twice.
func passphrase(c *cobra.Command, file string, fresh bool) ([]byte, error) {
	pass, err := readPassphrase(c, file, fresh)
	if err != nil {
		return nil, err
	}
	if fresh && len(pass) < sign.MinPassphrase {
		return nil, fmt.Errorf("the passphrase is shorter than %d characters; choose a longer one", sign.MinPassphrase)
	}
	return pass, nil
}

func readPassphrase(c *cobra.Command, file string, fresh bool) ([]byte, error) {
	if file != "" {
		return passphraseFile(file)
	}
	if pass := os.Getenv(passphraseVar); pass != "" {
		return []byte(pass), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, fmt.Errorf("no terminal to ask for the passphrase; use --passphrase-file or %s", passphraseVar)
	}
	pass, err := ask(c, "Passphrase of the firmware key: ")
	if err != nil || !fresh {
		return pass, err
	}
	again, err := ask(c, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(pass, again) {
		return nil, errors.New("the two passphrases differ; nothing was made")
	}
	return pass, nil
}

func passphraseFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the passphrase: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err != nil {
		return nil, fmt.Errorf("cannot read the passphrase: %w", err)
	}
	return bytes.TrimRight(data, "\r\n"), nil
}

func ask(c *cobra.Command, prompt string) ([]byte, error) {
	fmt.Fprint(c.ErrOrStderr(), prompt)
	pass, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(c.ErrOrStderr())
	if err != nil {
		return nil, fmt.Errorf("cannot read the passphrase: %w", err)
	}
	return pass, nil
}
