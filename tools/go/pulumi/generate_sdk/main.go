// Generates the SDK of a Pulumi package for one language, as `pulumi package gen-sdk` does,
// without the language's plugin:
//
//	generate_sdk nodejs schema.json folder
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	golang "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const generator = "ai4h"

// standalone refuses to load other packages: the schema must say everything itself.
type standalone struct{ schema.ReferenceLoader }

func (standalone) LoadPackageV2(
	_ context.Context, other *schema.PackageDescriptor,
) (*schema.Package, error) {
	return nil, fmt.Errorf("the schema refers to the package %s", other.Name)
}

func (standalone) LoadPackageReferenceV2(
	_ context.Context, other *schema.PackageDescriptor,
) (schema.PackageReference, error) {
	return nil, fmt.Errorf("the schema refers to the package %s", other.Name)
}

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: generate_sdk nodejs|python|go schema.json folder"))
	}
	pkg, err := load(os.Args[2])
	fail(err)
	files, err := generate(os.Args[1], pkg)
	fail(err)
	fail(write(os.Args[3], files))
}

// load reads a schema and checks it against Pulumi's own rules.
func load(path string) (*schema.Package, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pkg, diagnostics, err := schema.BindSpec(spec, standalone{}, schema.ValidationOptions{})
	if err != nil {
		return nil, err
	}
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	return pkg, nil
}

func generate(language string, pkg *schema.Package) (map[string][]byte, error) {
	switch language {
	case "nodejs":
		return nodejs.GeneratePackage(generator, pkg, nil, nil, true, standalone{})
	case "python":
		return python.GeneratePackage(generator, pkg, nil, standalone{})
	case "go":
		return golang.GeneratePackage(generator, pkg, nil)
	default:
		return nil, fmt.Errorf("no generator for %q: nodejs, python or go", language)
	}
}

func write(folder string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate_sdk:", err)
		os.Exit(1)
	}
}
