import java.net.Socket;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** JSSE's default ClientHello for shop.test, sent over a socket to 127.0.0.1. */
public class Hello {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        SSLSocket socket = (SSLSocket) factory.createSocket(new Socket("127.0.0.1", port), "shop.test", port, true);
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setApplicationProtocols(new String[] {"h2", "http/1.1"});
        socket.setSSLParameters(parameters);
        socket.startHandshake();
    }
}
