//! The error of the classic API, which comes with a 409: `SIMPLE_RETURN/RESPONSE/{CODE,TEXT}` (Qualys's API limits guide).

use serde_json::Value;

/// An error in the form of the classic API.
pub(super) struct Classic {
    /// For example 1920.
    pub(super) code: u32,
    pub(super) text: Option<String>,
}

/// The error of the classic API in a body, in XML or as JSON.
pub(super) fn classic(bytes: &[u8]) -> Option<Classic> {
    if let Ok(body) = serde_json::from_slice::<Value>(bytes) {
        let response = body.pointer("/SIMPLE_RETURN/RESPONSE")?;
        let code = response.get("CODE")?;
        let number = code.as_u64().or_else(|| code.as_str()?.trim().parse().ok())?;
        let text = response.get("TEXT").and_then(Value::as_str).map(str::to_owned);
        return Some(Classic { code: u32::try_from(number).ok()?, text });
    }
    let xml = std::str::from_utf8(bytes).ok()?;
    let element = |name: &str| {
        let rest = xml.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once(&format!("</{name}>"))?.0.trim())
    };
    Some(Classic { code: element("CODE")?.parse().ok()?, text: element("TEXT").map(str::to_owned) })
}
