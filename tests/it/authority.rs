//! Certificates for the tests, made when they are needed.

use std::sync::Arc;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// An authority of our own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For names, addresses and URIs, good until the end of a year.
    pub(crate) fn issue(&self, names: &[&str], until: i32) -> Leaf {
        let (params, key) = (params(names, until), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }

    /// A client that trusts it, and shows this certificate if there is one.
    pub(crate) fn client(&self, own: Option<&Leaf>) -> Arc<ClientConfig> {
        self.client_of(own, rustls::ALL_VERSIONS)
    }

    /// The same, with other versions of TLS.
    pub(crate) fn client_of(
        &self,
        own: Option<&Leaf>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(Leaf { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                let key = any_supported_type(&key).unwrap();
                // Not looked at whether the two belong together: a thief has only the one.
                let own = SingleCertAndKey::from(CertifiedKey::new(chain, key));
                builder.with_client_cert_resolver(Arc::new(own))
            }
        })
    }
}

/// A certificate that nobody vouches for but its own key.
pub(crate) fn self_made(name: &str) -> Leaf {
    let key = KeyPair::generate().unwrap();
    let certificate = params(&[name], 2100).self_signed(&key).unwrap().pem();
    Leaf { certificate, key: key.serialize_pem() }
}

fn params(names: &[&str], until: i32) -> CertificateParams {
    let (uris, hosts): (Vec<&str>, Vec<&str>) = names.iter().partition(|it| it.contains("://"));
    let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    for uri in uris {
        params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri).unwrap()));
    }
    params.not_after = date_time_ymd(until, 12, 31);
    params
}
