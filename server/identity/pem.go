package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/muster-iot/muster/protocol"
)

// ParseCertificate reads the one certificate of a PEM text. Text before it, as
// openssl writes, does not matter. Errors are of code CertificateValidation.
func ParseCertificate(text string) (*x509.Certificate, error) {
	der, err := onlyBlock(text, "CERTIFICATE")
	if err != nil {
		return nil, protocol.Errorf(protocol.CertificateValidation, "cannot read the certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, protocol.Errorf(protocol.CertificateValidation, "cannot read the certificate: %v", err)
	}
	return cert, nil
}

// ParseRequest reads the one signing request of a PEM text and checks its
// signature, which may be made with SHA-1, and its key. Errors are of code
// InvalidRequest.
func ParseRequest(text string) (*x509.CertificateRequest, error) {
	refuse := func(err error) (*x509.CertificateRequest, error) {
		return nil, protocol.Errorf(protocol.InvalidRequest, "cannot use the certificate signing request: %v", err)
	}
	der, err := onlyBlock(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return refuse(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return refuse(err)
	}
	if err := CheckKey(request.PublicKey); err != nil {
		return refuse(err)
	}
	if err := request.CheckSignature(); err != nil {
		return refuse(fmt.Errorf("it is not signed by its own key: %w", err))
	}
	return request, nil
}

// CheckKey refuses keys that a device cannot have: those that are no RSA key of
// 2048 bits or more, and no ECDSA key on P-256, P-384 or P-521.
func CheckKey(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 {
			return fmt.Errorf("its RSA key has %d bits; at least 2048 are needed", bits)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return errors.New("its key is on P-224; use P-256 or P-384")
		}
		return nil
	}
	return errors.New("its key is neither RSA nor ECDSA on a NIST curve")
}

// onlyBlock returns the bytes of the one PEM block of a text.
func onlyBlock(text string, types ...string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("it is not PEM: want -----BEGIN %s-----", types[0])
	}
	if !slices.Contains(types, block.Type) {
		return nil, fmt.Errorf("its PEM block is a %s, not a %s", block.Type, types[0])
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("something follows the %s: send it alone", types[0])
	}
	return block.Bytes, nil
}

// EncodePEM writes a certificate's DER as PEM: the same certificate is always
// the same text.
func EncodePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
