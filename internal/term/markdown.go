package term

import (
	_ "embed"
	"fmt"

	"charm.land/glamour/v2"
	"github.com/charmbracelet/x/ansi"
)

// markdownStyle keeps to the 16 ANSI colours: glamour's own styles paint over the learner's theme.
//
//go:embed markdown.json
var markdownStyle []byte

// Markdown returns text as the output stream shows it best: laid out for a terminal, and untouched in a pipe, where
// Markdown is already the better format.
func (o *IO) Markdown(text string) (string, error) {
	if !o.OutView.Terminal {
		return text, nil
	}
	renderer, err := glamour.NewTermRenderer(glamour.WithStylesFromJSONBytes(markdownStyle), glamour.WithWordWrap(o.OutView.Width))
	if err != nil {
		return "", fmt.Errorf("rendering Markdown: %w", err)
	}
	rendered, err := renderer.Render(text)
	if err != nil {
		return "", fmt.Errorf("rendering Markdown: %w", err)
	}
	if !o.OutView.Color {
		rendered = ansi.Strip(rendered)
	}
	return rendered, nil
}
