// A peer by the lab's contract (peers/CONTRACT.md): JSSE, which comes with Java.
import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import javax.net.ssl.*;

public class Peer {
    // jdk.tls.namedGroups is read once, when TLS is loaded, and passes over names
    // that it does not know: what it made of them says which.
    static void configure(String groups) throws Exception {
        System.setProperty("jdk.tls.namedGroups", groups);
        var made = List.<String>of();
        try {
            made = List.of(SSLContext.getDefault().getSupportedSSLParameters().getNamedGroups());
        } catch (LinkageError e) { // it knows none of them
        }
        if (!made.equals(List.of(groups.split(",")))) end(127, "of jdk.tls.namedGroups=" + groups + " it knows " + made);
    }

    static String env(String name) {
        return Objects.toString(System.getenv(name), "");
    }

    static void end(int code, String why) {
        System.err.println(why);
        Runtime.getRuntime().halt(code);
    }

    public static void main(String[] args) throws Exception {
        String groups = env("PEER_GROUPS");
        if (groups.contains(">")) end(127, "groups have no tiers in JSSE");
        if (!env("PEER_SHARES").isEmpty()) end(127, "JSSE chooses its key shares itself");
        if (!groups.isEmpty()) configure(groups);
        switch (env("PEER_ROLE")) {
            case "version" -> System.out.println("OpenJDK " + System.getProperty("java.runtime.version"));
            case "client" -> client(address());
            case "server" -> server(address());
            default -> end(2, "PEER_ROLE=" + env("PEER_ROLE") + ": want client, server or version");
        }
        Runtime.getRuntime().halt(0);
    }

    static InetSocketAddress address() throws IOException {
        String addr = env("PEER_ADDR");
        int colon = addr.lastIndexOf(':');
        return new InetSocketAddress(InetAddress.getByName(addr.substring(0, colon)), Integer.parseInt(addr.substring(colon + 1)));
    }

    static java.security.cert.Certificate[] certificates(String file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(new java.security.cert.Certificate[0]);
        }
    }

    static PrivateKey key(String file, String algorithm) throws Exception {
        String pem = Files.readString(Path.of(file)).replaceAll("-----[^-]+-----|\\s", "");
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
    }

    static SSLContext context(boolean server) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        SSLContext context = SSLContext.getInstance("TLS");
        if (server) {
            var chain = certificates(env("PEER_CERT"));
            store.setKeyEntry("server", key(env("PEER_KEY"), chain[0].getPublicKey().getAlgorithm()), new char[0], chain);
            var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(store, new char[0]);
            context.init(keys.getKeyManagers(), null, null);
        } else {
            store.setCertificateEntry("ca", certificates(env("PEER_CA"))[0]);
            var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            context.init(null, trust.getTrustManagers(), null);
        }
        return context;
    }

    static int timeout() {
        return (int) (1000 * Double.parseDouble(env("PEER_TIMEOUT").isEmpty() ? "10" : env("PEER_TIMEOUT")));
    }

    // What is known of one connection.
    static class Report {
        boolean done, data, timedOut;
        String remote = "", version = "", reached = "", error = "";

        void learn(SSLSession session, boolean client) throws Exception {
            done = true;
            version = session.getProtocol().replace("TLSv", "TLS ");
            if (client)
                reached = ((X509Certificate) session.getPeerCertificates()[0]).getSubjectX500Principal().getName().replaceAll("^.*CN=([\\w.-]+).*$", "$1");
        }

        void failed(Exception e) {
            error = Objects.toString(e.getMessage(), e.toString()).replaceAll("[\"\\\\\\p{Cntrl}]", " ");
            timedOut = e instanceof SocketTimeoutException;
        }

        synchronized void print() {
            System.out.println(String.format("{\"remote\":\"%s\",\"done\":%b,\"data\":%b,\"timed_out\":%b,\"version\":\"%s\",\"reached\":\"%s\",\"error\":\"%s\"}",
                remote, done, data, timedOut, version, reached, error));
        }
    }

    static void client(InetSocketAddress to) throws Exception {
        SSLContext context = context(false);
        Report report = new Report();
        try (Socket plain = new Socket()) {
            plain.connect(to, timeout());
            plain.setSoTimeout(timeout());
            SSLSocket s = (SSLSocket) context.getSocketFactory().createSocket(plain, env("PEER_SNI"), to.getPort(), true);
            SSLParameters p = s.getSSLParameters();
            p.setServerNames(List.of(new SNIHostName(env("PEER_SNI"))));
            p.setEndpointIdentificationAlgorithm("HTTPS");
            s.setSSLParameters(p);
            s.startHandshake();
            report.learn(s.getSession(), true);
            s.getOutputStream().write(("GET /" + env("PEER_TOKEN") + " HTTP/1.0\r\nHost: " + env("PEER_SNI") + "\r\n\r\n").getBytes());
            report.data = new String(s.getInputStream().readAllBytes()).startsWith("HTTP/1.");
            s.close();
        } catch (IOException e) {
            report.failed(e);
        }
        report.print();
        if (!report.data) end(1, report.error);
    }

    static void server(InetSocketAddress at) throws Exception {
        SSLContext context = context(true);
        ServerSocket listener = context.getServerSocketFactory().createServerSocket(at.getPort(), 100, at.getAddress());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
        while (true) {
            SSLSocket s = (SSLSocket) listener.accept();
            Thread.ofPlatform().daemon().start(() -> serve(s));
        }
    }

    static void serve(SSLSocket s) {
        Report report = new Report();
        String host = s.getInetAddress().getHostAddress().replaceAll("%.*", "");
        report.remote = (host.contains(":") ? "[" + host + "]" : host) + ":" + s.getPort();
        try (s) {
            s.setSoTimeout(timeout());
            s.startHandshake();
            report.learn(s.getSession(), false);
            BufferedReader in = new BufferedReader(new InputStreamReader(s.getInputStream()));
            String request = in.readLine();
            for (String line = request; line != null && !line.isEmpty(); line = in.readLine());
            report.data = request != null && request.startsWith("GET /");
            s.getOutputStream().write("HTTP/1.0 200 OK\r\n\r\nhybridlab\n".getBytes());
            s.shutdownOutput();
            report.print();
            report = null;
            while (in.read() >= 0);
        } catch (Exception e) {
            if (report != null) {
                report.failed(e);
                report.print();
            }
        }
    }
}
