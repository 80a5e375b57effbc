// crypto/tls's default ClientHello for shop.test, as net/http's client sends it, over a socket to 127.0.0.1.
package main

import (
	"context"
	"net"
	"net/http"
	"os"
)

func main() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+os.Args[1])
	}
	_, _ = (&http.Client{Transport: transport}).Get("https://shop.test:" + os.Args[1] + "/")
}
