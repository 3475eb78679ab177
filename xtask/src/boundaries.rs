//! The limits on dependencies of the product: one HTTP client, one HTTP implementation, one TLS stack, and no OpenSSL.

use crate::cargo::{cargo, output};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// There must be exactly one version of each: two TLS stacks would trust two sets of certificates.
const ONE: [&str; 3] = ["reqwest", "hyper", "rustls"];
/// These must not be there: they need a C library on the machine that the function app runs on.
const NONE: [&str; 3] = ["openssl", "openssl-sys", "native-tls"];

pub(crate) fn check() -> Result<()> {
    let tree = output(&mut cargo(&[
        "tree",
        "--edges",
        "normal",
        "--package",
        "qualys-azure-inventory",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
    ]))?;
    let wrong = wrong_with(&tree);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    println!("exactly one of each: {}; none of: {}", ONE.join(", "), NONE.join(", "));
    Ok(())
}

/// What is wrong with a tree of lines `name v1.2.3 …`.
fn wrong_with(tree: &str) -> Vec<String> {
    let versions = |name: &str| -> BTreeSet<&str> {
        let packages = tree.lines().filter_map(|line| line.split_once(' '));
        let versions = packages.filter(|(package, _)| *package == name);
        versions.filter_map(|(_, rest)| rest.split(' ').next()).collect()
    };
    let mut wrong = Vec::new();
    for name in ONE {
        let found = versions(name);
        if found.len() != 1 {
            wrong.push(format!("there must be one `{name}`, but there are {}: {found:?}", found.len()));
        }
    }
    wrong.extend(
        NONE.into_iter()
            .filter(|name| !versions(name).is_empty())
            .map(|name| format!("there must be no `{name}`")),
    );
    wrong
}

#[cfg(test)]
mod tests {
    use super::wrong_with;

    #[test]
    fn each_is_there_once_and_the_forbidden_are_not() {
        let good = "qualys v0.1.0 (/somewhere)\nreqwest v0.13.1\nhyper v1.0.0\nrustls v0.23.0\nrustls v0.23.0 (*)\nhyper-rustls v0.27.0";
        assert!(wrong_with(good).is_empty());
        let bad = format!("{good}\nreqwest v0.12.0\nnative-tls v0.2.0");
        assert_eq!(wrong_with(&bad).len(), 2);
        assert_eq!(wrong_with("").len(), 3);
    }
}
