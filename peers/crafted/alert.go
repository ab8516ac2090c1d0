package crafted

import (
	"fmt"

	"hybridlab/lab/wire"
)

// Alerts this package sends, RFC 8446 section 6.
const (
	alertCloseNotify       = 0
	alertUnexpectedMessage = 10
	alertBadRecordMAC      = 20
	alertRecordOverflow    = 22
	alertHandshakeFailure  = 40
	alertBadCertificate    = 42
	alertIllegalParameter  = 47
	alertUnknownCA         = 48
	alertDecodeError       = 50
	alertDecryptError      = 51
	alertProtocolVersion   = 70
	alertInternalError     = 80
	alertMissingExtension  = 109
)

// alertError is our own reason to end the handshake, and the alert that says
// so.
type alertError struct {
	code uint8
	text string
}

func (e alertError) Error() string { return e.text }

func alertf(code uint8, format string, args ...any) error {
	return alertError{code, fmt.Sprintf(format, args...)}
}

// RemoteAlert is the other end's reason to end the connection.
type RemoteAlert struct{ Code uint8 }

func (e RemoteAlert) Error() string {
	return "remote alert " + wire.Alert{Level: 2, Code: e.Code}.Name()
}
