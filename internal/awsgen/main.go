// Awsgen writes the Go types and the descriptions of the AWS IoT operations
// that Muster serves, from the API model that AWS publishes inside the Go
// module github.com/aws/aws-sdk-go (Apache-2.0). It is a module of its own, so
// that the product does not depend on that SDK; its output is committed.
//
// Run it from the top of the repository, with a Go module proxy at hand:
//
//	go -C internal/awsgen run . -out ../../server/api/awsmodel
//
// To serve one more operation, add its name to the list in services.go and run
// it again. The output is the same for the same input, byte for byte. The file
// gen.sum in the output folder holds the hashes of the generator's sources and
// of every file it wrote: a test of package awsmodel compares them without a
// network, so a change to either side without a new run is noticed.
//
// The published model ended before some operations that AWS has today. Folder
// supplement holds them in the same format, from the AWS IoT reference.
//
// Flow: load.go reads the model and its supplement, reach.go keeps what the listed operations
// need, types.go and describe.go print it, sum.go records the hashes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "folder of package awsmodel")
	flag.Parse()
	if *out == "" {
		fmt.Fprintln(os.Stderr, "awsgen: -out is missing")
		os.Exit(2)
	}
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "awsgen:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	models, err := modelFolder()
	if err != nil {
		return err
	}
	var written []string
	for _, svc := range services() {
		m, err := load(filepath.Join(models, svc.model, "api-2.json"))
		if err != nil {
			return err
		}
		if err := m.supplement(filepath.Join("supplement", svc.name+".json")); err != nil {
			return err
		}
		kept, err := reach(m, svc.operations)
		if err != nil {
			return fmt.Errorf("service %s: %w", svc.name, err)
		}
		for name, print := range map[string]func(service, part) ([]byte, error){
			"types_gen.go": printTypes, "describe_gen.go": printDescription,
		} {
			text, err := print(svc, kept)
			if err != nil {
				return fmt.Errorf("service %s: %w", svc.name, err)
			}
			path := filepath.Join(svc.name, name)
			if err := os.WriteFile(filepath.Join(out, path), text, 0o644); err != nil {
				return err
			}
			written = append(written, path)
		}
	}
	return writeSum(out, written)
}
