package api

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
)

// Issuer makes certificates.
type Issuer interface {
	// Issue returns the DER of a certificate for a public key; subject is the
	// DER of its name, nil for the issuer's choice.
	Issue(key crypto.PublicKey, subject []byte, now time.Time) ([]byte, error)
}

// keyBits is the size of the keys that CreateKeysAndCertificate makes.
const keyBits = 2048

// createKeysAndCertificate makes a key, which leaves with the answer and is
// kept nowhere.
func (o *operations) createKeysAndCertificate(ctx context.Context, call restjson.Call, in *iot.CreateKeysAndCertificateRequest) (*iot.CreateKeysAndCertificateResponse, error) {
	key, err := o.makeKey(ctx)
	if err != nil {
		return nil, err
	}
	c, err := o.issue(ctx, &key.PublicKey, nil, in.SetAsActive)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a public key: %w", err)
	}
	return &iot.CreateKeysAndCertificateResponse{
		CertificateArn: certificateARN(call, c.ID), CertificateId: text(c.ID), CertificatePem: &c.PEM,
		KeyPair: &iot.KeyPair{
			PublicKey:  new(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))),
			PrivateKey: new(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))),
		},
	}, nil
}

// makeKey makes one key at a time: it is the one thing in this API that costs
// a tenth of a second of a core, and the engine needs that core too.
func (o *operations) makeKey(ctx context.Context) (*rsa.PrivateKey, error) {
	select {
	case o.keys <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-o.keys }()
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	return key, nil
}

func (o *operations) createCertificateFromCsr(ctx context.Context, call restjson.Call, in *iot.CreateCertificateFromCsrRequest) (*iot.CreateCertificateFromCsrResponse, error) {
	request, err := identity.ParseRequest(in.CertificateSigningRequest)
	if err != nil {
		return nil, err
	}
	c, err := o.issue(ctx, request.PublicKey, request.RawSubject, in.SetAsActive)
	if err != nil {
		return nil, err
	}
	return &iot.CreateCertificateFromCsrResponse{
		CertificateArn: certificateARN(call, c.ID), CertificateId: text(c.ID), CertificatePem: &c.PEM,
	}, nil
}

// issue makes a certificate and registers it.
func (o *operations) issue(ctx context.Context, key crypto.PublicKey, subject []byte, active *bool) (identity.Certificate, error) {
	der, err := o.issuer.Issue(key, subject, time.Now())
	if err != nil {
		return identity.Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return identity.Certificate{}, fmt.Errorf("cannot read a certificate of our own: %w", err)
	}
	return o.register(ctx, cert, firstStatus(nil, active), identity.Default, "")
}

// firstStatus is that of a new certificate: the one asked for, or by the older
// member setAsActive.
func firstStatus(status *string, active *bool) identity.Status {
	switch {
	case status != nil:
		return identity.Status(*status)
	case or(active, false):
		return identity.Active
	}
	return identity.Inactive
}

func (o *operations) register(ctx context.Context, cert *x509.Certificate, status identity.Status, mode identity.Mode, ca identity.CertificateID) (identity.Certificate, error) {
	c, err := identity.NewCertificate(cert, status, mode, ca)
	if err != nil {
		return c, err
	}
	return engine.Do(ctx, o.engine, engine.RegisterCertificate{Certificate: c})
}

func (o *operations) registerCertificateWithoutCA(ctx context.Context, call restjson.Call, in *iot.RegisterCertificateWithoutCARequest) (*iot.RegisterCertificateWithoutCAResponse, error) {
	cert, err := identity.ParseCertificate(in.CertificatePem)
	if err != nil {
		return nil, err
	}
	c, err := o.register(ctx, cert, firstStatus(in.Status, nil), identity.SNIOnly, "")
	if err != nil {
		return nil, err
	}
	return &iot.RegisterCertificateWithoutCAResponse{CertificateArn: certificateARN(call, c.ID), CertificateId: text(c.ID)}, nil
}

func (o *operations) registerCertificate(ctx context.Context, call restjson.Call, in *iot.RegisterCertificateRequest) (*iot.RegisterCertificateResponse, error) {
	cert, err := identity.ParseCertificate(in.CertificatePem)
	if err != nil {
		return nil, err
	}
	ca, err := o.signer(ctx, cert, in.CaCertificatePem)
	if err != nil {
		return nil, err
	}
	c, err := o.register(ctx, cert, firstStatus(in.Status, in.SetAsActive), ca.Mode, ca.ID)
	if err != nil {
		return nil, err
	}
	return &iot.RegisterCertificateResponse{CertificateArn: certificateARN(call, c.ID), CertificateId: text(c.ID)}, nil
}

// signer finds the registered CA that signed a certificate: the one that the
// request names, else the only one of the right name and key.
func (o *operations) signer(ctx context.Context, cert *x509.Certificate, named *string) (identity.Authority, error) {
	subject := cert.RawIssuer
	var only identity.CertificateID
	if named != nil {
		ca, err := identity.ParseCertificate(*named)
		if err != nil {
			return identity.Authority{}, err
		}
		subject, only = ca.RawSubject, identity.IDOf(ca.Raw)
	}
	var candidates []identity.Authority
	err := o.read(ctx, func(v *engine.View) error { candidates = v.AuthoritiesOf(subject); return nil })
	if err != nil {
		return identity.Authority{}, err
	}
	return chooseSigner(cert, candidates, only)
}

// chooseSigner checks the signature against every candidate, or the one of
// the given id.
func chooseSigner(cert *x509.Certificate, candidates []identity.Authority, only identity.CertificateID) (identity.Authority, error) {
	var found []identity.Authority
	for _, candidate := range candidates {
		if only != "" && candidate.ID != only {
			continue
		}
		ca, err := identity.ParseCertificate(candidate.PEM)
		if err != nil {
			return identity.Authority{}, err
		}
		err = identity.SignedBy(cert, ca)
		if err != nil && only != "" {
			return identity.Authority{}, err
		}
		if err == nil {
			found = append(found, candidate)
		}
	}
	switch len(found) {
	case 0:
		return identity.Authority{}, protocol.Errorf(protocol.CertificateValidation, "no registered CA certificate signed the certificate of %q: register %q first", cert.Subject, cert.Issuer)
	case 1:
		return found[0], nil
	}
	return identity.Authority{}, protocol.Errorf(protocol.CertificateConflict, "%d registered CA certificates have the subject %q and the key that signed: say which one with caCertificatePem", len(found), cert.Issuer)
}

func (o *operations) describeCertificate(ctx context.Context, call restjson.Call, in *iot.DescribeCertificateRequest) (*iot.DescribeCertificateResponse, error) {
	var c identity.Certificate
	err := o.read(ctx, func(v *engine.View) (err error) {
		c, err = v.Certificate(identity.CertificateID(in.CertificateId))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &iot.DescribeCertificateResponse{CertificateDescription: &iot.CertificateDescription{
		CertificateArn: certificateARN(call, c.ID), CertificateId: text(c.ID), CaCertificateId: text(c.CA), Status: text(c.Status),
		CertificatePem: &c.PEM, OwnedBy: &call.Account, CreationDate: awsmodel.TimeOf(c.CreatedAt), LastModifiedDate: awsmodel.TimeOf(c.ModifiedAt),
		CustomerVersion: &c.Version, GenerationId: &c.GenerationID, Validity: validity(c.Validity), CertificateMode: text(c.Mode),
	}}, nil
}

func validity(v identity.Validity) *iot.CertificateValidity {
	return &iot.CertificateValidity{NotBefore: awsmodel.TimeOf(v.NotBefore), NotAfter: awsmodel.TimeOf(v.NotAfter)}
}

func (o *operations) updateCertificate(ctx context.Context, _ restjson.Call, in *iot.UpdateCertificateRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.UpdateCertificate{ID: identity.CertificateID(in.CertificateId), Status: identity.Status(in.NewStatus)})
	return nil, err
}

func (o *operations) deleteCertificate(ctx context.Context, _ restjson.Call, in *iot.DeleteCertificateRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeleteCertificate{ID: identity.CertificateID(in.CertificateId), Force: or(in.ForceDelete, false)})
	return nil, err
}

func (o *operations) listCertificates(ctx context.Context, call restjson.Call, in *iot.ListCertificatesRequest) (*iot.ListCertificatesResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, in.AscendingOrder)
	if err != nil {
		return nil, err
	}
	out := &iot.ListCertificatesResponse{}
	out.Certificates, out.NextMarker, err = o.certificatePage(ctx, call, func(v *engine.View) ([]identity.Certificate, string, error) { return v.Certificates(p) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (o *operations) listCertificatesByCA(ctx context.Context, call restjson.Call, in *iot.ListCertificatesByCARequest) (*iot.ListCertificatesByCAResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, in.AscendingOrder)
	if err != nil {
		return nil, err
	}
	out := &iot.ListCertificatesByCAResponse{}
	out.Certificates, out.NextMarker, err = o.certificatePage(ctx, call, func(v *engine.View) ([]identity.Certificate, string, error) {
		return v.CertificatesByCA(identity.CertificateID(in.CaCertificateId), p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// certificatePage shows a page of certificates.
func (o *operations) certificatePage(ctx context.Context, call restjson.Call, list func(v *engine.View) ([]identity.Certificate, string, error)) (shown []iot.Certificate, marker *string, err error) {
	shown = []iot.Certificate{}
	err = o.read(ctx, func(v *engine.View) error {
		all, cursor, err := list(v)
		for _, c := range all {
			shown = append(shown, iot.Certificate{
				CertificateArn: certificateARN(call, c.ID), CertificateId: text(c.ID), Status: text(c.Status),
				CertificateMode: text(c.Mode), CreationDate: awsmodel.TimeOf(c.CreatedAt),
			})
		}
		marker = next(call, cursor)
		return err
	})
	return shown, marker, err
}

func certificateARN(call restjson.Call, id identity.CertificateID) *string {
	return new(call.ARN(protocol.KindCertificate, string(id)))
}

// markedPageSize is that of the lists that page by marker.
const markedPageSize = 25

// markedPage says which part of a list that pages by marker a request asks
// for. The oldest come first, as everywhere (rule 26), unless the request says
// that it does not want ascending order.
func markedPage(call restjson.Call, marker *string, size *int64, ascending *bool) (engine.Page, error) {
	p, err := page(call, marker, new(or(size, markedPageSize)))
	p.Newest = !or(ascending, true)
	return p, err
}

// identityTable are the operations of certificates and policies.
func (o *operations) identityTable() map[string]restjson.Operation {
	return map[string]restjson.Operation{
		"iot.CreateKeysAndCertificate":     restjson.Serve(o.createKeysAndCertificate),
		"iot.CreateCertificateFromCsr":     restjson.Serve(o.createCertificateFromCsr),
		"iot.RegisterCertificate":          restjson.Serve(o.registerCertificate),
		"iot.RegisterCertificateWithoutCA": restjson.Serve(o.registerCertificateWithoutCA),
		"iot.DescribeCertificate":          restjson.Serve(o.describeCertificate),
		"iot.UpdateCertificate":            restjson.Serve(o.updateCertificate),
		"iot.DeleteCertificate":            restjson.Serve(o.deleteCertificate),
		"iot.ListCertificates":             restjson.Serve(o.listCertificates),
		"iot.ListCertificatesByCA":         restjson.Serve(o.listCertificatesByCA),

		"iot.GetRegistrationCode":   restjson.Serve(o.getRegistrationCode),
		"iot.RegisterCACertificate": restjson.Serve(o.registerCACertificate),
		"iot.DescribeCACertificate": restjson.Serve(o.describeCACertificate),
		"iot.UpdateCACertificate":   restjson.Serve(o.updateCACertificate),
		"iot.DeleteCACertificate":   restjson.Serve(o.deleteCACertificate),
		"iot.ListCACertificates":    restjson.Serve(o.listCACertificates),

		"iot.AttachThingPrincipal":  restjson.Serve(o.attachThingPrincipal),
		"iot.DetachThingPrincipal":  restjson.Serve(o.detachThingPrincipal),
		"iot.ListThingPrincipals":   restjson.Serve(o.listThingPrincipals),
		"iot.ListThingPrincipalsV2": restjson.Serve(o.listThingPrincipalsV2),
		"iot.ListPrincipalThings":   restjson.Serve(o.listPrincipalThings),
		"iot.ListPrincipalThingsV2": restjson.Serve(o.listPrincipalThingsV2),

		"iot.CreatePolicy":            restjson.Serve(o.createPolicy),
		"iot.GetPolicy":               restjson.Serve(o.getPolicy),
		"iot.DeletePolicy":            restjson.Serve(o.deletePolicy),
		"iot.ListPolicies":            restjson.Serve(o.listPolicies),
		"iot.CreatePolicyVersion":     restjson.Serve(o.createPolicyVersion),
		"iot.GetPolicyVersion":        restjson.Serve(o.getPolicyVersion),
		"iot.ListPolicyVersions":      restjson.Serve(o.listPolicyVersions),
		"iot.DeletePolicyVersion":     restjson.Serve(o.deletePolicyVersion),
		"iot.SetDefaultPolicyVersion": restjson.Serve(o.setDefaultPolicyVersion),
		"iot.AttachPolicy":            restjson.Serve(o.attachPolicy),
		"iot.DetachPolicy":            restjson.Serve(o.detachPolicy),
		"iot.ListAttachedPolicies":    restjson.Serve(o.listAttachedPolicies),
		"iot.ListTargetsForPolicy":    restjson.Serve(o.listTargetsForPolicy),
		"iot.AttachPrincipalPolicy":   restjson.Serve(o.attachPrincipalPolicy),
		"iot.DetachPrincipalPolicy":   restjson.Serve(o.detachPrincipalPolicy),
		"iot.ListPrincipalPolicies":   restjson.Serve(o.listPrincipalPolicies),
		"iot.ListPolicyPrincipals":    restjson.Serve(o.listPolicyPrincipals),
	}
}
