// Package walkthrough runs the console transcripts of the documentation: the
// real aws CLI as operator, Mosquitto's clients as devices, the real musterd
// as server. A transcript is Markdown whose console blocks hold commands and
// what they print, so what a reader types is what is tested.
//
// It owns the format of the transcripts and how their output is compared;
// the transcripts are docs/walkthrough.md, which the README shows, and the
// files in testdata. It holds no code besides its tests:
//
//	go test ./internal/walkthrough           # run them and compare
//	go test ./internal/walkthrough -update   # write down what they print now
//	go test ./internal/walkthrough -run TestTranscripts/walkthrough -profile aws
//
// Without an aws CLI (MUSTER_AWS, else /usr/bin/aws) or Mosquitto's clients the
// tests are skipped, but fail where CI is true.
package walkthrough
