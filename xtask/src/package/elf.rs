//! What an executable needs from the system that it runs on.

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{DT_NEEDED, EM_X86_64, FileHeader64};
use object::read::elf::FileHeader;
use std::collections::BTreeSet;

/// The libraries that belong to glibc.
const GLIBC: [&str; 7] = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
];

pub(super) struct Needs {
    /// The shared libraries, by file name.
    libraries: BTreeSet<String>,
    /// The versions of their symbols, for example `GLIBC_2.28`.
    versions: BTreeSet<String>,
}

impl Needs {
    /// Reads them from the tables that the dynamic linker uses.
    pub(super) fn of(program: &[u8]) -> Result<Self> {
        let header =
            FileHeader64::<Endianness>::parse(program).context("the executable is not a 64-bit ELF file")?;
        let endian = header.endian()?;
        if header.e_machine(endian) != EM_X86_64 {
            bail!("the executable is not for x86-64");
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sections = header.sections(endian, program)?;
        let mut needs = Self { libraries: BTreeSet::new(), versions: BTreeSet::new() };
        let dynamic = sections.dynamic_table(endian, program)?;
        for entry in dynamic.iter().filter(|entry| entry.tag == DT_NEEDED) {
            needs.libraries.insert(text(dynamic.string(entry)?));
        }
        if let Some((mut files, strings)) = sections.gnu_verneed(endian, program)? {
            let strings = sections.strings(endian, program, strings)?;
            while let Some((_, mut versions)) = files.next()? {
                while let Some(version) = versions.next()? {
                    needs.versions.insert(text(version.name(endian, strings)?));
                }
            }
        }
        Ok(needs)
    }

    /// The newest glibc that is needed. An error if that is newer than `limit`, or if any other library is needed.
    pub(super) fn glibc(&self, limit: (u32, u32)) -> Result<(u32, u32)> {
        let others = self.libraries.iter().filter(|name| !GLIBC.contains(&name.as_str()));
        // A name without a number, for example GLIBC_ABI_DT_RELR, exists only in newer versions.
        let (fine, newer): (Vec<_>, Vec<_>) = self
            .versions
            .iter()
            .map(|name| (number(name), name))
            .partition(|(number, _)| number.is_some_and(|n| n <= limit));
        let wrong: Vec<_> =
            others.chain(newer.into_iter().map(|(_, name)| name)).map(String::as_str).collect();
        if !wrong.is_empty() {
            bail!("it needs {}, but may need only glibc up to {}.{}", wrong.join(", "), limit.0, limit.1);
        }
        let newest = fine.into_iter().filter_map(|(number, _)| number).max();
        newest.context("it names no version of glibc, so it is not linked like a program for this target")
    }
}

/// The first two numbers of the version in `GLIBC_2.28` or `GLIBC_2.2.5`.
fn number(name: &str) -> Option<(u32, u32)> {
    let mut parts = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::Needs;

    fn needs(libraries: &[&str], versions: &[&str]) -> Needs {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Needs { libraries: owned(libraries), versions: owned(versions) }
    }

    #[test]
    fn versions_are_numbers_and_not_text() {
        let found = needs(&["libc.so.6"], &["GLIBC_2.2.5", "GLIBC_2.4", "GLIBC_2.28"]).glibc((2, 28));
        assert_eq!(found.unwrap(), (2, 28));
        assert_eq!(needs(&[], &["GLIBC_2.9"]).glibc((2, 28)).unwrap(), (2, 9));
    }

    #[test]
    fn newer_unknown_and_foreign_are_refused() {
        for version in ["GLIBC_2.29", "GLIBC_2.34", "GLIBC_3.0", "GLIBC_ABI_DT_RELR", "OPENSSL_3.0.0"] {
            let error = needs(&["libc.so.6"], &["GLIBC_2.2.5", version]).glibc((2, 28)).unwrap_err();
            assert_eq!(error.to_string(), format!("it needs {version}, but may need only glibc up to 2.28"));
        }
        assert!(needs(&["libssl.so.3"], &["GLIBC_2.2.5"]).glibc((2, 28)).is_err());
        assert!(needs(&[], &[]).glibc((2, 28)).is_err(), "a program without any tables");
        assert!(Needs::of(b"#!/bin/sh\n").is_err());
    }

    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    #[test]
    fn a_real_program_is_read() {
        let needs = Needs::of(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(needs.libraries.contains("libc.so.6"));
        assert!(needs.versions.contains("GLIBC_2.2.5"));
    }
}
