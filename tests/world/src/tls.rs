//! TLS under real host names: a certificate authority of the world, and a leaf certificate for every name that is asked
//! for.
//!
//! Guarantees: the authority exists only in memory, and every world has its own; leaves say that they are not an
//! authority, which rustls requires.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::Offset;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::world::World;

/// The name for a client that sends no server name, because it connected to an address.
const NAMELESS: [&str; 2] = ["localhost", "127.0.0.1"];

/// The authority, and the leaves that it has signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    provider: Arc<CryptoProvider>,
}

/// A certificate and its key as PEM, for a server that needs files.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Arc<Self> {
        let mut params = lasting(CertificateParams::default());
        params.distinguished_name.push(DnType::CommonName, "The world's own authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the authority can sign itself");
        Arc::new(Self {
            issuer,
            leaves: Mutex::default(),
            // Named here, because other crates in a test may have installed any provider as the process's default, or none.
            provider: Arc::new(aws_lc_rs::default_provider()),
        })
    }

    /// The authority's own certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn sign(&self, names: &[&str]) -> Option<(rcgen::Certificate, KeyPair)> {
        let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let common = names.first()?.clone();
        let mut params = lasting(CertificateParams::new(names).ok()?);
        params.distinguished_name.push(DnType::CommonName, common);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().ok()?;
        Some((params.signed_by(&key, &self.issuer).ok()?, key))
    }

    /// A new leaf for all of `names`; `None` if one of them is not a host name.
    pub(crate) fn leaf(&self, names: &[&str]) -> Option<Leaf> {
        let (certificate, key) = self.sign(names)?;
        Some(Leaf { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn served(&self, names: &[&str]) -> Option<Arc<CertifiedKey>> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (*names.first()?).to_owned();
        if let Some(leaf) = leaves.get(&name) {
            return Some(Arc::clone(leaf));
        }
        let (certificate, key) = self.sign(names)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let leaf = CertifiedKey::from_der(vec![certificate.der().clone()], key, &self.provider).ok()?;
        Some(Arc::clone(leaves.entry(name).or_insert(Arc::new(leaf))))
    }

    /// Terminates TLS for any name that the client asks for.
    pub(crate) fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the usual versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(name) => self.served(&[name]),
            None => self.served(&NAMELESS),
        }
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Valid from yesterday for about a year, by the real clock, which clients use for this check.
fn lasting(mut params: CertificateParams) -> CertificateParams {
    let today = Offset::UTC.to_datetime(Timestamp::now()).date();
    let date = |days: i32| {
        let date = today.checked_add(jiff::Span::new().days(days)).unwrap_or(today);
        let (month, day) = (u8::try_from(date.month()).unwrap_or(1), u8::try_from(date.day()).unwrap_or(1));
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    (params.not_before, params.not_after) = (date(-1), date(365));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

impl World {
    /// The certificate of the world's authority as PEM.
    pub fn ca_pem(&self) -> String {
        self.shared().authority.pem()
    }

    /// Writes [`World::ca_pem`] into the folder `dir` and returns the file, for a program's `SSL_CERT_FILE`. The file has
    /// only this certificate; a program that also needs those of the system needs `SSL_CERT_DIR` too.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn ca_file(&self, dir: &Path) -> PathBuf {
        let file = dir.join("world-ca.pem");
        std::fs::write(&file, self.ca_pem())
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        file
    }
}
