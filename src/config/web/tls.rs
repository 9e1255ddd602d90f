//! The block `tls_server_config`, and from it what the server speaks.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{
    Error, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use secrecy::{ExposeSecret, SecretString};

use super::client::Clients;
use super::file::Tls;
use super::seen::Seen;
use crate::config::credential::{MAX_PEM_KIB, NO_CERTIFICATE};
use crate::config::position::child;
use crate::config::problem::{listed, quoted};
use crate::config::report::Report;
use crate::config::schema::nearest;
use crate::config::{Fetch, SecretError, Source};
use crate::error::Chain;

const PATH: &str = "tls_server_config";

/// The files that the block names.
pub(super) struct Files<'a> {
    pub(super) fetch: &'a Fetch<'a>,
    pub(super) folder: &'a Path,
    /// Each is noted as it was before it was read.
    pub(super) seen: &'a mut Vec<Seen>,
}

/// What the block says. None if anything is wrong, which the report then tells.
pub(super) fn check(
    written: &Tls,
    report: &mut Report,
    files: &mut Files<'_>,
) -> Option<Arc<ServerConfig>> {
    let certificate =
        pem("cert", written.cert.as_ref(), written.cert_file.as_deref(), report, files);
    let key = pem("key", written.key.as_ref(), written.key_file.as_deref(), report, files);
    for (name, found) in [("cert", &certificate), ("key", &key)] {
        if let Ok(None) = found {
            let message = format!("{} is missing, or `{name}`", quoted(&format!("{name}_file")));
            report.error_at_key(PATH, message);
        }
    }
    // Each is checked, whatever is wrong with the one before it.
    let chain = certificate.ok().flatten().and_then(|pem| chain(&pem, report));
    let key = key.ok().flatten().and_then(|pem| private_key(pem, report));
    let versions = versions(written, report);
    let suites = suites(written, report);
    let groups = groups(written, report);
    let clients = clients(written, report, files);

    let (key, key_path) = key?;
    let (suites, groups, mut versions) = (suites?, groups?, versions?);
    // Only names of suites that there are not here, or of TLS 1.3, were listed.
    if !suites.iter().any(|suite| suite.version() == &version::TLS12) {
        versions.retain(|version| *version != &version::TLS12);
        if versions.is_empty() {
            let message = "no suite is left for TLS 1.2, and `max_version` excludes TLS 1.3";
            report.error(&child(PATH, "cipher_suites"), message);
            return None;
        }
    }
    let (chain, clients) = (chain?, clients?);
    let provider =
        CryptoProvider { cipher_suites: suites, kx_groups: groups, ..ring::default_provider() };
    let builder = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&versions)
        .map(|builder| match clients {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        });
    match builder.and_then(|builder| builder.with_single_cert(chain, key)) {
        Ok(mut config) => {
            config.ignore_client_order = written.prefer_server_cipher_suites.unwrap_or(true);
            // What the server behind speaks; a client that can only do otherwise learns it here.
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(config))
        }
        Err(Error::InconsistentKeys(_)) => {
            report.error(&key_path, "is not the key of the certificate");
            None
        }
        Err(error) => {
            report.error(PATH, format!("cannot use this certificate and key: {error}"));
            None
        }
    }
}

/// A PEM text, and the path of the key of the file that it comes from.
struct Pem {
    text: SecretString,
    path: String,
}

/// What is given in place or in a file. `Err` if it cannot be had, which is told.
fn pem(
    name: &str,
    inline: Option<&SecretString>,
    file: Option<&str>,
    report: &mut Report,
    files: &mut Files<'_>,
) -> Result<Option<Pem>, ()> {
    // As in the toolkit, an empty text is none.
    let inline = inline.filter(|text| !text.expose_secret().is_empty());
    let file = file.filter(|file| !file.is_empty());
    let path = child(PATH, &format!("{name}_file"));
    match (inline, file) {
        (Some(_), Some(_)) => {
            report.error_at_key(&path, format!("is there as {} too; remove one", quoted(name)));
            Err(())
        }
        (Some(text), None) => Ok(Some(Pem { text: text.clone(), path: child(PATH, name) })),
        (None, Some(file)) => {
            let file = files.folder.join(file);
            files.seen.push(Seen::of(&file));
            match (files.fetch)(&Source::File(file), MAX_PEM_KIB) {
                Ok(text) => Ok(Some(Pem { text, path })),
                Err(error) => {
                    let message = match error {
                        SecretError::Empty => "the file is empty; it must be PEM".to_owned(),
                        SecretError::Text => "the file is not text; it must be PEM".to_owned(),
                        error => Chain(&error).to_string(),
                    };
                    report.error(&path, message);
                    Err(())
                }
            }
        }
        (None, None) => Ok(None),
    }
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found = CertificateDer::pem_slice_iter(pem.text.expose_secret().as_bytes());
    match found.collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => Err(NO_CERTIFICATE),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(BAD_CERTIFICATE),
    }
}

fn chain(pem: &Pem, report: &mut Report) -> Option<Vec<CertificateDer<'static>>> {
    let chain = certificates(pem).and_then(|chain| {
        let readable = |it: &CertificateDer<'_>| webpki::EndEntityCert::try_from(it).is_ok();
        if chain.iter().all(readable) { Ok(chain) } else { Err(BAD_CERTIFICATE) }
    });
    chain.map_err(|message| report.error(&pem.path, message)).ok()
}

fn private_key(pem: Pem, report: &mut Report) -> Option<(PrivateKeyDer<'static>, String)> {
    let key = PrivateKeyDer::from_pem_slice(pem.text.expose_secret().as_bytes());
    if key.is_err() {
        report.error(&pem.path, "has no private key; it must be PEM, and not encrypted");
    }
    Some((key.ok()?, pem.path))
}

/// The versions, from the least to the most.
fn versions(written: &Tls, report: &mut Report) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let mut read = |key: &str, text: Option<&str>, default: usize| {
        let path = child(PATH, key);
        let Some(text) = text else { return Some(default) };
        let Some(at) = VERSIONS.iter().position(|version| *version == text) else {
            let known = listed(VERSIONS, "or");
            report.error(&path, format!("{} is not one of {known}", quoted(text)));
            return None;
        };
        Some(at)
    };
    let min = read("min_version", written.min_version.as_deref(), TLS12);
    let max = read("max_version", written.max_version.as_deref(), TLS13);
    let (min, max) = (min?, max?);
    if max < TLS12 {
        let message = "TLS 1.0 and 1.1 are not spoken here; write `TLS12` or `TLS13`";
        report.error(&child(PATH, "max_version"), message);
        return None;
    }
    if min < TLS12 {
        let message = "TLS 1.0 and 1.1 are not spoken here; `TLS12` is in force";
        report.finding(&child(PATH, "min_version"), message);
    }
    if min > max {
        report.error(&child(PATH, "min_version"), "is above `max_version`");
        return None;
    }
    let all = [(TLS12, &version::TLS12), (TLS13, &version::TLS13)];
    let wanted = all.into_iter().filter(|(at, _)| (min..=max).contains(at));
    Some(wanted.map(|(_, version)| version).collect())
}

const VERSIONS: [&str; 4] = ["TLS10", "TLS11", "TLS12", "TLS13"];
const TLS12: usize = 2;
const TLS13: usize = 3;

/// Those of TLS 1.3, which cannot be chosen in this file, and of those of TLS 1.2 the listed ones in
/// their order.
fn suites(written: &Tls, report: &mut Report) -> Option<Vec<SupportedCipherSuite>> {
    let all = ring::default_provider().cipher_suites;
    let listed = written.cipher_suites.as_deref().unwrap_or_default();
    if listed.is_empty() {
        return Some(all);
    }
    let (mut chosen, old): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|suite| suite.version() == &version::TLS13);
    let name = |suite: &SupportedCipherSuite| suite.suite().as_str().unwrap_or_default();
    let names: Vec<&str> = old.iter().map(name).collect();
    let mut is_good = true;
    for (at, wanted) in listed.iter().enumerate() {
        let path = format!("{PATH}.cipher_suites[{at}]");
        if let Some(suite) = old.iter().find(|suite| name(suite) == wanted) {
            chosen.push(*suite);
        } else if OTHER_SUITES.contains(&wanted.as_str()) {
            report.finding(&path, "is weak and not spoken here; remove it");
        } else if !SUITES_OF_TLS13.contains(&wanted.as_str()) {
            let near = nearest(wanted, names.iter().copied().chain(SUITES_OF_TLS13));
            let hint = near.map_or_else(
                || format!("known are {}", self::listed(names.iter().copied(), "and")),
                |near| format!("did you mean {}?", quoted(near)),
            );
            report.error(&path, format!("unknown cipher suite; {hint}"));
            is_good = false;
        }
    }
    is_good.then_some(chosen)
}

/// Always on in TLS 1.3.
const SUITES_OF_TLS13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
/// What the toolkit knows besides, of any of its versions: by CBC, or without forward secrecy.
const OTHER_SUITES: [&str; 8] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// The curves that were listed, in their order.
fn groups(written: &Tls, report: &mut Report) -> Option<Vec<&'static dyn SupportedKxGroup>> {
    let known: [(&str, &'static dyn SupportedKxGroup); 3] = [
        ("X25519", ring::kx_group::X25519),
        ("CurveP256", ring::kx_group::SECP256R1),
        ("CurveP384", ring::kx_group::SECP384R1),
    ];
    let listed = written.curve_preferences.as_deref().unwrap_or_default();
    if listed.is_empty() {
        return Some(ring::default_provider().kx_groups);
    }
    let mut chosen = Vec::new();
    let mut is_good = true;
    for (at, wanted) in listed.iter().enumerate() {
        let path = format!("{PATH}.curve_preferences[{at}]");
        let found = known.iter().find(|(name, _)| name == wanted);
        if let Some((_, group)) = found {
            chosen.push(*group);
        } else if OTHER_CURVES.contains(&wanted.as_str()) {
            report.finding(&path, "is not spoken here; remove it");
        } else {
            let names = self::listed(known.map(|(name, _)| name), "and");
            report.error(&path, format!("unknown curve; known are {names}"));
            is_good = false;
        }
    }
    if is_good && chosen.is_empty() {
        let names = self::listed(known.map(|(name, _)| name), "or");
        report.error(&child(PATH, "curve_preferences"), format!("none is left; add {names}"));
        return None;
    }
    is_good.then_some(chosen)
}

/// What the toolkit knows besides, of any of its versions.
const OTHER_CURVES: [&str; 4] =
    ["CurveP521", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "X25519MLKEM768"];

/// Who asks the clients for a certificate; none: nobody does. `None` outside if something is wrong.
#[expect(clippy::option_option, reason = "whether it could be read, and what was read")]
fn clients(
    written: &Tls,
    report: &mut Report,
    files: &mut Files<'_>,
) -> Option<Option<Arc<dyn ClientCertVerifier>>> {
    let path = child(PATH, "client_auth_type");
    let kind = match written.client_auth_type.as_deref().unwrap_or_default() {
        "" | "NoClientCert" => Some(Kind::Nobody),
        "RequestClientCert" => Some(Kind::Request),
        // The second is the name that old versions of the toolkit had for it.
        "RequireAnyClientCert" | "RequireClientCert" => Some(Kind::RequireAny),
        "VerifyClientCertIfGiven" => Some(Kind::VerifyIfGiven),
        "RequireAndVerifyClientCert" => Some(Kind::RequireAndVerify),
        other => {
            let message = match nearest(other, KINDS) {
                Some(near) => {
                    format!("{} is not known; did you mean {}?", quoted(other), quoted(near))
                }
                None => format!("{} is not one of {}", quoted(other), listed(KINDS, "or")),
            };
            report.error(&path, message);
            None
        }
    };
    let (ca, ca_file) = (written.client_ca.as_ref(), written.client_ca_file.as_deref());
    let ca = pem("client_ca", ca, ca_file, report, files);
    let roots = match &ca {
        Ok(Some(pem)) => roots(pem, report),
        _ => None,
    };
    let allowed = written.client_allowed_sans.clone().unwrap_or_default();
    let mut is_good = true;
    for (at, name) in allowed.iter().enumerate() {
        if name.contains('@') && !name.contains("://") {
            let message = "a mail address cannot be compared here; DNS names, IP addresses and \
                           URIs can";
            report.error(&format!("{PATH}.client_allowed_sans[{at}]"), message);
            is_good = false;
        }
    }
    let (kind, ca) = (kind?, ca.ok()?);
    let verifies = matches!(kind, Kind::VerifyIfGiven | Kind::RequireAndVerify);
    let is_mandatory = matches!(kind, Kind::RequireAny | Kind::RequireAndVerify);
    if written.client_allowed_sans.is_some() && !is_mandatory {
        let message = "needs a `client_auth_type` that lets nobody in without a certificate: \
                       `RequireAndVerifyClientCert`";
        report.error_at_key(&child(PATH, "client_allowed_sans"), message);
        is_good = false;
    }
    match (&ca, kind) {
        (Some(ca), Kind::Nobody) => {
            let message = "is of no use, since no client is asked for a certificate; write \
                           `client_auth_type: RequireAndVerifyClientCert`, or remove it";
            report.error_at_key(&ca.path, message);
            is_good = false;
        }
        (Some(ca), Kind::Request | Kind::RequireAny) => {
            report
                .finding_at_key(&ca.path, "is not used: this `client_auth_type` verifies nothing");
        }
        (None, Kind::VerifyIfGiven | Kind::RequireAndVerify) => {
            report.error(&path, "needs the CA of the clients as `client_ca_file` or `client_ca`");
            is_good = false;
        }
        _ => {}
    }
    match kind {
        Kind::Nobody => return is_good.then_some(None),
        Kind::Request | Kind::RequireAny => {
            let message = "takes any certificate, also one that the client made itself; \
                           `RequireAndVerifyClientCert` is the one that keeps others out";
            report.finding(&path, message);
        }
        Kind::VerifyIfGiven => {
            let message = "lets in who has no certificate; `RequireAndVerifyClientCert` is the one \
                           that keeps others out";
            report.finding(&path, message);
        }
        Kind::RequireAndVerify => {}
    }
    let issued: Option<Arc<dyn ClientCertVerifier>> = if verifies {
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots?), provider);
        Some(builder.build().ok()?)
    } else {
        None
    };
    let algorithms = ring::default_provider().signature_verification_algorithms;
    is_good.then(|| {
        let clients: Arc<dyn ClientCertVerifier> =
            Arc::new(Clients { issued, is_mandatory, allowed, algorithms });
        Some(clients)
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Nobody,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

const KINDS: [&str; 5] = [
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
];

/// Who may issue certificates of clients; at least one.
fn roots(pem: &Pem, report: &mut Report) -> Option<RootCertStore> {
    let roots = certificates(pem).and_then(|certificates| {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|_| BAD_CERTIFICATE)?;
        }
        Ok(roots)
    });
    roots.map_err(|message| report.error(&pem.path, message)).ok()
}

const BAD_CERTIFICATE: &str = "has a certificate that cannot be read";
