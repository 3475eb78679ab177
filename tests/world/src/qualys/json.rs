//! JSON written straight into a buffer, limited to the paths of `?fields=`.
//!
//! Guarantees: a page of a thousand hosts needs no tree of values; serde escapes the strings.

use serde::Serialize;

/// The paths that an answer is limited to.
#[derive(Debug, Default)]
pub(super) struct Mask {
    whole: bool,
    under: Vec<(String, Mask)>,
}

/// No limit.
pub(super) static WHOLE: Mask = Mask { whole: true, under: Vec::new() };

impl Mask {
    /// The mask of `?fields=a,b.list.C.d`; without `fields`, everything.
    pub(super) fn parse(fields: Option<&str>) -> Self {
        let Some(fields) = fields else { return Self { whole: true, under: Vec::new() } };
        let mut mask = Self::default();
        for path in fields.split(',').map(str::trim).filter(|path| !path.is_empty()) {
            let mut at = &mut mask;
            for part in path.split('.') {
                let index = at.under.iter().position(|(name, _)| name == part).unwrap_or_else(|| {
                    at.under.push((part.to_owned(), Self::default()));
                    at.under.len() - 1
                });
                at = &mut at.under[index].1;
            }
            at.whole = true;
        }
        mask
    }

    fn get(&self, key: &str) -> Option<&Self> {
        if self.whole {
            Some(self)
        } else {
            self.under.iter().find(|(name, _)| name == key).map(|(_, mask)| mask)
        }
    }
}

/// An object being written; [`Obj::end`] closes it.
pub(super) struct Obj<'a> {
    out: &'a mut Vec<u8>,
    mask: &'a Mask,
    first: bool,
}

impl<'a> Obj<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, mask: &'a Mask) -> Self {
        out.push(b'{');
        Self { out, mask, first: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) -> Option<&'a Mask> {
        let mask = self.mask.get(key)?;
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        Some(mask)
    }

    /// A member, written by serde.
    pub(super) fn put(&mut self, key: &str, value: impl Serialize) {
        if self.key(key).is_some() {
            serde_json::to_writer(&mut *self.out, &value).expect("a buffer takes any JSON");
        }
    }

    /// A member that may be missing.
    pub(super) fn maybe(&mut self, key: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// A boolean, as the string that Qualys answers.
    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.put(key, if value { "true" } else { "false" });
    }

    /// An id, as a number or a string.
    pub(super) fn id(&mut self, key: &str, id: i64, as_string: bool) {
        if as_string { self.put(key, id.to_string()) } else { self.put(key, id) }
    }

    /// A member that is an object.
    pub(super) fn object(&mut self, key: &str, write: impl FnOnce(&mut Obj<'_>)) {
        if let Some(mask) = self.key(key) {
            let mut inner = Obj::new(self.out, mask);
            write(&mut inner);
            inner.end();
        }
    }

    /// A member `{"list":[{"Name":{…}},…]}`. If the mask does not have a row's name, the whole row is left out.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        rows: impl IntoIterator<Item = (&'static str, T)>,
        write: impl Fn(&mut Obj<'_>, T),
    ) {
        self.object(key, |object| {
            let Some(mask) = object.key("list") else { return };
            object.out.push(b'[');
            let mut first = true;
            for (name, row) in rows {
                if mask.get(name).is_none() {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    object.out.push(b',');
                }
                let mut wrapper = Obj::new(object.out, mask);
                wrapper.object(name, |inner| write(inner, row));
                wrapper.end();
            }
            object.out.push(b']');
        });
    }
}

/// Appends `{"Name":{…}}` to rows joined by commas.
pub(super) fn row(out: &mut Vec<u8>, name: &str, mask: &Mask, write: impl FnOnce(&mut Obj<'_>)) {
    if !out.is_empty() {
        out.push(b',');
    }
    let mut wrapper = Obj::new(out, &WHOLE);
    if wrapper.key(name).is_some() {
        let mut inner = Obj::new(wrapper.out, mask);
        write(&mut inner);
        inner.end();
    }
    wrapper.end();
}
