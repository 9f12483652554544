// Istio's certificate service without a cluster: its CA, its JWT authenticator and its gRPC server,
// all from istio.io/istio. It issues its own tokens, whose keys it serves on a loopback port.
//
//	istio-ca -listen ADDR -directory DIR -subject NAMESPACE/NAME [-ttl D]
//
// DIR gets roots.pem (of the CA) and token (a JWT of that service account); "listening" on standard
// error says that both are there.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/api/security/v1beta1"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/pki/ca"
	caserver "istio.io/istio/security/pkg/server/ca"
	"istio.io/istio/security/pkg/server/ca/authenticate"
)

const (
	trustDomain = "example.org"
	audience    = "istio-ca"
	serverName  = "istiod.istio-system.svc"
)

func newCA(ttl time.Duration) (*ca.IstioCA, error) {
	options, err := ca.NewSelfSignedDebugIstioCAOptions("", 24*time.Hour, ttl, ttl, trustDomain, 2048)
	if err != nil {
		return nil, err
	}
	return ca.NewIstioCA(options)
}

// newServer makes the gRPC server with a certificate of the CA itself, as istiod has it.
func newServer(authority *ca.IstioCA, ttl time.Duration, issuer *issuer) (*grpc.Server, error) {
	chain, key, err := authority.GenKeyCert([]string{serverName}, time.Hour, false)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	watcher := meshwatcher.NewTestWatcher(&meshconfig.MeshConfig{TrustDomain: trustDomain})
	rule := &v1beta1.JWTRule{Issuer: issuer.name(), JwksUri: issuer.keysURL(),
		Audiences: []string{audience}}
	authenticator, err := authenticate.NewJwtAuthenticator(rule, watcher)
	if err != nil {
		return nil, err
	}
	service, err := caserver.New(authority, ttl, []security.Authenticator{authenticator}, nil)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	service.Register(server)
	return server, nil
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "where the service listens")
	directory := flag.String("directory", ".", "where roots.pem and token are written")
	subject := flag.String("subject", "default/app", "whose token: NAMESPACE/NAME")
	ttl := flag.Duration("ttl", time.Hour, "how long certificates last, unless asked for less")
	flag.Parse()
	namespace, name, found := strings.Cut(*subject, "/")
	if !found {
		return fmt.Errorf("-subject %q is not NAMESPACE/NAME", *subject)
	}
	authority, err := newCA(*ttl)
	if err != nil {
		return err
	}
	issuer, err := newIssuer()
	if err != nil {
		return err
	}
	server, err := newServer(authority, *ttl, issuer)
	if err != nil {
		return err
	}
	token, err := issuer.token("system:serviceaccount:"+namespace+":"+name, audience)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	roots := authority.GetCAKeyCertBundle().GetRootCertPem()
	if err := os.WriteFile(filepath.Join(*directory, "roots.pem"), roots, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*directory, "token"), []byte(token), 0o644); err != nil {
		return err
	}
	log.Print("listening")
	return server.Serve(listener)
}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
