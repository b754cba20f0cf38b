package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	//lint:ignore SA1019 the models are in this module alone, deprecated or not
	"github.com/aws/aws-sdk-go/aws"
)

// model is the part of an api-2.json file that the generator uses.
type model struct {
	Metadata struct {
		APIVersion  string
		SigningName string
	}
	Operations map[string]operation
	Shapes     map[string]shape
}

type operation struct {
	HTTP struct {
		Method     string
		RequestURI string
	}
	Input, Output ref
	Errors        []ref
}

type ref struct {
	Shape        string
	Location     string
	LocationName string
}

type shape struct {
	Type     string
	Required []string
	Members  members
	Member   ref // of a list
	Key      ref // of a map
	Value    ref // of a map
	Min, Max *float64
	Pattern  string
	Enum     []string
	Payload  string
	Error    struct{ HTTPStatusCode int }
	Fault    bool
}

type member struct {
	name string
	ref
}

// members keeps the order of the model, which a map would lose.
type members []member

func (m *members) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		one := member{name: name.(string)}
		if err := dec.Decode(&one.ref); err != nil {
			return err
		}
		*m = append(*m, one)
	}
	return nil
}

// modelFolder returns the folder of the models in the module cache. The SDK
// is linked for its version alone, which keeps it in go.mod.
func modelFolder() (string, error) {
	const module = "github.com/aws/aws-sdk-go"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("cannot find %s %s: %w", module, aws.SDKVersion, err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "models", "apis"), nil
}

func load(path string) (*model, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("cannot read model %s: %w", path, err)
	}
	return m, nil
}

// supplement adds the operations and shapes of a file to the model, in place
// of those of the same name. A service without such a file needs none.
func (m *model) supplement(path string) error {
	more, err := load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	maps.Copy(m.Operations, more.Operations)
	maps.Copy(m.Shapes, more.Shapes)
	return nil
}
