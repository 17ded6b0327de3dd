package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

const (
	target = "secretsmanager."
	// maxValue is the longest value, in bytes.
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
	maxValue = 65536
	// maxName is the longest name, in bytes.
	maxName = 512
	// maxBody bounds a request: a value escaped to six bytes a byte, and the rest.
	maxBody = 6*maxValue + 64<<10
	current = "AWSCURRENT"
)

// apiError is an error of the protocol.
type apiError struct {
	status  int
	kind    string
	message string
}

func (e *apiError) Error() string { return e.message }

// input is the union of what the four operations take.
type input struct {
	SecretID           string `json:"SecretId"`
	Name               string
	Description        string
	SecretString       *string
	SecretBinary       *string
	ClientRequestToken string
	VersionID          string `json:"VersionId"`
	VersionStage       string
}

// output is the union of what they answer.
type output struct {
	ARN           string
	Name          string
	Description   string              `json:",omitempty"`
	VersionID     string              `json:"VersionId,omitempty"`
	VersionStages []string            `json:",omitempty"`
	SecretString  *string             `json:",omitempty"`
	CreatedDate   float64             `json:",omitempty"`
	LastChanged   float64             `json:"LastChangedDate,omitempty"`
	Versions      map[string][]string `json:"VersionIdsToStages,omitempty"`
}

// ServeHTTP answers one call of the protocol (AWS JSON 1.1).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.call(r)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err == nil {
		_ = json.NewEncoder(w).Encode(out)
		return
	}
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{http.StatusInternalServerError, "InternalServiceError", err.Error()}
	}
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": e.kind, "Message": e.message})
}

func (s *Server) call(r *http.Request) (*output, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok || r.Method != http.MethodPost {
		return nil, &apiError{http.StatusBadRequest, "UnknownOperationException", "This is Secrets Manager: POST with X-Amz-Target"}
	}
	op := map[string]func(*Server, input) (*output, error){
		"GetSecretValue": (*Server).getSecretValue,
		"PutSecretValue": (*Server).putSecretValue,
		"CreateSecret":   (*Server).createSecret,
		"DescribeSecret": (*Server).describeSecret,
	}[name]
	if op == nil {
		return nil, &apiError{http.StatusBadRequest, "UnknownOperationException", "The local Secrets Manager does not know " + name}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, &apiError{http.StatusBadRequest, "InvalidRequestException", "The body cannot be read"}
	}
	var in input
	if len(body) > maxBody || json.NewDecoder(bytes.NewReader(body)).Decode(&in) != nil {
		return nil, &apiError{http.StatusBadRequest, "SerializationException", "The body is not the JSON of " + name}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op(s, in)
}

func invalid(message string) error {
	return &apiError{http.StatusBadRequest, "InvalidParameterException", message}
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (s *Server) getSecretValue(in input) (*output, error) {
	name, r, err := s.find(in.SecretID)
	if err != nil {
		return nil, err
	}
	if !r.HasValue || in.VersionID != "" && in.VersionID != r.Version || in.VersionStage != "" && in.VersionStage != current {
		return nil, &apiError{http.StatusBadRequest, "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value; the local one keeps the current version only."}
	}
	return &output{ARN: arn(name), Name: name, VersionID: r.Version, VersionStages: []string{current},
		SecretString: &r.Value, CreatedDate: seconds(r.Changed)}, nil
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (s *Server) putSecretValue(in input) (*output, error) {
	name, r, err := s.find(in.SecretID)
	if err != nil {
		return nil, err
	}
	if err := checkValue(in, true); err != nil {
		return nil, err
	}
	if r.HasValue && in.ClientRequestToken == r.Version && *in.SecretString != r.Value {
		return nil, &apiError{http.StatusBadRequest, "ResourceExistsException", "A version with this ClientRequestToken and another value exists."}
	}
	r.setValue(name, in, s.now().UnixMilli())
	if err := s.store(name, r); err != nil {
		return nil, err
	}
	return &output{ARN: arn(name), Name: name, VersionID: r.Version, VersionStages: []string{current}}, nil
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func (s *Server) createSecret(in input) (*output, error) {
	if in.Name == "" || len(in.Name) > maxName || strings.IndexFunc(in.Name, notInName) >= 0 {
		return nil, invalid("Invalid name. Must be 1 to 512 letters, digits and /_+=.@-")
	}
	if err := checkValue(in, false); err != nil {
		return nil, err
	}
	if _, _, err := s.find(in.Name); err == nil {
		return nil, &apiError{http.StatusBadRequest, "ResourceExistsException", "The operation failed because the secret " + in.Name + " already exists."}
	}
	r := record{Description: in.Description, Created: s.now().UnixMilli()}
	out := &output{ARN: arn(in.Name), Name: in.Name}
	if in.SecretString != nil {
		r.setValue(in.Name, in, r.Created)
		out.VersionID = r.Version
	}
	if err := s.store(in.Name, r); err != nil {
		return nil, err
	}
	return out, nil
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func (s *Server) describeSecret(in input) (*output, error) {
	name, r, err := s.find(in.SecretID)
	if err != nil {
		return nil, err
	}
	out := &output{ARN: arn(name), Name: name, Description: r.Description, CreatedDate: seconds(r.Created), LastChanged: seconds(r.Changed)}
	if r.HasValue {
		out.Versions = map[string][]string{r.Version: {current}}
	}
	return out, nil
}

func (r *record) setValue(name string, in input, now int64) {
	r.Value, r.HasValue, r.Changed = *in.SecretString, true, now
	r.Version = in.ClientRequestToken
	if r.Version == "" {
		r.Version = versionOf(name, now)
	}
}

func notInName(c rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-", c)
}

func checkValue(in input, required bool) error {
	switch {
	case in.SecretBinary != nil:
		return invalid("The local Secrets Manager keeps text only: use SecretString, not SecretBinary.")
	case in.SecretString == nil && required:
		return invalid("You must provide SecretString.")
	case in.SecretString != nil && (*in.SecretString == "" || len(*in.SecretString) > maxValue):
		return invalid("SecretString must have 1 to 65536 bytes.")
	}
	return nil
}

// seconds is a time as AWS JSON writes it.
func seconds(ms int64) float64 { return float64(ms) / 1000 }
