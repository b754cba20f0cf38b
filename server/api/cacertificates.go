package api

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
)

func (o *operations) getRegistrationCode(ctx context.Context, _ restjson.Call, _ *iot.GetRegistrationCodeRequest) (*iot.GetRegistrationCodeResponse, error) {
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails
	code, err := engine.Do(ctx, o.engine, engine.RegistrationCode{Fresh: hex.EncodeToString(fresh)})
	if err != nil {
		return nil, err
	}
	return &iot.GetRegistrationCodeResponse{RegistrationCode: &code}, nil
}

func (o *operations) registerCACertificate(ctx context.Context, call restjson.Call, in *iot.RegisterCACertificateRequest) (*iot.RegisterCACertificateResponse, error) {
	if in.RegistrationConfig != nil {
		return nil, unsupported(call.Operation, "registrationConfig")
	}
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	ca, err := identity.ParseCertificate(in.CaCertificate)
	if err != nil {
		return nil, err
	}
	mode := identity.Mode(or(in.CertificateMode, string(identity.Default)))
	name, err := provenName(mode, ca, in.VerificationCertificate)
	if err != nil {
		return nil, err
	}
	status := identity.AuthorityInactive
	if or(in.SetAsActive, false) {
		status = identity.AuthorityActive
	}
	a, err := identity.NewAuthority(ca, status, mode, or(in.AllowAutoRegistration, false), time.Now())
	if err != nil {
		return nil, err
	}
	if a, err = engine.Do(ctx, o.engine, engine.RegisterAuthority{Authority: a, CommonName: name, Tags: given}); err != nil {
		return nil, err
	}
	return &iot.RegisterCACertificateResponse{CertificateArn: authorityARN(call, a.ID), CertificateId: text(a.ID)}, nil
}

// provenName is what the CA signed to prove who owns it; in the mode that
// asks for no proof none may be given.
func provenName(mode identity.Mode, ca *x509.Certificate, verification *string) (string, error) {
	switch {
	case mode == identity.SNIOnly && verification != nil:
		return "", protocol.Errorf(protocol.InvalidRequest, "verificationCertificate must be left out when certificateMode is SNI_ONLY")
	case mode == identity.SNIOnly:
		return "", nil
	case verification == nil:
		return "", protocol.Errorf(protocol.InvalidRequest, "verificationCertificate is needed unless certificateMode is SNI_ONLY")
	}
	cert, err := identity.ParseCertificate(*verification)
	if err != nil {
		return "", err
	}
	return identity.CheckVerification(ca, cert)
}

func (o *operations) describeCACertificate(ctx context.Context, call restjson.Call, in *iot.DescribeCACertificateRequest) (*iot.DescribeCACertificateResponse, error) {
	var a identity.Authority
	err := o.read(ctx, func(v *engine.View) (err error) {
		a, err = v.Authority(identity.CertificateID(in.CertificateId))
		return err
	})
	if err != nil {
		return nil, err
	}
	auto := autoOff
	if a.AutoRegister {
		auto = autoOn
	}
	return &iot.DescribeCACertificateResponse{CertificateDescription: &iot.CACertificateDescription{
		CertificateArn: authorityARN(call, a.ID), CertificateId: text(a.ID), Status: text(a.Status), CertificatePem: &a.PEM,
		OwnedBy: &call.Account, CreationDate: awsmodel.TimeOf(a.CreatedAt), AutoRegistrationStatus: &auto,
		LastModifiedDate: awsmodel.TimeOf(a.ModifiedAt), CustomerVersion: &a.Version, GenerationId: &a.GenerationID,
		Validity: validity(a.Validity), CertificateMode: text(a.Mode),
	}}, nil
}

// The values of autoRegistrationStatus.
const (
	autoOn  = "ENABLE"
	autoOff = "DISABLE"
)

func (o *operations) updateCACertificate(ctx context.Context, call restjson.Call, in *iot.UpdateCACertificateRequest) (*restjson.Nothing, error) {
	if in.RegistrationConfig != nil {
		return nil, unsupported(call.Operation, "registrationConfig")
	}
	update := engine.UpdateAuthority{ID: identity.CertificateID(in.CertificateId)}
	if in.NewStatus != nil {
		update.Status = new(identity.AuthorityStatus(*in.NewStatus))
	}
	switch remove := or(in.RemoveAutoRegistration, false); {
	case remove && or(in.NewAutoRegistrationStatus, autoOff) == autoOn:
		return nil, protocol.Errorf(protocol.InvalidRequest, "removeAutoRegistration and newAutoRegistrationStatus ENABLE exclude each other")
	case remove:
		update.AutoRegister = new(false)
	case in.NewAutoRegistrationStatus != nil:
		update.AutoRegister = new(*in.NewAutoRegistrationStatus == autoOn)
	}
	_, err := engine.Do(ctx, o.engine, update)
	return nil, err
}

func (o *operations) deleteCACertificate(ctx context.Context, _ restjson.Call, in *iot.DeleteCACertificateRequest) (*iot.DeleteCACertificateResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeleteAuthority{ID: identity.CertificateID(in.CertificateId)})
	return nil, err
}

func (o *operations) listCACertificates(ctx context.Context, call restjson.Call, in *iot.ListCACertificatesRequest) (*iot.ListCACertificatesResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, in.AscendingOrder)
	if err != nil {
		return nil, err
	}
	out := &iot.ListCACertificatesResponse{Certificates: []iot.CACertificate{}}
	if in.TemplateName != nil { // no CA has a provisioning template here
		return out, nil
	}
	err = o.read(ctx, func(v *engine.View) error {
		all, cursor, err := v.Authorities(p)
		for _, a := range all {
			out.Certificates = append(out.Certificates, iot.CACertificate{
				CertificateArn: authorityARN(call, a.ID), CertificateId: text(a.ID), Status: text(a.Status), CreationDate: awsmodel.TimeOf(a.CreatedAt),
			})
		}
		out.NextMarker = next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func authorityARN(call restjson.Call, id identity.CertificateID) *string {
	return new(call.ARN(protocol.KindCACertificate, string(id)))
}
