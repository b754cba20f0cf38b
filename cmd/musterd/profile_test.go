package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProfiles: the profile and its limits come in every way that a setting
// does, are told at the start, and are in force.
func TestProfiles(t *testing.T) {
	const long = "thingName:(a OR b OR c OR d OR e OR f OR g OR h OR i OR j OR k OR l OR m)" // 13 terms
	for _, row := range []struct {
		name      string
		file      string
		env, args []string
		profile   string
		indexed   bool // from the first start (rule 23)
		terms     int  // status of a query of 13 terms (rule 24)
	}{
		{name: "default", profile: "safe", indexed: true, terms: 200},
		{name: "flag", args: []string{"--profile", "aws"}, profile: "aws", terms: 400},
		{name: "environment", env: []string{"MUSTER_PROFILE=aws"}, profile: "aws", terms: 400},
		{name: "file", file: "profile: aws\n", profile: "aws", terms: 400},
		{name: "without the limits", args: []string{"--profile", "aws", "--aws-limits=false"}, profile: "aws", terms: 200},
		{name: "without the limits by the environment", env: []string{"MUSTER_PROFILE=aws", "MUSTER_AWS_LIMITS=false"}, profile: "aws", terms: 200},
		{name: "without the limits by the file", file: "profile: aws\naws-limits: false\n", profile: "aws", terms: 200},
		{name: "the limits alone", args: []string{"--aws-limits"}, profile: "safe", indexed: true, terms: 400},
		{name: "the limits alone by the file", file: "aws-limits: true\n", profile: "safe", indexed: true, terms: 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append(free(), row.args...)
			if row.file != "" {
				if err := os.WriteFile(filepath.Join(dir, "muster.yaml"), []byte(row.file), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--config", "muster.yaml")
			}
			p := start(t, dir, row.env, args...)
			indexed, _, _ := p.call(t, http.MethodGet, "/indices/AWS_Things", "")
			if want := map[bool]int{true: 200, false: 404}[row.indexed]; indexed != want {
				t.Errorf("DescribeIndex at the first start: %d, want %d", indexed, want)
			}
			p.must(t, http.MethodPost, "/indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY"}}`)
			for p.must(t, http.MethodGet, "/indices/AWS_Things", "")["indexStatus"] != "ACTIVE" {
			}
			status, _, _ := p.call(t, http.MethodPost, "/indices/search", `{"queryString":"`+long+`"}`)
			if status != row.terms {
				t.Errorf("a query of 13 terms: %d, want %d", status, row.terms)
			}
			if code := p.stop(t, os.Interrupt); code != 0 {
				t.Errorf("exit status %d", code)
			}
			if log := p.log.String(); !strings.Contains(log, "profile="+row.profile) {
				t.Errorf("the log does not name profile %s:\n%s", row.profile, log)
			}
		})
	}
}
