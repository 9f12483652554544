// Peers of the agent that share no code with it: Go's crypto/tls and net/http, go-spiffe for
// certificates and verification.
//
//	spiffe-peer mtls-server  -endpoint URI -peer ID -listen ADDR
//	spiffe-peer mtls-client  -endpoint URI -peer ID -address ADDR
//	spiffe-peer hbone-server -endpoint URI -peer ID -listen ADDR -deliver ADDR
//	spiffe-peer hbone-client -endpoint URI -peer ID -address ADDR -authority HOST:PORT
//
// The mtls-server sends back what it gets. The hbone-server is the end of a tunnel: every CONNECT
// reaches `-deliver`. The clients join their standard input and output to the connection. Standard
// error says "listening", and who came.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type options struct {
	endpoint, peer, listen, address, deliver, authority string
}

type peer struct {
	options
	source   *workloadapi.X509Source
	accepted tlsconfig.Authorizer
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&o.endpoint, "endpoint", "", "the Workload API")
	flags.StringVar(&o.peer, "peer", "", "the SPIFFE ID that the other side must have")
	flags.StringVar(&o.listen, "listen", "", "where a server listens")
	flags.StringVar(&o.address, "address", "", "where a client connects")
	flags.StringVar(&o.deliver, "deliver", "", "where the hbone-server connects")
	flags.StringVar(&o.authority, "authority", "", "what the hbone-client asks for")
	return o, flags.Parse(args[1:])
}

func newPeer(ctx context.Context, o options) (*peer, error) {
	id, err := spiffeid.FromString(o.peer)
	if err != nil {
		return nil, err
	}
	source, err := workloadapi.NewX509Source(ctx,
		workloadapi.WithClientOptions(workloadapi.WithAddr(o.endpoint)))
	if err != nil {
		return nil, err
	}
	return &peer{options: o, source: source, accepted: tlsconfig.AuthorizeID(id)}, nil
}

func (p *peer) serverConfig() *tls.Config {
	return tlsconfig.MTLSServerConfig(p.source, p.source, p.accepted)
}

func (p *peer) clientConfig() *tls.Config {
	return tlsconfig.MTLSClientConfig(p.source, p.source, p.accepted)
}

func who(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 || len(state.PeerCertificates[0].URIs) == 0 {
		return "nobody"
	}
	return state.PeerCertificates[0].URIs[0].String()
}

func (p *peer) mtlsServer() error {
	listener, err := tls.Listen("tcp", p.listen, p.serverConfig())
	if err != nil {
		return err
	}
	log.Print("listening")
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go echo(connection.(*tls.Conn))
	}
}

func echo(connection *tls.Conn) {
	defer connection.Close()
	if err := connection.Handshake(); err != nil {
		log.Printf("refused: %v", err)
		return
	}
	log.Printf("peer %s", who(connection.ConnectionState()))
	if _, err := io.Copy(connection, connection); err != nil {
		log.Printf("ended: %v", err)
	}
}

func (p *peer) mtlsClient() error {
	connection, err := tls.Dial("tcp", p.address, p.clientConfig())
	if err != nil {
		return err
	}
	defer connection.Close()
	log.Printf("peer %s", who(connection.ConnectionState()))
	go func() {
		if _, err := io.Copy(connection, os.Stdin); err == nil {
			_ = connection.CloseWrite()
		}
	}()
	_, err = io.Copy(os.Stdout, connection)
	return err
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("which peer?")
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	p, err := newPeer(ctx, o)
	if err != nil {
		return err
	}
	defer p.source.Close()
	modes := map[string]func() error{
		"mtls-server": p.mtlsServer, "mtls-client": p.mtlsClient,
		"hbone-server": p.hboneServer, "hbone-client": p.hboneClient,
	}
	mode, known := modes[args[0]]
	if !known {
		return fmt.Errorf("no peer %q", args[0])
	}
	return mode()
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	signal.Ignore(syscall.SIGPIPE)
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}
