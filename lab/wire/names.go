package wire

import "fmt"

// RecordName is the content type's name in RFC 8446 section 5.1.
func RecordName(typ uint8) string {
	return named(recordNames, typ, "content type %d")
}

// HandshakeName is the message's name as the RFCs and Wireshark write it:
// "ClientHello". A HelloRetryRequest has the type of a ServerHello.
func HandshakeName(typ uint8) string {
	return named(handshakeNames, typ, "handshake type %d")
}

// ExtensionName is the extension's name in the IANA registry.
func ExtensionName(typ uint16) string {
	if GREASE(typ) {
		return fmt.Sprintf("GREASE %#04x", typ)
	}
	return named(extensionNames, typ, "extension %d")
}

// SignatureName is the scheme's name in the IANA registry, or its number.
func SignatureName(scheme uint16) string {
	if GREASE(scheme) {
		return fmt.Sprintf("GREASE %#04x", scheme)
	}
	return named(signatureNames, scheme, "%#04x")
}

// VersionName is a protocol version as people say it.
func VersionName(v uint16) string {
	if GREASE(v) {
		return fmt.Sprintf("GREASE %#04x", v)
	}
	return named(versionNames, v, "%#04x")
}

// GREASE reports whether a 16-bit code point is one of the sixteen reserved
// to be ignored (RFC 8701 section 2): 0x0a0a, 0x1a1a, ... 0xfafa.
func GREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func named[T ~uint8 | ~uint16](names map[T]string, v T, unknown string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprintf(unknown, v)
}

var recordNames = map[uint8]string{
	RecordChangeCipherSpec: "change_cipher_spec", RecordAlert: "alert", RecordHandshake: "handshake",
	RecordApplicationData: "application_data", recordHeartbeat: "heartbeat",
}

// handshakeNames: RFC 8446 section 4, RFC 5246 section 7.4, RFC 8879 section 4.
var handshakeNames = map[uint8]string{
	0: "HelloRequest", HandshakeClientHello: "ClientHello", HandshakeServerHello: "ServerHello",
	4: "NewSessionTicket", 5: "EndOfEarlyData", 8: "EncryptedExtensions", 11: "Certificate",
	HandshakeServerKeyExchange: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone",
	15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished", 22: "CertificateStatus", 24: "KeyUpdate",
	25: "CompressedCertificate",
}

var extensionNames = map[uint16]string{
	ExtServerName: "server_name", 5: "status_request", ExtSupportedGroups: "supported_groups", 11: "ec_point_formats",
	ExtSignatureAlgorithms: "signature_algorithms", ExtALPN: "application_layer_protocol_negotiation",
	18: "signed_certificate_timestamp", ExtPadding: "padding", 22: "encrypt_then_mac", 23: "extended_master_secret",
	27: "compress_certificate", 28: "record_size_limit", 35: "session_ticket", ExtPreSharedKey: "pre_shared_key",
	ExtEarlyData: "early_data", ExtSupportedVersions: "supported_versions", ExtCookie: "cookie",
	ExtPSKModes: "psk_key_exchange_modes", 47: "certificate_authorities", 49: "post_handshake_auth",
	ExtSigAlgsCert: "signature_algorithms_cert", ExtKeyShare: "key_share", 17613: "application_settings",
	ExtECH: "encrypted_client_hello", 0xff01: "renegotiation_info",
}

// signatureNames: RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1 for what
// TLS 1.2 clients still list, draft-ietf-tls-mldsa.
var signatureNames = map[uint16]string{
	0x0201: "rsa_pkcs1_sha1", 0x0203: "ecdsa_sha1", 0x0202: "dsa_sha1", 0x0301: "rsa_sha224", 0x0302: "dsa_sha224",
	0x0303: "ecdsa_sha224", 0x0401: "rsa_pkcs1_sha256", 0x0402: "dsa_sha256", 0x0403: "ecdsa_secp256r1_sha256",
	0x0501: "rsa_pkcs1_sha384", 0x0502: "dsa_sha384", 0x0503: "ecdsa_secp384r1_sha384", 0x0601: "rsa_pkcs1_sha512",
	0x0602: "dsa_sha512", 0x0603: "ecdsa_secp521r1_sha512", 0x0804: "rsa_pss_rsae_sha256", 0x0805: "rsa_pss_rsae_sha384",
	0x0806: "rsa_pss_rsae_sha512", 0x0807: "ed25519", 0x0808: "ed448", 0x0809: "rsa_pss_pss_sha256",
	0x080a: "rsa_pss_pss_sha384", 0x080b: "rsa_pss_pss_sha512", 0x081a: "ecdsa_brainpoolP256r1tls13_sha256",
	0x081b: "ecdsa_brainpoolP384r1tls13_sha384", 0x081c: "ecdsa_brainpoolP512r1tls13_sha512",
	0x0904: "mldsa44", 0x0905: "mldsa65", 0x0906: "mldsa87",
}

var versionNames = map[uint16]string{
	0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3",
}
