//! Which client certificates are let in.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use webpki::EndEntityCert;

/// Asks the client for a certificate, and decides.
#[derive(Debug)]
pub(super) struct Clients {
    /// Verifies who issued it. None: whatever the client has will do.
    pub(super) issued: Option<Arc<dyn ClientCertVerifier>>,
    /// Whether nobody is let in without one.
    pub(super) is_mandatory: bool,
    /// It has one of these names; empty: any name will do.
    pub(super) allowed: Vec<String>,
    /// The signatures that the client may prove its key with.
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issued.as_ref().map_or(&[], |issued| issued.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(issued) = &self.issued {
            issued.verify_client_cert(certificate, intermediates, now)?;
        }
        if self.allowed.is_empty() || self.is_allowed(certificate)? {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotAllowed))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Clients {
    /// Whether one of its names is allowed to the letter: a certificate for `*.example` is not one
    /// for `a.example`.
    fn is_allowed(&self, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let unreadable = |_| Error::from(CertificateError::BadEncoding);
        let certificate = EndEntityCert::try_from(certificate).map_err(unreadable)?;
        Ok(self.allowed.iter().any(|allowed| match allowed.parse::<IpAddr>() {
            Ok(address) => {
                let address = ServerName::IpAddress(address.into());
                certificate.verify_is_valid_for_subject_name(&address).is_ok()
            }
            Err(_) => {
                certificate.valid_dns_names().any(|name| name == allowed)
                    || certificate.valid_uri_names().any(|name| name == allowed)
            }
        }))
    }
}

/// For the log: who was turned away knows its own name.
#[derive(Debug, thiserror::Error)]
#[error("no name of the client's certificate is in `client_allowed_sans`")]
struct NotAllowed;
