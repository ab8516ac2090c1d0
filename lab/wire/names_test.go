package wire

import "testing"

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		RecordName(22):            "handshake",
		RecordName(99):            "content type 99",
		HandshakeName(1):          "ClientHello",
		HandshakeName(77):         "handshake type 77",
		ExtensionName(51):         "key_share",
		ExtensionName(0x4a4a):     "GREASE 0x4a4a",
		ExtensionName(0x4a5a):     "extension 19034",
		SignatureName(0x0905):     "mldsa65",
		SignatureName(0x0403):     "ecdsa_secp256r1_sha256",
		SignatureName(0x7777):     "0x7777",
		VersionName(0x0304):       "TLS 1.3",
		VersionName(0xfefd):       "0xfefd",
		VersionName(0xdada):       "GREASE 0xdada",
		ExtensionName(ExtECH):     "encrypted_client_hello",
		RecordName(23):            "application_data",
		HandshakeName(12):         "ServerKeyExchange",
		SignatureName(0x2a2a):     "GREASE 0x2a2a",
		ExtensionName(0xff01):     "renegotiation_info",
		VersionName(0x7f1c):       "0x7f1c",
		ExtensionName(ExtALPN):    "application_layer_protocol_negotiation",
		HandshakeName(11):         "Certificate",
		ExtensionName(0x0a0a + 1): "extension 2571",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
