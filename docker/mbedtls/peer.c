/*
 * TLS by Mbed TLS on the connection that is standard input. The variables and
 * the exit codes are those of the lab's contract (peers/CONTRACT.md); the
 * listening and connecting is done by "hybridlab peer inetd".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <mbedtls/ssl.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/oid.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

static const struct { const char *name; uint16_t group; } groups[] = {
    {"secp256r1", MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1}, {"secp384r1", MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1},
    {"secp521r1", MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1},
    {"x25519", MBEDTLS_SSL_IANA_TLS_GROUP_X25519}, {"x448", MBEDTLS_SSL_IANA_TLS_GROUP_X448},
    {"brainpoolP256r1", MBEDTLS_SSL_IANA_TLS_GROUP_BP256R1}, {"brainpoolP384r1", MBEDTLS_SSL_IANA_TLS_GROUP_BP384R1},
    {"brainpoolP512r1", MBEDTLS_SSL_IANA_TLS_GROUP_BP512R1},
    {"ffdhe2048", MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE2048}, {"ffdhe3072", MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE3072},
    {"ffdhe4096", MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE4096}, {"ffdhe6144", MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE6144},
    {"ffdhe8192", MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE8192},
};
enum { known = sizeof groups / sizeof groups[0] };

static void die(int code, const char *what, int err)
{
    char words[200] = "";

    if (err)
        mbedtls_strerror(err, words, sizeof words);
    fprintf(stderr, "%s%s%s\n", what, err ? ": " : "", words);
    exit(code);
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void configure(mbedtls_ssl_config *conf)
{
    static uint16_t list[known + 1]; /* ends with 0 */
    int n = 0, i;
    char *name;

    size_t first = strcspn(env("PEER_GROUPS"), ",");

    if (*env("PEER_SHARES") && (strlen(env("PEER_SHARES")) != first || strncmp(env("PEER_SHARES"), env("PEER_GROUPS"), first) != 0))
        die(127, "Mbed TLS sends one share, its first group's", 0);
    if (strchr(env("PEER_GROUPS"), '>'))
        die(127, "groups have no tiers in Mbed TLS", 0);
    for (name = strtok(strdup(env("PEER_GROUPS")), ","); name; name = strtok(NULL, ",")) {
        for (i = 0; i < known && strcmp(name, groups[i].name) != 0; i++)
            ;
        if (i == known || n == known)
            die(127, name, 0);
        list[n++] = groups[i].group;
    }
    if (n)
        mbedtls_ssl_conf_groups(conf, list);
}

/* A session ticket ends a read without being an end. */
static int receive(mbedtls_ssl_context *ssl, char *text, int size)
{
    int n;

    do
        n = mbedtls_ssl_read(ssl, (unsigned char *)text, size);
    while (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET || n == MBEDTLS_ERR_SSL_WANT_READ);
    return n;
}

static int ask(mbedtls_ssl_context *ssl)
{
    char text[2048];
    int n = snprintf(text, sizeof text, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", env("PEER_TOKEN"), env("PEER_SNI")), got = 0;

    if (mbedtls_ssl_write(ssl, (unsigned char *)text, n) != n)
        return 0;
    while ((n = receive(ssl, text + got, sizeof text - got)) > 0)
        if (got < 8)
            got += n;
    mbedtls_ssl_close_notify(ssl);
    return got >= 6 && memcmp(text, "HTTP/1", 6) == 0;
}

static int answer(mbedtls_ssl_context *ssl)
{
    static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhybridlab\n";
    char text[8192];
    int got = 0, n;

    do {
        if ((n = receive(ssl, text + got, sizeof text - 1 - got)) <= 0)
            return 0;
        got += n;
        text[got] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    if (strncmp(text, "GET /", 5) != 0 || mbedtls_ssl_write(ssl, (const unsigned char *)hello, sizeof hello - 1) < 0)
        return 0;
    mbedtls_ssl_close_notify(ssl);
    shutdown(0, SHUT_WR);
    while (receive(ssl, text, sizeof text) > 0)
        ;
    return 1;
}

/* The common name, without the quotes that JSON would trip over. */
static const char *reached(mbedtls_ssl_context *ssl)
{
    static char cn[200];
    const mbedtls_x509_crt *cert = mbedtls_ssl_get_peer_cert(ssl);
    const mbedtls_x509_name *part = cert ? &cert->subject : NULL;

    for (; part; part = part->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &part->oid) == 0)
            snprintf(cn, sizeof cn, "%.*s", (int)part->val.len, (char *)part->val.p);
    cn[strcspn(cn, "\"\\")] = 0;
    return cn;
}

int main(void)
{
    int server = strcmp(env("PEER_ROLE"), "server") == 0, err, data;
    mbedtls_net_context net = {0}; /* standard input */
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt certs;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    char version[32];

    mbedtls_version_get_string_full(version);
    if (strcmp(env("PEER_ROLE"), "version") == 0)
        return printf("%s\n", version) < 0;
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&conf);
    mbedtls_x509_crt_init(&certs);
    mbedtls_pk_init(&key);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    if (psa_crypto_init() || mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) ||
        mbedtls_ssl_config_defaults(&conf, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT))
        die(2, "start Mbed TLS", 0);
    mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random);
    configure(&conf);
    if ((err = mbedtls_x509_crt_parse_file(&certs, env(server ? "PEER_CERT" : "PEER_CA"))))
        die(2, "read the certificates", err);
    if (server) {
        if ((err = mbedtls_pk_parse_keyfile(&key, env("PEER_KEY"), NULL, mbedtls_ctr_drbg_random, &random)) ||
            (err = mbedtls_ssl_conf_own_cert(&conf, &certs, &key)))
            die(2, "read the key", err);
    } else {
        mbedtls_ssl_conf_ca_chain(&conf, &certs, NULL);
    }
    if ((err = mbedtls_ssl_setup(&ssl, &conf)) || (!server && (err = mbedtls_ssl_set_hostname(&ssl, env("PEER_SNI")))))
        die(2, "set up", err);
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    err = mbedtls_ssl_handshake(&ssl);
    if (err) {
        printf("{\"done\":false,\"reached\":\"%s\"}\n", reached(&ssl));
        shutdown(0, SHUT_WR);
        die(1, "handshake", err);
    }
    data = server ? answer(&ssl) : ask(&ssl);
    printf("{\"done\":true,\"data\":%s,\"version\":\"TLS 1.%d\",\"reached\":\"%s\"}\n", data ? "true" : "false",
        mbedtls_ssl_get_version_number(&ssl) == MBEDTLS_SSL_VERSION_TLS1_3 ? 3 : 2, reached(&ssl));
    return !data;
}
