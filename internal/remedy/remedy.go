// Package remedy carries what to do about an error beside the error itself, from the place that knows it to the one
// place that prints it.
package remedy

import "errors"

type remedied struct {
	error
	remedy string
}

func (r *remedied) Unwrap() error { return r.error }

// New attaches to err what the user can do about it: a short imperative phrase without a full stop.
func New(err error, remedy string) error {
	return &remedied{error: err, remedy: remedy}
}

// Of returns the outermost remedy in err's chain, or "" where there is none.
func Of(err error) string {
	if found, ok := errors.AsType[*remedied](err); ok {
		return found.remedy
	}
	return ""
}
