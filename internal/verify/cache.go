package verify

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A Cache remembers labs that were proved, by the content of lab, grader and cluster image: when none of these has
// changed, proving again would show the same. A lab with findings is not remembered, so that it is looked at again; of its
// states, those are that were as they should be.
type Cache struct {
	// Dir is the folder that it is kept in.
	Dir string
	// Key is all but the lab that a result depends on: grader, image, how many mistakes are made up.
	Key string
}

func (c *Cache) path(name, hash string) string {
	sum := sha256.Sum256([]byte(APIVersion + "\n" + c.Key + "\n" + name + "\n" + hash))
	return filepath.Join(c.Dir, fmt.Sprintf("%x.json", sum[:16]))
}

// recall returns what is known of a lab, or nil. A file that cannot be read is as good as none.
func (c *Cache) recall(name, hash string) *Lab {
	if c == nil || hash == "" {
		return nil
	}
	b, err := os.ReadFile(c.path(name, hash))
	if err != nil {
		return nil
	}
	var l Lab
	if json.Unmarshal(b, &l) != nil || l.Name != name || l.Hash != hash || !l.Proved {
		return nil
	}
	return &l
}

// keep remembers a lab. That it cannot be remembered costs time and nothing else.
func (c *Cache) keep(hash string, l Lab) {
	if c == nil || hash == "" || !l.Proved {
		return
	}
	if b, err := json.Marshal(l); err == nil {
		c.write(c.path(l.Name, hash), b)
	}
}

// write replaces a file, which another run may be reading.
func (c *Cache) write(path string, content []byte) {
	if os.MkdirAll(c.Dir, 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(c.Dir, "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(content)
	if err := f.Close(); err != nil {
		return
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // an unfinished file is nobody's
	}
}
