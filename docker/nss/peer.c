/*
 * TLS by NSS on the connection that is standard input. The variables and the
 * exit codes are those of the lab's contract (peers/CONTRACT.md); the listening
 * and connecting is done by "hybridlab peer inetd".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nspr.h>
#include <private/pprio.h>
#include <nss.h>
#include <ssl.h>
#include <sslproto.h>
#include <cert.h>
#include <keyhi.h>
#include <nssb64.h>
#include <pk11pub.h>
#include <secoid.h>

/* SSL_NamedGroupConfig passes over numbers that it does not know, so the list
 * is that of the version's sslt.h; and over groups that the policy, by its
 * object identifier, has switched off. */
static const struct { const char *name; SSLNamedGroup group; SECOidTag off; } groups[] = {
    {"secp256r1", ssl_grp_ec_secp256r1}, {"secp384r1", ssl_grp_ec_secp384r1}, {"secp521r1", ssl_grp_ec_secp521r1},
    {"x25519", ssl_grp_ec_curve25519},
    {"ffdhe2048", ssl_grp_ffdhe_2048}, {"ffdhe3072", ssl_grp_ffdhe_3072}, {"ffdhe4096", ssl_grp_ffdhe_4096},
    {"ffdhe6144", ssl_grp_ffdhe_6144}, {"ffdhe8192", ssl_grp_ffdhe_8192},
    {"X25519MLKEM768", ssl_grp_kem_mlkem768x25519},
#if NSS_VMAJOR == 3 && NSS_VMINOR <= 110
    {"X25519Kyber768Draft00", ssl_grp_kem_xyber768d00, SEC_OID_XYBER768D00},
#else
    {"SecP256r1MLKEM768", ssl_grp_kem_secp256r1mlkem768}, {"SecP384r1MLKEM1024", ssl_grp_kem_secp384r1mlkem1024},
    {"MLKEM1024", ssl_grp_kem_mlkem1024, SEC_OID_ML_KEM_1024},
#endif
};
enum { known = sizeof groups / sizeof groups[0] };

static void die(int code, const char *what)
{
    PRErrorCode e = PR_GetError();
    fprintf(stderr, "%s%s%s\n", what, e ? ": " : "", e ? PR_ErrorToName(e) : "");
    exit(code);
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

/* The groups as configured, and how many shares beyond the first are sent. */
static void configure(PRFileDesc *fd)
{
    SSLNamedGroup list[known];
    unsigned n = 0, i, shares = 0;
    char *names = strdup(env("PEER_GROUPS")), *name;

    if (strchr(names, '>'))
        die(127, "groups have no tiers in NSS");
    for (name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        for (i = 0; i < known && strcmp(name, groups[i].name) != 0; i++)
            ;
        if (i == known || n == known)
            die(127, name);
        if (groups[i].off)
            NSS_SetAlgorithmPolicy(groups[i].off, NSS_USE_ALG_IN_SSL_KX, 0);
        list[n++] = groups[i].group;
    }
    if (n && SSL_NamedGroupConfig(fd, list, n) != SECSuccess)
        die(127, "SSL_NamedGroupConfig");
    if (strcmp(env("PEER_SHARES"), "none") == 0)
        die(127, "NSS always sends a key share");
    for (name = strtok(strdup(env("PEER_SHARES")), ","); name; name = strtok(NULL, ","))
        shares++;
    if (shares && SSL_SendAdditionalKeyShares(fd, shares - 1) != SECSuccess)
        die(127, "SSL_SendAdditionalKeyShares");
}

static char *slurp(const char *file)
{
    static char data[1 << 20];
    FILE *f = fopen(file, "r");
    size_t n = f ? fread(data, 1, sizeof data - 1, f) : 0;

    if (!n)
        die(2, file);
    fclose(f);
    data[n] = 0;
    return data;
}

/* The next block of a PEM file, decoded; NULL: there is none. */
static SECItem *block(char **pem)
{
    char *begin = strstr(*pem, "-----BEGIN"), *end;

    if (!begin || !(begin = strchr(begin, '\n')) || !(end = strstr(begin, "-----END")))
        return NULL;
    *pem = end + 8;
    return NSSBase64_DecodeBuffer(NULL, NULL, begin, end - begin);
}

/* Every certificate of the file stays known while this process lives, so that
 * NSS finds those above the first. */
static CERTCertificate *certificates(const char *file)
{
    char *pem = slurp(file);
    CERTCertificate *first = NULL, *c;
    SECItem *der;

    while ((der = block(&pem))) {
        c = CERT_NewTempCertificate(CERT_GetDefaultCertDB(), der, NULL, PR_FALSE, PR_TRUE);
        if (!c)
            die(2, file);
        if (!first)
            first = c;
    }
    return first;
}

static void trust(PRFileDesc *fd)
{
    CERTCertTrust ca;

    CERT_DecodeTrustString(&ca, "C,,");
    if (CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), certificates(env("PEER_CA")), &ca) != SECSuccess)
        die(2, "trust the CA");
    SSL_SetURL(fd, env("PEER_SNI"));
}

static void identify(PRFileDesc *fd)
{
    CERTCertificate *cert = certificates(env("PEER_CERT"));
    char *pem = slurp(env("PEER_KEY"));
    SECItem *der = block(&pem);
    SECKEYPrivateKey *key;

    if (!der || PK11_ImportDERPrivateKeyInfoAndReturnKey(PK11_GetInternalKeySlot(), der, NULL, NULL, PR_FALSE, PR_FALSE, KU_ALL, &key, NULL) != SECSuccess)
        die(2, "read the key");
    if (SSL_ConfigServerCert(fd, cert, key, NULL, 0) != SECSuccess)
        die(2, "show the certificate");
    SSL_OptionSet(fd, SSL_NO_CACHE, PR_TRUE); /* a process per connection has nothing to resume */
}

static int ask(PRFileDesc *fd)
{
    char text[2048];
    int n = snprintf(text, sizeof text, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", env("PEER_TOKEN"), env("PEER_SNI")), got = 0;

    if (PR_Write(fd, text, n) != n)
        return 0;
    while ((n = PR_Read(fd, text + got, sizeof text - got)) > 0)
        if (got < 8)
            got += n;
    return got >= 6 && memcmp(text, "HTTP/1", 6) == 0;
}

static int answer(PRFileDesc *fd)
{
    static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhybridlab\n";
    char text[8192];
    int n, got = 0;

    do {
        if ((n = PR_Read(fd, text + got, sizeof text - 1 - got)) <= 0)
            return 0;
        got += n;
        text[got] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    if (strncmp(text, "GET /", 5) != 0 || PR_Write(fd, hello, sizeof hello - 1) < 0)
        return 0;
    PR_Shutdown(fd, PR_SHUTDOWN_SEND);
    while (PR_Read(fd, text, sizeof text) > 0)
        ;
    return 1;
}

static const char *nameOf(SSLNamedGroup g)
{
    for (int i = 0; i < known; i++)
        if (groups[i].group == g)
            return groups[i].name;
    return "";
}

static void report(PRFileDesc *fd, int done, int data)
{
    SSLChannelInfo info = {0};
    CERTCertificate *shown = SSL_PeerCertificate(fd);
    char *cn = shown ? CERT_GetCommonName(&shown->subject) : NULL;

    if (done)
        SSL_GetChannelInfo(fd, &info, sizeof info);
    printf("{\"done\":%s,\"data\":%s,\"group\":\"%s\",\"version\":\"%s\",\"reached\":\"%s\"}\n",
        done ? "true" : "false", data ? "true" : "false", nameOf(info.keaGroup),
        info.protocolVersion == SSL_LIBRARY_VERSION_TLS_1_3 ? "TLS 1.3" : info.protocolVersion == SSL_LIBRARY_VERSION_TLS_1_2 ? "TLS 1.2" : "",
        cn ? cn : "");
}

int main(void)
{
    int server = strcmp(env("PEER_ROLE"), "server") == 0, done, data;
    PRFileDesc *fd;

    if (strcmp(env("PEER_ROLE"), "version") == 0)
        return printf("NSS %s\n", NSS_GetVersion()) < 0;
    if (NSS_NoDB_Init(NULL) != SECSuccess || NSS_SetDomesticPolicy() != SECSuccess)
        die(2, "start NSS");
    fd = SSL_ImportFD(NULL, PR_ImportTCPSocket(0));
    PR_SetError(0, 0); /* without a connection it is no socket, which does not matter yet */
    configure(fd);
    if (server)
        identify(fd);
    else
        trust(fd);
    SSL_OptionSet(fd, SSL_HANDSHAKE_AS_SERVER, server);
    SSL_OptionSet(fd, SSL_HANDSHAKE_AS_CLIENT, !server);
    done = SSL_ResetHandshake(fd, server) == SECSuccess && SSL_ForceHandshake(fd) == SECSuccess;
    data = done && (server ? answer(fd) : ask(fd));
    report(fd, done, data);
    if (!data)
        die(1, done ? "data" : "handshake");
    return 0;
}
