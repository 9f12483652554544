// Kubernetes' own code in the place of a cluster. Both commands read JSON from standard input.
//
//	kube admit POLICIES...   requests to create pods -> what the admission policies make of each
//	kube validate            manifests -> what the API server would find wrong with each object
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var answer any
	switch {
	case len(args) > 1 && args[0] == "admit":
		answer, err = admit(args[1:], input)
	case len(args) == 1 && args[0] == "validate":
		answer, err = validate(input)
	default:
		err = fmt.Errorf("usage: kube admit POLICIES... | kube validate")
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}
