package wire

import "fmt"

// Alert is a plaintext alert (RFC 8446 section 6).
type Alert struct {
	Level uint8 // 1 warning, 2 fatal; TLS 1.3 gives it no meaning
	Code  uint8
}

// Fatal reports whether the sender gave up, by its own account.
func (a Alert) Fatal() bool { return a.Level == 2 }

// Name returns the RFC name ("handshake_failure"), or the number of an unknown
// alert ("alert_200").
func (a Alert) Name() string {
	if name, ok := alertNames[a.Code]; ok {
		return name
	}
	return fmt.Sprintf("alert_%d", a.Code)
}

func (a Alert) String() string { return a.Name() }

// ParseAlert decodes the fragment of an alert record. An alert takes exactly
// two bytes (RFC 8446 section 5.1); a longer one is encrypted, and an error.
func ParseAlert(fragment []byte) (Alert, error) {
	switch n := len(fragment); {
	case n == 0:
		return Alert{}, fmt.Errorf("decode alert: level: %w", ErrTruncated)
	case n == 1:
		return Alert{Level: fragment[0]}, fmt.Errorf("decode alert: description: %w", ErrTruncated)
	case n > 2:
		return Alert{}, fmt.Errorf("decode alert: %d bytes, not 2: it is encrypted", n)
	}
	a := Alert{Level: fragment[0], Code: fragment[1]}
	if a.Level != 1 && a.Level != 2 {
		return a, fmt.Errorf("decode alert: level %d is neither warning (1) nor fatal (2)", a.Level)
	}
	return a, nil
}

// alertNames: RFC 8446 appendix B.2; those it reserves are of TLS 1.2 and
// before (RFC 5246 section 7.2), which the lab's peers may still speak.
var alertNames = map[uint8]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
	30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
	47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	60: "export_restriction", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
	86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
	110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
	113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
	116: "certificate_required", 120: "no_application_protocol",
	121: "ech_required", // RFC 9849
}
