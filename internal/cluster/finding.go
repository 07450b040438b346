package cluster

// Level is how much a finding matters.
type Level string

// The levels, from good to bad.
const (
	OK    Level = "ok"
	Warn  Level = "warn"  // works, but look at it
	Error Level = "error" // will not work
)

// Finding is one thing doctor or status looked at.
type Finding struct {
	ID     string `json:"id"` // stable, for programs
	Level  Level  `json:"level"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"` // what to do; empty when the level is ok
}
