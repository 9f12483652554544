package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
)

// flushing hands every piece on at once: a tunnel must not wait for more.
type flushing struct {
	http.ResponseWriter
}

func (f flushing) Write(data []byte) (int, error) {
	n, err := f.ResponseWriter.Write(data)
	if err == nil {
		err = http.NewResponseController(f.ResponseWriter).Flush()
	}
	return n, err
}

func (p *peer) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	log.Printf("%s %s by %s over HTTP/%d", request.Method, request.Host, who(*request.TLS),
		request.ProtoMajor)
	if request.Method != http.MethodConnect {
		answer.WriteHeader(http.StatusBadRequest)
		return
	}
	application, err := net.Dial("tcp", p.deliver)
	if err != nil {
		answer.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer application.Close()
	answer.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(answer).Flush()
	go func() {
		if _, err := io.Copy(application, request.Body); err == nil {
			_ = application.(*net.TCPConn).CloseWrite()
		}
	}()
	if _, err := io.Copy(flushing{answer}, application); err != nil {
		panic(http.ErrAbortHandler) // RST_STREAM
	}
}

func (p *peer) hboneServer() error {
	listener, err := net.Listen("tcp", p.listen)
	if err != nil {
		return err
	}
	config := p.serverConfig()
	config.NextProtos = []string{"h2"}
	log.Print("listening")
	return (&http.Server{Handler: p, TLSConfig: config}).ServeTLS(listener, "", "")
}

func (p *peer) hboneClient() error {
	config := p.clientConfig()
	config.NextProtos = []string{"h2"}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, p.address)
		},
	}
	request := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Scheme: "https", Host: p.address},
		Host:   p.authority,
		Header: http.Header{},
		Body:   os.Stdin,
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
		return fmt.Errorf("status %d over %s", answer.StatusCode, answer.Proto)
	}
	log.Printf("peer %s", who(*answer.TLS))
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}
