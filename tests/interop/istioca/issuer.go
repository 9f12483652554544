package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// issuer is what a Kubernetes API server is to istiod: it signs tokens and publishes its keys.
type issuer struct {
	key     *rsa.PrivateKey
	address string
}

func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &issuer{key: key, address: listener.Addr().String()}
	go func() { log.Print(http.Serve(listener, http.HandlerFunc(i.serveKeys))) }()
	return i, nil
}

func (i *issuer) name() string { return "http://" + i.address }

func (i *issuer) keysURL() string { return i.name() + "/keys" }

func text(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func (i *issuer) serveKeys(answer http.ResponseWriter, _ *http.Request) {
	answer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(answer).Encode(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1",
		"n": text(i.key.N.Bytes()), "e": text(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}

// token is a JWT (RFC 7519) for `subject`, valid for a day.
func (i *issuer) token(subject, audience string) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": "1"})
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": i.name(), "sub": subject, "aud": []string{audience},
		"iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := text(header) + "." + text(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return signed + "." + text(signature), nil
}
