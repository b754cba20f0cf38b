package clients_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"time"
)

// identity is an operator's own authority, made for a session.
type identity struct {
	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
}

// pemOf makes a key and has a certificate of that name signed; by itself when
// there is no authority yet.
func (s *session) pemOf(id *identity, name string) string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	by, byKey := id.ca, id.caKey
	if by == nil {
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
		by, byKey, id.ca, id.caKey = cert, key, cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, by, key.Public(), byKey)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (s *session) csr() string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "pump-1"}}, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// certificates makes them in every way that there is.
func (s *session) certificates() {
	isRSA := contains("-----BEGIN RSA PRIVATE KEY-----")
	made := s.ok("CreateKeysAndCertificate", object{"setAsActive": true}, object{
		"certificateArn": contains(arn("cert/")), "certificatePem": contains("-----BEGIN CERTIFICATE-----"),
		"keyPair": object{"PrivateKey": isRSA, "PublicKey": contains("-----BEGIN PUBLIC KEY-----")},
	})
	id := object{"certificateId": made["certificateId"]}
	s.ok("DescribeCertificate", id, object{"certificateDescription": object{
		"certificateId": id["certificateId"], "status": "ACTIVE", "creationDate": recent, "certificatePem": made["certificatePem"],
	}})
	s.ok("CreateCertificateFromCsr", object{"certificateSigningRequest": s.csr()}, object{"certificateId": some, "certificatePem": some})
	s.fails("CreateCertificateFromCsr", object{"certificateSigningRequest": "none"}, "InvalidRequestException", 400)
	own := &identity{}
	caPem := s.pemOf(own, "Own CA")
	own2 := &identity{}
	alone := s.pemOf(own2, "alone")
	s.ok("RegisterCertificateWithoutCA", object{"certificatePem": alone, "status": "ACTIVE"}, object{"certificateArn": some, "certificateId": some})
	s.fails("RegisterCertificateWithoutCA", object{"certificatePem": alone}, "ResourceAlreadyExistsException", 409)
	s.authorities(own, caPem)
	s.pages("ListCertificates", "certificates", nil, 4)
	s.ok("UpdateCertificate", object{"certificateId": id["certificateId"], "newStatus": "INACTIVE"}, nil)
	s.ok("DescribeCertificate", id, object{"certificateDescription": object{"status": "INACTIVE"}})
	s.ok("UpdateCertificate", object{"certificateId": id["certificateId"], "newStatus": "ACTIVE"}, nil)
	s.fails("DeleteCertificate", id, "CertificateStateException", 406)
	s.fails("DescribeCertificate", object{"certificateId": strings.Repeat("0", 64)}, "ResourceNotFoundException", 404)
	s.policies(made)
	s.principals(made)
	s.ok("UpdateCertificate", object{"certificateId": id["certificateId"], "newStatus": "REVOKED"}, nil)
	s.ok("DeleteCertificate", id, nil)
	s.fails("DescribeCertificate", id, "ResourceNotFoundException", 404)
}

// authorities registers the operator's own and a certificate of it.
func (s *session) authorities(own *identity, caPem string) {
	code := s.ok("GetRegistrationCode", nil, object{"registrationCode": some})
	name, _ := code["registrationCode"].(string)
	s.fails("RegisterCACertificate", object{"caCertificate": caPem, "verificationCertificate": s.pemOf(own, "another")},
		"RegistrationCodeValidationException", 400)
	ca := s.ok("RegisterCACertificate", object{"caCertificate": caPem, "verificationCertificate": s.pemOf(own, name), "setAsActive": true},
		object{"certificateArn": contains(arn("cacert/")), "certificateId": some})
	id := object{"certificateId": ca["certificateId"]}
	s.ok("DescribeCACertificate", id, object{"certificateDescription": object{"status": "ACTIVE", "certificatePem": caPem}})
	s.pages("ListCACertificates", "certificates", nil, 1)
	s.ok("RegisterCertificate", object{"certificatePem": s.pemOf(own, "pump-9"), "caCertificatePem": caPem, "status": "ACTIVE"}, object{"certificateId": some})
	s.ok("ListCertificatesByCA", object{"caCertificateId": ca["certificateId"]}, object{"certificates": count(1)})
	s.ok("UpdateCACertificate", object{"certificateId": ca["certificateId"], "newStatus": "INACTIVE"}, nil)
	s.ok("DeleteCACertificate", id, nil)
	s.fails("DescribeCACertificate", id, "ResourceNotFoundException", 404)
}

// principals ties a certificate to pump-1 and loosens it.
func (s *session) principals(certificate object) {
	principal := certificate["certificateArn"]
	both := object{"thingName": "pump-1", "principal": principal}
	s.ok("AttachThingPrincipal", both, nil)
	s.fails("AttachThingPrincipal", object{"thingName": "none", "principal": principal}, "ResourceNotFoundException", 404)
	s.pages("ListThingPrincipals", "principals", object{"thingName": "pump-1"}, 1)
	s.ok("ListThingPrincipals", object{"thingName": "pump-1"}, object{"principals": []any{principal}})
	s.ok("ListThingPrincipalsV2", object{"thingName": "pump-1"}, object{"thingPrincipalObjects": []any{object{"principal": principal}}})
	s.pages("ListPrincipalThings", "things", object{"principal": principal}, 1)
	s.ok("ListPrincipalThings", object{"principal": principal}, object{"things": []any{"pump-1"}})
	s.ok("ListPrincipalThingsV2", object{"principal": principal}, object{"principalThingObjects": []any{object{"thingName": "pump-1"}}})
	s.fails("DeleteThing", object{"thingName": "pump-1"}, "InvalidRequestException", 400)
	s.ok("DetachThingPrincipal", both, nil)
	s.ok("ListThingPrincipals", object{"thingName": "pump-1"}, object{"principals": []any{}})
}

// policies makes allow, attaches it to a certificate and a group, and deletes it.
func (s *session) policies(certificate object) {
	document := func(action string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`
	}
	allow := object{"policyName": "allow"}
	with := func(more object) object {
		more["policyName"] = "allow"
		return more
	}
	s.ok("CreatePolicy", with(object{"policyDocument": document("iot:Connect")}),
		object{"policyName": "allow", "policyArn": arn("policy/allow"), "policyVersionId": "1", "policyDocument": document("iot:Connect")})
	s.fails("CreatePolicy", with(object{"policyDocument": document("iot:Publish")}), "ResourceAlreadyExistsException", 409)
	s.fails("CreatePolicy", object{"policyName": "bad", "policyDocument": "{"}, "MalformedPolicyException", 400)
	for _, name := range []string{"b", "c"} {
		s.ok("CreatePolicy", object{"policyName": name, "policyDocument": document("iot:*")}, nil)
	}
	s.ok("GetPolicy", allow, object{"policyDocument": document("iot:Connect"), "defaultVersionId": "1", "creationDate": recent})
	s.fails("GetPolicy", object{"policyName": "none"}, "ResourceNotFoundException", 404)
	s.pages("ListPolicies", "policies", nil, 3)
	s.ok("CreatePolicyVersion", with(object{"policyDocument": document("iot:*"), "setAsDefault": true}), object{"policyVersionId": "2", "isDefaultVersion": true})
	s.ok("GetPolicyVersion", with(object{"policyVersionId": "2"}), object{"policyDocument": document("iot:*"), "isDefaultVersion": true})
	s.ok("SetDefaultPolicyVersion", with(object{"policyVersionId": "1"}), nil)
	s.ok("ListPolicyVersions", allow, object{"policyVersions": count(2)})
	s.fails("DeletePolicyVersion", with(object{"policyVersionId": "1"}), "DeleteConflictException", 409)
	s.ok("DeletePolicyVersion", with(object{"policyVersionId": "2"}), nil)

	target := certificate["certificateArn"]
	s.ok("AttachPolicy", with(object{"target": target}), nil)
	s.ok("AttachPolicy", with(object{"target": arn("thinggroup/north")}), nil)
	s.fails("AttachPolicy", object{"policyName": "none", "target": target}, "ResourceNotFoundException", 404)
	s.ok("ListAttachedPolicies", object{"target": target}, object{"policies": []any{object{"policyName": "allow", "policyArn": arn("policy/allow")}}})
	s.pages("ListAttachedPolicies", "policies", object{"target": arn("thinggroup/north")}, 1)
	s.pages("ListTargetsForPolicy", "targets", allow, 2)
	s.fails("DeletePolicy", allow, "DeleteConflictException", 409)
	s.ok("DetachPolicy", with(object{"target": target}), nil)
	s.ok("DetachPolicy", with(object{"target": arn("thinggroup/north")}), nil)
	s.ok("ListTargetsForPolicy", allow, object{"targets": []any{}})

	principal := object{"principal": target} // the older operations of the same
	s.ok("AttachPrincipalPolicy", with(object{"principal": target}), nil)
	s.ok("ListPrincipalPolicies", principal, object{"policies": []any{object{"policyName": "allow"}}})
	s.ok("ListPolicyPrincipals", allow, object{"principals": count(1)})
	s.ok("DetachPrincipalPolicy", with(object{"principal": target}), nil)
	s.ok("DeletePolicy", allow, nil)
	s.fails("DeletePolicy", allow, "ResourceNotFoundException", 404)
}
