package stacktest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
)

// Download follows the artifact's download_url, without a key, and checks the
// bytes against its size and sha256.
func Download(ctx context.Context, c *Client, a Artifact) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.DownloadURL, nil)
	if err != nil {
		return nil, fmt.Errorf("download_url %q: %w", a.DownloadURL, err)
	}
	resp, err := c.Send(req)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(resp.Body)
	if resp.Status != http.StatusOK || int64(len(resp.Body)) != a.Size || hex.EncodeToString(sum[:]) != a.SHA256 {
		return nil, fmt.Errorf("artifact %s of %d bytes, sha256 %s: downloaded %s", a.ID, a.Size, a.SHA256, resp)
	}
	return resp.Body, nil
}
