package reports

import (
	"fmt"
	"io"

	"hybridlab/lab/evidence"
)

// Checks prints a line for each check of a bundle.
func Checks(w io.Writer, checks []evidence.Check) error {
	for _, c := range checks {
		word, said := "ok    ", text(c.Note)
		switch {
		case c.Err != nil:
			word, said = "WRONG ", text(c.Err.Error())
		case !c.Passed:
			word = "-     "
		}
		if _, err := fmt.Fprintf(w, "%s%s: %s\n", word, name(c.What), said); err != nil {
			return err
		}
	}
	return nil
}
