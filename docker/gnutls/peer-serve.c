/*
 * A server by GnuTLS on the connection that is standard input. The variables
 * and the exit codes are those of the lab's contract (peers/CONTRACT.md); the
 * listening is done by "hybridlab peer inetd".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <gnutls/gnutls.h>

static void die(int code, const char *what, int err)
{
    fprintf(stderr, "%s: %s\n", what, gnutls_strerror(err));
    exit(code);
}

static int answer(gnutls_session_t s)
{
    static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhybridlab\n";
    char text[8192];
    int got = 0, n;

    do {
        if ((n = gnutls_record_recv(s, text + got, sizeof text - 1 - got)) <= 0)
            return 0;
        got += n;
        text[got] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    if (strncmp(text, "GET /", 5) != 0 || gnutls_record_send(s, hello, sizeof hello - 1) < 0)
        return 0;
    gnutls_bye(s, GNUTLS_SHUT_WR);
    shutdown(0, SHUT_WR);
    while (gnutls_record_recv(s, text, sizeof text) > 0)
        ;
    return 1;
}

int main(int argc, char **argv)
{
    gnutls_session_t s;
    gnutls_certificate_credentials_t cred;
    const char *group, *bad, *version;
    int err, data;

    if (argc != 2)
        return 2;
    gnutls_init(&s, GNUTLS_SERVER);
    if ((err = gnutls_priority_set_direct(s, argv[1], &bad)) < 0)
        die(127, bad, err);
    gnutls_certificate_allocate_credentials(&cred);
    if ((err = gnutls_certificate_set_x509_key_file(cred, getenv("PEER_CERT"), getenv("PEER_KEY"), GNUTLS_X509_FMT_PEM)) < 0)
        die(2, "read the certificate", err);
    gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred);
    gnutls_transport_set_int(s, 0);
    do
        err = gnutls_handshake(s);
    while (err < 0 && !gnutls_error_is_fatal(err));
    if (err < 0) {
        gnutls_alert_send_appropriate(s, err);
        shutdown(0, SHUT_WR);
        die(1, "handshake", err);
    }
    data = answer(s);
    group = gnutls_group_get_name(gnutls_group_get(s));
    version = gnutls_protocol_get_name(gnutls_protocol_get_version(s)); /* "TLS1.3" */
    printf("{\"done\":true,\"data\":%s,\"group\":\"%s\",\"version\":\"TLS %s\"}\n",
        data ? "true" : "false", group ? group : "", version + 3);
    return !data;
}
