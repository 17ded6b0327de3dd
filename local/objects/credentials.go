package objects

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// credentials are the server's root credentials.
type credentials struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// loadCredentials reads the file, or makes new credentials and writes it.
func loadCredentials(path string) (credentials, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		c := credentials{AccessKey: "BLOOM" + rand.Text()[:15], SecretKey: rand.Text() + rand.Text()}
		b, err := json.Marshal(c)
		if err != nil {
			return credentials{}, err
		}
		return c, datadir.WriteFile(path, append(b, '\n'))
	}
	if err != nil {
		return credentials{}, err
	}
	var c credentials
	if err := json.Unmarshal(b, &c); err != nil || c.AccessKey == "" || c.SecretKey == "" {
		return credentials{}, fmt.Errorf("%s is damaged: remove it and new credentials are made; presigned links given out before end", path)
	}
	return c, nil
}
